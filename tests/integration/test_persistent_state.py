"""The state's partition is made, found again, and never written over.

On loop devices, as root; the disk is written to by ironic-python-agent's own
code in between.
"""

from collections.abc import Iterator
import contextlib
import os
from pathlib import Path
import subprocess
import tempfile
import unittest
import zlib

from tests.integration import agent_disk
from tests.integration.engine import images
from tests.unit.elements import persistent

MiB = 1 << 20
DISK = 512 * MiB
PIECE = 64 << 10
LABEL = "persistent-state"

with persistent.importable():
    from persistent_state import devices, partition
    from persistent_state.content import Content
    from persistent_state.faults import Fault


class DiskCase(unittest.TestCase):
    """A disk that can be written to as a deploy does."""

    sector = 512

    @classmethod
    def setUpClass(cls) -> None:
        images.keep_mounts_private()

    def setUp(self) -> None:
        holder = tempfile.TemporaryDirectory(dir="/var/tmp")
        self.addCleanup(holder.cleanup)
        self.path = Path(holder.name).resolve()
        self.disk = self.plugged_in("disk")

    def plugged_in(self, name: str, size: int = DISK) -> str:
        """One more disk, by its kernel name."""
        file = self.path / name
        with file.open("wb") as target:
            target.truncate(size)
        path = self.enterContext(
            agent_disk.loop_disk(file, sector=self.sector)
        )
        return Path(path).name

    def deployed_by_the_agent(self) -> None:
        agent_disk.write(f"/dev/{self.disk}", self.image())

    def image(self, mib: int = 16, table: str = "gpt") -> Path:
        """A whole-disk image of that size, with one partition."""
        file = self.path / f"image-{mib}"
        # sfdisk asks a device for the size of its sectors.
        with file.open("wb") as target:
            target.truncate(mib * MiB)
        with agent_disk.loop_disk(file, sector=self.sector) as device:
            run(
                *("sfdisk", "--quiet", "--no-reread", device),
                stdin=f"label: {table}\nstart=1MiB, size={mib - 2}MiB\n",
            )
        return file

    def deployed(self, **image: object) -> None:
        """Write an image as the agent does; that takes it ten seconds."""
        path = f"/dev/{self.disk}"
        with Path(path).open("r+b") as file:
            for place in (0, DISK - MiB):
                file.seek(place)
                file.write(b"\0" * MiB)
        run("dd", f"if={self.image(**image)}", f"of={path}", "conv=sparse")
        kind = image.get("table", "gpt")
        if kind == "gpt":
            run("sgdisk", "--move-second-header", "--new=0:-64M:0", path)
        run("partx", "--update", path)

    def find_or_make(self, **wanted: object) -> partition.Found:
        names = ("disk", "other", "third")
        looped = {
            line.split()[1]: Path(line.split()[0]).name
            for line in run(
                "losetup", "--list", "--noheadings", "-O", "NAME,BACK-FILE"
            ).splitlines()
        }
        disks = tuple(
            looped[str(self.path / name)]
            for name in names
            if str(self.path / name) in looped
        )
        return partition.find_or_make(
            partition.Wanted(disks=disks, **wanted),
            devices.device(self.disk),
        )

    def fault(self, **wanted: object) -> Fault:
        """Why there is no state; all disks are as they were before."""
        before = self.written()
        with self.assertRaises(Fault) as caught:
            self.find_or_make(**wanted)
        self.assertEqual(before, self.written())
        return caught.exception

    def written(self) -> dict[str, int]:
        """A sum of what is on each disk."""
        found = {}
        for name in ("disk", "other", "third"):
            file = self.path / name
            if file.exists():
                found[name] = checksum(file)
        return found

    def write_state(self, found: partition.Found, text: str) -> None:
        with self.mounted(found) as place:
            (place / "state").write_text(text)

    def state(self, found: partition.Found) -> str | None:
        with self.mounted(found) as place:
            file = place / "state"
            return file.read_text() if file.exists() else None

    @contextlib.contextmanager
    def mounted(self, found: partition.Found) -> Iterator[Path]:
        place = self.path / "mnt"
        place.mkdir(exist_ok=True)
        run("mount", found.device.path, str(place))
        try:
            yield place
        finally:
            run("umount", str(place))

    def clobber(self, where: int, size: int, device: str) -> None:
        with Path("/dev", device).open("r+b") as file:
            file.seek(where)
            file.write(b"\0" * size)


