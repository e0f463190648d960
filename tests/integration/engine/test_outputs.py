"""Every format holds the tree: others' tools read back what was written."""

import contextlib
import json
import os
from pathlib import Path
import signal
import tempfile
import time
import unittest

from dib_service.engine import mounts, spec
from dib_service.engine.disk import making
from dib_service.engine.output import files
from dib_service.engine.output.options import Options
from dib_service.engine.verify import checks
from tests.integration.engine import images, nasty, tiny

ACL = "system.posix_acl"


class ReadBack(unittest.TestCase):
    """All formats but docker, made once of one tree."""

    @classmethod
    def setUpClass(cls):
        holder = tempfile.TemporaryDirectory(dir="/var/tmp")
        cls.addClassCleanup(holder.cleanup)
        cls.path = Path(holder.name).resolve()
        nasty.tree(cls.path / "tree")
        (cls.path / "manifest.json").write_text('{"acKind": "x"}\n')
        formats = tuple(f for f in spec.FORMATS if f != "docker")
        cls.warnings = []
        with contextlib.ExitStack() as held:
            target = held.enter_context(
                making.laid_out(
                    images.layout(),
                    tree=cls.path / "tree",
                    directory=cls.path,
                    mount_point=cls.path / "mnt",
                    size=None,
                )
            )
            cls.expected = nasty.seen(target.root, nasty.SECOND)
            # What lies below the kernel's files nobody ever sees.
            (target.root / "proc/cpuinfo").touch()
            made = files.write_all(
                spec.BuildSpec(("x",), formats, name="web"),
                files.Source(target.root, target.image, held.close),
                output_dir=cls.path / "out",
                options=Options(aci_manifest=cls.path / "manifest.json"),
                warn=cls.warnings.append,
            )
        cls.made = {artefact.format: artefact for artefact in made}

    def assert_same(self, found, expected=None):
        expected = self.expected if expected is None else expected
        self.maxDiff = None
        self.assertEqual(sorted(expected), sorted(found))
        for path, facts in expected.items():
            self.assertEqual(facts, found[path], path)

    def test_the_tree_has_what_may_be_lost(self):
        capable = self.expected["etc/ping"]["attributes"]
        self.assertIn("security.capability", capable)
        self.assertIn("system.posix_acl_access", capable)
        self.assertEqual(
            ["etc/one", "etc/two"], self.expected["etc/one"]["names"]
        )
        self.assertIn(f"etc/{nasty.LATIN}", self.expected)
        self.assertIn(".autorelabel", self.expected)

    def test_each_disk_holds_what_the_raw_one_does(self):
        raw = self.made["raw"].path
        for wanted in spec.DISKS[1:]:
            artefact = self.made[wanted]
            driver = {"vhd": "vpc"}.get(wanted, wanted)
            images.run(
                *("qemu-img", "compare", "-f", "raw", "-F", driver),
                *(raw, artefact.path),
            )
            said = images.run(
                *("qemu-img", "info", "--output=json", artefact.path)
            )
            size = json.loads(said)["virtual-size"]
            self.assertEqual(raw.stat().st_size, size, wanted)
            self.assertEqual(size, artefact.virtual_size)
            if driver != "vpc":
                images.run("qemu-img", "check", "-f", driver, artefact.path)

    def test_the_raw_disk_holds_the_tree(self):
        place = self.path / "mounted"
        with mounts.mounted(self.made["raw"].path, place, "-o", "loop,ro"):
            found = nasty.seen(place, nasty.SECOND)
        del found["proc/cpuinfo"]
        # The hour of that touch.
        found["proc"]["mtime"] = self.expected["proc"]["mtime"]
        self.assert_same(found)

    def unpacked(self, wanted, *options):
        place = Path(tempfile.mkdtemp(dir=self.path))
        images.run(
            *("tar", "--extract", "--file", self.made[wanted].path),
            *("--directory", place, "--numeric-owner", "--same-owner"),
            *("--preserve-permissions", "--xattrs", "--xattrs-include=*"),
            *("--acls", *options),
        )
        return place

    def expected_of_archives(self, found):
        self.assertIn("proc", found)
        found["proc"]["mtime"] = self.expected["proc"]["mtime"]
        return found

    def test_tar_holds_the_tree(self):
        for wanted in ("tar", "tgz"):
            with self.subTest(wanted):
                found = nasty.seen(self.unpacked(wanted), nasty.SECOND)
                self.assert_same(self.expected_of_archives(found))

    def test_aci_holds_the_tree_and_its_manifest(self):
        place = self.unpacked("aci")
        self.assertEqual(
            ["manifest", "rootfs"], sorted(p.name for p in place.iterdir())
        )
        self.assertEqual('{"acKind": "x"}\n', (place / "manifest").read_text())
        found = nasty.seen(place / "rootfs", nasty.SECOND)
        self.assert_same(self.expected_of_archives(found))

    def test_squashfs_holds_the_tree_but_no_acls(self):
        self.assertEqual("web.squash", self.made["squashfs"].name)
        place = self.path / "squash"
        images.run(*("unsquashfs", "-d", place, self.made["squashfs"].path))
        without = {
            path: {
                **facts,
                "attributes": {
                    name: value
                    for name, value in facts["attributes"].items()
                    if not name.startswith(ACL)
                },
            }
            for path, facts in self.expected.items()
        }
        found = self.expected_of_archives(nasty.seen(place, nasty.SECOND))
        self.assert_same(found, without)
        [warning] = self.warnings
        self.assertIn("2 are not in web.squash", warning)

    def test_an_archive_names_no_user_of_this_host(self):
        listing = images.run(
            "tar", "--list", "-v", "-f", self.made["tar"].path
        )
        owners = {line.split()[1] for line in listing.splitlines()}
        self.assertIn("0/0", owners)
        self.assertIn("0/6", owners)
        self.assertNotIn("root/root", owners)

    def test_equal_trees_give_equal_archives(self):
        again = self.path / "again"
        files.write_all(
            spec.BuildSpec(("x",), ("tar", "tgz", "squashfs"), name="web"),
            files.Source(self.path / "tree", self.path),
            output_dir=again,
            options=Options(),
            warn=self.warnings.append,
        )
        first = {p.name: p.read_bytes() for p in again.iterdir()}
        files.write_all(
            spec.BuildSpec(("x",), ("tar", "tgz", "squashfs"), name="web"),
            files.Source(self.path / "tree", self.path),
            output_dir=again,
            options=Options(),
            warn=lambda text: None,
        )
        del self.warnings[1:]
        for path in again.iterdir():
            self.assertEqual(first[path.name], path.read_bytes(), path.name)

    def test_they_pass_their_own_check(self):
        checks.check(
            list(self.made.values()),
            images.layout(),
            scratch=self.path,
        )

    def test_each_has_its_checksums(self):
        for artefact in self.made.values():
            for kind in ("sha256", "sha512"):
                images.run(
                    *(f"{kind}sum", "--check", f"{artefact.name}.{kind}"),
                    cwd=self.path / "out",
                )


class Killed(tiny.TinyBuild):
    def test_one_that_is_killed_at_the_end_leaves_all_or_nothing(self):
        self.element(
            "large",
            {
                "post-root.d/10-x": (
                    'head -c 90M /dev/urandom > "$TMP_MOUNT_PATH/x"'
                )
            },
        )
        whole = {
            f"image.{name}{suffix}"
            for name in ("raw", "tar")
            for suffix in ("", ".sha256", ".sha512")
        }
        # Another filesystem: the files are copied, which takes its time.
        holder = tempfile.TemporaryDirectory(dir="/dev/shm")
        self.addCleanup(holder.cleanup)
        self.output = Path(holder.name)
        running = self.start("large", formats=["raw", "tar"])
        self.addCleanup(running.process.stdout.close)
        while running.process.poll() is None:
            if any(self.output.iterdir()):
                os.kill(running.process.pid, signal.SIGKILL)
                break
            time.sleep(0.001)
        running.process.wait()
        self.wait_until_nothing_is_left()
        found = {path.name for path in self.output.iterdir()}
        self.assertIn(found, (set(), whole))
        self.assertEqual(-signal.SIGKILL, running.process.returncode)
