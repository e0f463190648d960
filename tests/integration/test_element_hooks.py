"""Hooks that clear up run beside the tree, and change nothing but the tree."""

import os
from pathlib import Path
import shutil
import subprocess
import sys
import tempfile
import unittest

ELEMENTS = Path(__file__).parents[2] / "elements"
PROGRAMS = "bash find install ln mkdir rm sed truncate"


def tree_with_programs(root: Path, programs: str = PROGRAMS) -> None:
    """Enough of a system for a shell script to run in."""
    for name in ("bin", "lib", "lib64"):
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    (root / "dev").mkdir()
    (root / "etc").mkdir()
    os.mknod(root / "dev/null", 0o020666, os.makedev(1, 3))
    for name in programs.split():
        program = shutil.which(name)
        assert program
        listed = subprocess.run(
            ["ldd", program], check=True, capture_output=True, text=True
        ).stdout.split()
        for path in [word for word in listed if word.startswith("/")]:
            copy = root / path[1:]
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, copy)
        shutil.copy(program, root / "usr/bin" / name)


class TreeCase(unittest.TestCase):
    """A tree with a shell and little else, and a hook that is run on it."""

    programs = PROGRAMS

    def setUp(self) -> None:
        if os.geteuid() != 0:
            self.fail("these tests chroot: run them as root")
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.place = Path(holder.name)
        self.root = self.place / "tree"
        tree_with_programs(self.root, self.programs)

    def run_hook(self, hook: str) -> None:
        done = self.ended(hook)
        self.assertEqual((0, ""), (done.returncode, done.stderr))

    def ended(
        self, hook: str, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [ELEMENTS / hook],
            env={
                "PATH": os.environ["PATH"],
                "TARGET_ROOT": str(self.root),
                "TMP_MOUNT_PATH": str(self.root),
                "DIB_PYTHON_EXEC": sys.executable,
                **environment,
            },
            cwd=self.place,
            capture_output=True,
            text=True,
        )

    def write(self, *paths: str) -> None:
        for name in paths:
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("x")

    def gone(self, *paths: str) -> None:
        for name in paths:
            self.assertFalse((self.root / name).exists(), name)


class InsideCase(TreeCase):
    """The same, with hooks that are run in the chroot."""

    def inside(self, hook: str, **environment: str) -> str:
        """What the hook of an element says in the tree."""
        phase = (ELEMENTS / hook).parent
        place = self.root / "hooks"
        subprocess.run(["cp", "-a", phase, place], check=True)
        try:
            done = subprocess.run(
                ["/usr/sbin/chroot", self.root, f"/hooks/{Path(hook).name}"],
                env={"PATH": "/usr/bin", **environment},
                capture_output=True,
                text=True,
            )
        finally:
            subprocess.run(["rm", "-r", place], check=True)
        self.assertEqual((0, ""), (done.returncode, done.stderr))
        return done.stdout

    def text(self, name: str) -> str:
        return (self.root / name).read_text()