class TestAtTheEnd(DiskCase):
    def test_the_agent_leaves_it_alone(self) -> None:
        self.deployed_by_the_agent()
        made = self.find_or_make(size="64MiB")
        self.assertTrue(made.made)
        self.write_state(made, "mine")
        device = made.device
        self.assertEqual(64 * MiB, device.size)
        self.assertEqual(72 * MiB, DISK - device.start - device.size)
        tags = devices.recognised(device.path)
        self.assertEqual(
            (LABEL, LABEL), (tags["LABEL"], tags["PART_ENTRY_NAME"])
        )
        # The root may still grow up to it, and the drive is what it was.
        drive = Path(f"/dev/{self.disk}p2").read_bytes()
        self.assertTrue(drive.startswith(agent_disk.CONFIG_DRIVE))
        self.deployed_by_the_agent()
        self.assertFalse(Path(f"/dev/{self.disk}p3").exists())
        found = self.find_or_make()
        self.assertFalse(found.made)
        self.assertEqual("mine", self.state(found))
        self.assertIn(
            "No problems found", run("sgdisk", "--verify", f"/dev/{self.disk}")
        )

    def test_a_reboot_finds_it(self) -> None:
        self.deployed()
        self.write_state(self.find_or_make(), "mine")
        found = self.find_or_make()
        self.assertFalse(found.made)
        self.assertEqual("mine", self.state(found))

    def test_a_redeploy_finds_it_where_it_was(self) -> None:
        self.deployed()
        first = self.find_or_make(size="200MiB")
        self.write_state(first, "mine")
        self.deployed(mib=32)
        self.assertFalse(Path(f"/dev/{self.disk}p3").exists())
        # The newer image wants another size, and gets what there is.
        again = self.find_or_make(size="100MiB", label=LABEL)
        self.assertFalse(again.made)
        self.assertEqual(first.device.start, again.device.start)
        self.assertEqual(first.device.size, again.device.size)
        self.assertEqual("mine", self.state(again))

    def test_the_root_filesystem_is_on_that_disk(self) -> None:
        self.deployed()
        root = f"/dev/{self.disk}p1"
        run("mkfs.ext4", "-q", root)
        used = partition.Found(devices.device(f"{self.disk}p1"), "ext4")
        with self.mounted(used) as place:
            (place / "file").write_text("of the root")
            made = self.find_or_make()
            self.assertTrue(made.made)
            # The kernel lets nobody read the table of a disk in use again.
            with self.assertRaises(AssertionError):
                run("blockdev", "--rereadpt", f"/dev/{self.disk}")
        self.deployed()
        self.assertFalse(self.find_or_make().made)

    def test_an_image_that_reached_into_it(self) -> None:
        self.deployed()
        self.find_or_make(size="256MiB")
        self.deployed(mib=320)
        self.assertEqual("overwritten", self.fault().code)

    def test_no_room_beside_the_image(self) -> None:
        self.deployed(mib=320)
        self.assertEqual("no-room", self.fault(size="256MiB").code)

    def test_somebody_elses_filesystem_is_in_its_place(self) -> None:
        self.deployed()
        start = DISK - (72 + 64) * MiB
        run(
            *("mkfs.ext4", "-q", "-L", "theirs", "-E", f"offset={start}"),
            *(f"/dev/{self.disk}", "60M"),
        )
        fault = self.fault(size="64MiB")
        self.assertEqual("foreign", fault.code)
        self.assertIn("ext4", str(fault))

    def test_its_superblock_is_gone_after_a_redeploy(self) -> None:
        self.deployed()
        made = self.find_or_make()
        self.clobber(0, MiB, made.device.name)
        self.deployed()
        with self.assertRaises(Fault) as caught:
            self.find_or_make()
        self.assertEqual("damaged", caught.exception.code)
        # The root does not grow over what may be repaired.
        self.assertTrue(Path(f"/dev/{self.disk}p3").exists())
        self.assertEqual("damaged", self.fault().code)

    def test_its_superblock_is_gone_at_a_reboot(self) -> None:
        self.deployed()
        made = self.find_or_make()
        self.clobber(0, MiB, made.device.name)
        fault = self.fault()
        self.assertEqual("damaged", fault.code)
        self.assertIn("e2fsck -b", str(fault))

    def test_fsck_cannot_repair_it(self) -> None:
        self.deployed()
        made = self.find_or_make()
        # All but the superblock, by which it is still recognised.
        self.clobber(4096, 2 * MiB, made.device.name)
        # fsck itself notes that there are errors.
        with self.assertRaises(Fault) as caught:
            self.find_or_make()
        self.assertEqual("damaged", caught.exception.code)

    def test_cleaning_leaves_nothing_to_be_found(self) -> None:
        self.deployed()
        self.write_state(self.find_or_make(), "of another tenant")
        agent_disk.clean(f"/dev/{self.disk}")
        self.deployed()
        found = self.find_or_make()
        self.assertTrue(found.made)
        self.assertIsNone(self.state(found))

    def test_two_candidates(self) -> None:
        self.deployed()
        self.find_or_make()
        other = self.plugged_in("other")
        run("mkfs.ext4", "-q", "-L", LABEL, f"/dev/{other}")
        fault = self.fault()
        self.assertEqual("two-candidates", fault.code)
        self.assertIn(other, str(fault))

    def test_an_empty_partition_made_for_the_purpose(self) -> None:
        run(
            *("sfdisk", "--quiet", "--no-reread", f"/dev/{self.disk}"),
            stdin=f'label: gpt\nstart=2048, size=262144, name="{LABEL}"\n',
        )
        run("partx", "--update", f"/dev/{self.disk}")
        found = self.find_or_make()
        self.assertTrue(found.made)
        self.assertEqual(f"{self.disk}p1", found.device.name)

    def test_one_with_something_else_in_it(self) -> None:
        self.test_an_empty_partition_made_for_the_purpose()
        run("mkfs.vfat", "-n", "THEIRS", f"/dev/{self.disk}p1")
        self.assertEqual("foreign", self.fault().code)

    def test_an_mbr(self) -> None:
        self.deployed(table="dos")
        made = self.find_or_make(size="256MiB")
        self.write_state(made, "mine")
        self.assertFalse(self.find_or_make().made)
        self.deployed(table="dos")
        found = self.find_or_make()
        self.assertFalse(found.made)
        self.assertEqual("mine", self.state(found))
        self.clobber(0, MiB, found.device.name)
        self.assertEqual("damaged", self.fault().code)


