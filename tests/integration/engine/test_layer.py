"""Hooks outside run where the person stands who builds."""

import os
import subprocess

from tests.integration.engine import test_drop_in

READS = 'cat "$DIB_APT_SOURCES" ../beside.list "$(pwd)/$DIB_APT_SOURCES"'

# In the order in which they lie about: nothing here is the image's.
CHANGES = r"""
echo kernel > "$IMAGE_NAME.vmlinuz"
mkdir -p notes && echo new > notes/new
exec 9<> locked && flock 9
chmod 600 shut
rm gone
echo more >> changed
"""


class Standing(test_drop_in.DropIns):
    def setUp(self):
        super().setUp()
        (self.output / "notes").mkdir()
        for name in ("locked", "shut", "gone", "changed", "notes/old"):
            (self.output / name).write_text(f"{name}\n")
        (self.output / "sources.list").write_text("deb of mine\n")
        (self.place / "beside.list").write_text("deb beside\n")
        self.element("reads", {"root.d/01-x": READS, "cleanup.d/01-x": READS})
        self.element("changes", {"extra-data.d/10-x": CHANGES})

    def create(self, *words, before=()):
        return self.call(
            *(*before, "disk-image-create", "-t", "raw", "tiny", *words),
            DIB_APT_SOURCES="sources.list",
        )

    def texts(self):
        return {
            str(path.relative_to(self.output)): path.read_text()
            for path in self.output.rglob("*")
            if path.is_file() and path.suffix in ("", ".list", ".vmlinuz")
        }

    def test_relative_paths_are_found(self):
        done = self.create("reads")
        self.assertEqual(0, done.returncode, done.stdout)
        self.assertEqual(4, done.stdout.count("deb of mine\n"))
        self.assertEqual(2, done.stdout.count("deb beside\n"))
        self.assertNotIn("warning: hooks", done.stdout)

    def test_what_is_written_there_comes_with_the_image(self):
        mode = (self.output / "shut").stat().st_mode
        # The second time, the kernel is already there.
        for _ in range(2):
            (self.output / "changed").write_text("changed\n")
            done = self.call(
                *("disk-image-create", "-t", "raw", "tiny", "changes"),
                OVERWRITE_OLD_IMAGE="1",
            )
            self.assertEqual(0, done.returncode, done.stdout)
            self.assertIn(
                f"made {self.output}/image.vmlinuz (7 bytes)\n", done.stdout
            )
            self.assertNotIn("locked (", done.stdout)
            self.assertEqual(
                {
                    "changed": "changed\nmore\n",
                    "gone": "gone\n",
                    "image.vmlinuz": "kernel\n",
                    "locked": "locked\n",
                    "notes/new": "new\n",
                    "notes/old": "notes/old\n",
                    "shut": "shut\n",
                    "sources.list": "deb of mine\n",
                },
                self.texts(),
            )
        self.assertEqual(mode, (self.output / "shut").stat().st_mode)
        for path in self.output.rglob("*"):
            self.assertFalse(path.is_char_device(), path)
            self.assertEqual([], os.listxattr(path), path)
        self.assert_nothing_is_left()

    def test_what_fails_changes_nothing(self):
        self.element("fails", {"cleanup.d/99-x": "exit 3"})
        before = self.texts()
        done = self.create("changes", "fails")
        self.assertEqual(3, done.returncode)
        self.assertEqual(before, self.texts())
        self.assert_nothing_is_left()

    def test_beside_an_image_elsewhere(self):
        done = self.create("reads", "changes", "-o", "below/my")
        self.assertEqual(0, done.returncode, done.stdout)
        found = self.texts()
        self.assertEqual("changed\n", found["changed"])
        self.assertEqual("changed\nmore\n", found["below/changed"])
        self.assertEqual("kernel\n", found["below/my.vmlinuz"])

    def test_where_there_can_be_no_overlay_it_is_said_once(self):
        layers = self.place / "layers"
        for name in ("upper", "work"):
            (layers / name).mkdir(parents=True)
        # No overlay lies on another one's files.
        script = (
            f"mount -t overlay -o lowerdir={self.workspace},"
            f"upperdir={layers}/upper,workdir={layers}/work overlay "
            f'{self.workspace}; exec "$@"'
        )
        self.element("writes", {"cleanup.d/1-x": "echo kept > notes.txt"})
        done = self.create(
            "writes", before=("unshare", "-m", "bash", "-c", script, "-")
        )
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)
        self.assertEqual(1, done.stdout.count("warning: hooks do not find"))
        self.assertEqual("kept\n", (self.output / "notes.txt").read_text())

    def test_the_workspace_may_be_another_filesystem(self):
        script = f'mount -t tmpfs tmpfs {self.workspace}; exec "$@"'
        done = self.create(
            *("reads", "changes"),
            before=("unshare", "-m", "bash", "-c", script, "-"),
        )
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)
        self.assertNotIn("warning: hooks", done.stdout)
        self.assertEqual("kernel\n", self.texts()["image.vmlinuz"])
        self.assertTrue((self.output / "image.raw").is_file())

    def test_other_filesystems_are_seen_there(self):
        place = self.output / "notes"
        script = (
            f"mount -t tmpfs tmpfs {place}; echo mine > {place}/mounted;"
            'exec "$@"'
        )
        self.element("notes", {"cleanup.d/1-x": "cat notes/mounted"})
        done = self.create(
            "notes", before=("unshare", "-m", "bash", "-c", script, "-")
        )
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)
        self.assertIn("mine\n", done.stdout)

    def test_what_a_person_unmounts_with_may_delete(self):
        done = self.call(
            *("disk-image-create", "-t", "raw", "tiny"),
            EXTRA_DETACH="rm ./gone",
        )
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)
        self.assertEqual("gone\n", self.texts()["gone"])

    def test_from_the_root_directory(self):
        self.element("shows", {"root.d/1-x": 'cat "$DIB_APT_SOURCES"'})
        done = subprocess.run(
            ["disk-image-create", "-o", self.output / "my", "tiny", "shows"],
            cwd="/",
            env={
                **self.environment,
                "DIB_APT_SOURCES": str(
                    (self.output / "sources.list").relative_to("/")
                ),
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)
        self.assertIn("deb of mine\n", done.stdout)