class Hooks(TreeCase):
    def test_a_symlink_of_the_tree_leads_to_nothing_of_the_builders(self):
        for hook, link, victim in (
            ("sysprep/cleanup.d/96-sysprep", "var/lib", "cloud/x"),
            ("sysprep/cleanup.d/96-sysprep", "root", ".cache/x"),
            (
                "dpkg/cleanup.d/90-dpkg-build-settings",
                "var/lib",
                "apt/lists/x",
            ),
            ("dpkg/post-root.d/90-apt-caches", "var/cache", "apt/x.bin"),
            (
                "runtime-ssh-host-keys/cleanup.d/90-remove-ssh-host-keys",
                "etc/ssh",
                "ssh_host_rsa_key",
            ),
        ):
            with self.subTest(hook, link=link):
                host = Path(tempfile.mkdtemp(dir=self.place))
                file = host / victim
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text("the builder's")
                path = self.root / link
                path.parent.mkdir(exist_ok=True)
                path.symlink_to(host)
                # What the link means to the tree.
                (self.root / str(host)[1:]).mkdir(parents=True)
                try:
                    self.run_hook(hook)
                finally:
                    path.unlink()
                self.assertTrue(file.exists())

    def test_manifests_are_the_trees_own(self) -> None:
        host = self.place / "host"
        host.mkdir()
        (host / "secret").write_text("the builder's")
        (self.root / "link").symlink_to(host)
        for place in ("/../host", "/link", "/link/new"):
            for hook in (
                "manifests/extra-data.d/20-manifest-dir",
                "manifests/cleanup.d/01-copy-manifests-dir",
            ):
                with self.subTest(hook, place=place):
                    done = self.ended(
                        hook,
                        DIB_MANIFEST_IMAGE_DIR=place,
                        DIB_MANIFEST_SAVE_DIR="saved",
                    )
                    self.assertEqual(1, done.returncode)
                    self.assertIn("leads out of the image", done.stderr)
                    self.assertFalse((self.place / "saved").exists())
        self.assertEqual(["secret"], [path.name for path in host.iterdir()])

    def test_manifests_are_copied_out(self) -> None:
        self.run_manifests("manifests/extra-data.d/20-manifest-dir")
        self.write("etc/dib-manifests/list")
        self.run_manifests("manifests/cleanup.d/01-copy-manifests-dir")
        saved = self.place / "saved/dib-manifests/list"
        self.assertEqual("x", saved.read_text())

    def run_manifests(self, hook: str) -> None:
        done = self.ended(
            hook,
            DIB_MANIFEST_IMAGE_DIR="/etc/dib-manifests",
            DIB_MANIFEST_SAVE_DIR="saved",
        )
        self.assertEqual((0, ""), (done.returncode, done.stderr))

    def test_a_mirrors_password_stays_behind(self) -> None:
        sources = self.root / "etc/apt/sources.list"
        more = self.root / "etc/apt/sources.list.d/x.sources"
        more.parent.mkdir(parents=True)
        sources.write_text(
            "deb [signed-by=/x] https://me:secret@mirror.example.org/debian"
            " bookworm main\n"
            "deb http://mirror.example.org/debian@x bookworm main\n"
        )
        more.write_text("URIs: http://me:secret@mirror.example.org/debian\n")
        self.run_hook("dpkg/cleanup.d/90-dpkg-build-settings")
        self.assertEqual(
            "deb [signed-by=/x] https://mirror.example.org/debian"
            " bookworm main\n"
            "deb http://mirror.example.org/debian@x bookworm main\n",
            sources.read_text(),
        )
        self.assertEqual(
            "URIs: http://mirror.example.org/debian\n", more.read_text()
        )

    def test_a_password_of_dnfs_mirrors_stays_behind(self) -> None:
        directory = self.root / "etc/yum.repos.d"
        directory.mkdir()
        (directory / "epel.repo").write_text(
            "[epel]\nbaseurl=https://me:secret@mirror.example.org/epel/10@x\n"
            "gpgcheck=1\n"
        )
        (directory / "dib-build.repo").write_text("of the build")
        self.run_hook("yum/cleanup.d/90-yum-build-settings")
        self.assertEqual(
            "[epel]\nbaseurl=https://mirror.example.org/epel/10@x\n"
            "gpgcheck=1\n",
            (directory / "epel.repo").read_text(),
        )
        self.assertEqual(1, len(list(directory.iterdir())))

    def test_sysprep(self) -> None:
        secrets = (
            "var/lib/cloud/data/x",
            "var/lib/systemd/random-seed",
            "etc/ssh/ssh_host_rsa_key",
            "etc/shadow-",
            "root/.bash_history",
            "root/.cache/x",
            "var/log/old.gz",
            "var/tmp/x",
            "etc/nvme/hostid",
            "etc/nvme/hostnqn",
        )
        seed = "var/lib/cloud/seed/nocloud/meta-data"
        self.write(*secrets, seed, "etc/machine-id", "var/log/syslog")
        (self.root / "var/lib/dbus").mkdir()
        self.run_hook("sysprep/cleanup.d/96-sysprep")
        self.gone(*secrets)
        self.assertTrue((self.root / seed).exists())
        self.assertEqual("", (self.root / "etc/machine-id").read_text())
        self.assertEqual("", (self.root / "var/log/syslog").read_text())
        self.assertEqual(
            "/etc/machine-id",
            str((self.root / "var/lib/dbus/machine-id").readlink()),
        )

    def test_an_iscsi_initiator_is_named_on_its_first_boot(self) -> None:
        name = self.root / "etc/iscsi/initiatorname.iscsi"
        self.write("etc/iscsi/initiatorname.iscsi")
        self.run_hook("sysprep/cleanup.d/96-sysprep")
        self.gone("etc/iscsi/initiatorname.iscsi")
        # Debian's makes one only if it is told to; without the file it
        # does not start at all.
        self.write(
            "etc/iscsi/initiatorname.iscsi",
            "usr/lib/open-iscsi/startup-checks.sh",
        )
        self.run_hook("sysprep/cleanup.d/96-sysprep")
        self.assertEqual("GenerateName=yes\n", name.read_text())
        self.assertEqual(0o600, name.stat().st_mode & 0o777)