class TestLargeSectors(DiskCase):
    sector = 4096

    def test_a_redeploy_finds_it_where_it_was(self) -> None:
        self.deployed()
        self.write_state(self.find_or_make(size="200MiB"), "mine")
        self.deployed()
        found = self.find_or_make()
        self.assertFalse(found.made)
        self.assertEqual("mine", self.state(found))


class TestOtherPlaces(DiskCase):
    def test_a_disk_of_its_own(self) -> None:
        self.deployed()
        place = f"/dev/{self.plugged_in('other')}"
        made = self.find_or_make(place=place)
        self.assertTrue(made.made)
        self.assertEqual(place, made.device.path)
        self.write_state(made, "mine")
        self.deployed()
        found = self.find_or_make(place=place)
        self.assertFalse(found.made)
        self.assertEqual("mine", self.state(found))

    def test_a_disk_that_somebody_uses(self) -> None:
        other = self.plugged_in("other")
        path = f"/dev/{other}"
        for what in (
            ("mkfs.xfs", "-q", path),
            ("sfdisk", "--quiet", path),
            ("mkswap", path),
        ):
            run("wipefs", "--all", "--force", path)
            run(*what, stdin="label: gpt\n")
            self.assertEqual("foreign", self.fault(place=path).code, what)

    def test_a_disk_that_lost_its_filesystem(self) -> None:
        other = self.plugged_in("other")
        self.find_or_make(place=f"/dev/{other}")
        self.clobber(0, MiB, other)
        self.assertEqual("damaged", self.fault(place=f"/dev/{other}").code)

    def test_ironics_ephemeral_partition(self) -> None:
        self.assertEqual("absent", self.fault(place="ephemeral").code)
        run("mkfs.ext4", "-q", "-L", "ephemeral0", f"/dev/{self.disk}")
        found = self.find_or_make(place="ephemeral")
        self.assertFalse(found.made)
        self.assertEqual(self.disk, found.device.name)


class TestContent(unittest.TestCase):
    """What is moved there, and what comes back."""

    def setUp(self) -> None:
        holder = tempfile.TemporaryDirectory(dir="/var/tmp")
        self.addCleanup(holder.cleanup)
        self.path = Path(holder.name).resolve()
        self.state = self.path / "state"
        self.state.mkdir()
        self.root = self.deployed("first")

    def deployed(self, name: str, postgres: int = 105) -> Path:
        """The root of an image in which a service has a directory."""
        images.keep_mounts_private()
        root = self.path / name
        kept = root / "var/lib/postgresql"
        kept.mkdir(parents=True)
        (kept / "PG_VERSION").write_text(f"{name}\n")
        (root / "etc/ssh").mkdir(parents=True)
        (root / "etc/passwd").write_text(
            f"root:x:0:0::/:\npostgres:x:{postgres}:{postgres}::/:\n"
        )
        (root / "etc/group").write_text(f"root:x:0:\npostgres:x:{postgres}:\n")
        for path in (kept, kept / "PG_VERSION"):
            os.chown(path, postgres, postgres)
            os.setxattr(path, "security.selinux", b"postgresql_db_t\0")
        kept.chmod(0o2750)
        os.link(kept / "PG_VERSION", kept / "again")
        return root

    def bound(self, root: Path) -> Path:
        content = Content(self.state, root)
        content.prepare()
        content.own_again()
        content.bind("/var/lib/postgresql")
        place = root / "var/lib/postgresql"
        self.addCleanup(run, "umount", str(place))
        return place

    def test_a_directory_is_moved_with_all_that_it_is(self) -> None:
        place = self.bound(self.root)
        told = place.stat()
        self.assertEqual(
            (0o42750, 105, 105), (told.st_mode, told.st_uid, told.st_gid)
        )
        file = place / "PG_VERSION"
        self.assertEqual("first\n", file.read_text())
        self.assertEqual(2, file.stat().st_nlink)
        for path in (place, file):
            self.assertEqual(
                b"postgresql_db_t\0", os.getxattr(path, "security.selinux")
            )

    def test_the_next_image_finds_it_and_its_owner(self) -> None:
        (self.bound(self.root) / "PG_VERSION").write_text("changed\n")
        place = self.bound(self.deployed("second", postgres=107))
        file = place / "PG_VERSION"
        self.assertEqual("changed\n", file.read_text())
        for path in (place, file):
            told = path.stat()
            self.assertEqual((107, 107), (told.st_uid, told.st_gid))
            self.assertEqual(
                b"postgresql_db_t\0", os.getxattr(path, "security.selinux")
            )
        self.assertEqual(0o42750, place.stat().st_mode)

    def test_a_full_one_takes_all_or_nothing(self) -> None:
        file = self.path / "small"
        with file.open("wb") as target:
            target.truncate(8 * MiB)
        run("mkfs.ext4", "-q", str(file))
        run("mount", "-o", "loop", str(file), str(self.state))
        self.addCleanup(run, "umount", str(self.state))
        large = self.root / "var/lib/postgresql/large"
        large.write_bytes(b"x" * 16 * MiB)
        content = Content(self.state, self.root)
        content.prepare()
        with self.assertRaises((OSError, Fault)):
            content.bind("/var/lib/postgresql")
        self.assertEqual(
            [], [path.name for path in self.state.rglob("*postgresql*")]
        )
        self.assertEqual(16 * MiB, large.stat().st_size)

    def test_files_come_back(self) -> None:
        key = self.root / "etc/ssh/ssh_host_rsa_key"
        key.write_text("secret")
        key.chmod(0o600)
        os.setxattr(key, "security.selinux", b"sshd_key_t\0")
        (self.root / "etc/ssh/sshd_config").write_text("no")
        content = Content(self.state, self.root)
        content.prepare()
        pattern = "/etc/ssh/ssh_host_*_key*"
        name = "/etc/ssh/ssh_host_rsa_key"
        self.assertEqual([name], content.save(pattern))
        self.assertEqual([], content.save(pattern))
        newer = self.deployed("newer")
        self.assertEqual([name], Content(self.state, newer).restore(pattern))
        again = newer / "etc/ssh/ssh_host_rsa_key"
        self.assertEqual("secret", again.read_text())
        self.assertEqual(0o100600, again.stat().st_mode)
        self.assertEqual(
            b"sshd_key_t\0", os.getxattr(again, "security.selinux")
        )
        self.assertFalse((newer / "etc/ssh/sshd_config").exists())


def checksum(file: Path) -> int:
    """Of all that was ever written to a sparse file."""
    (looped,) = run("losetup", "-n", "-O", "NAME", "-j", str(file)).split()
    with Path(looped).open("rb") as device:
        os.fsync(device.fileno())
    found = where = 0
    # The end of the data is an error to lseek.
    with file.open("rb") as data, contextlib.suppress(OSError):
        while True:
            where = os.lseek(data.fileno(), where, os.SEEK_DATA)
            where -= where % PIECE
            data.seek(where)
            piece = data.read(PIECE)
            # What was never written reads as zeros, allocated or not.
            if piece.strip(b"\0"):
                found = zlib.crc32(b"%d" % where + piece, found)
            where += PIECE
    return found


def run(*argv: str, stdin: str = "") -> str:
    done = subprocess.run(argv, input=stdin, capture_output=True, text=True)
    if done.returncode:
        raise AssertionError(f"{argv}: {done.stdout}{done.stderr}")
    return done.stdout
