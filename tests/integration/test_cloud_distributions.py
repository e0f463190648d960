"""Each distribution's cloud image, under its publisher's names and layout."""

from collections.abc import Iterator, Mapping, Sequence
import contextlib
import dataclasses
import hashlib
import os
from pathlib import Path
import subprocess
import tempfile
import zlib

from tests import apt_archive, serving
from tests.integration import publisher

ELEMENTS = apt_archive.CHECKOUT / "elements"
MIB = 1024 * 1024
ESP = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
XBOOTLDR = "BC13C2FF-59E6-4262-A352-B275FD6F7172"
LINUX = "0FC63DAF-8483-4772-8E79-3D69D8477DE4"
LVM = "E6D6D379-F507-44C2-A23C-238F2A3DF928"

run = apt_archive.run


@dataclasses.dataclass(frozen=True)
class Part:
    """A partition; ``files`` by subvolume, which is empty but on btrfs.

    ``default`` is the subvolume that is mounted when none is named.
    """

    kind: str
    size: int
    files: Mapping[str, Mapping[str, str]]
    type: str = LINUX
    label: str = ""
    default: str = ""


OS_RELEASE = {"usr/lib/os-release": "ID=x\n", "etc/hostname": "root\n"}
BOOT = {"": {"vmlinuz": "kernel"}}
UEFI = {"": {"EFI/BOOT/BOOTX64.EFI": "shim"}}

# What each has, in the order of its partitions' numbers.
FEDORA = (
    Part("vfat", 8, UEFI, ESP, "EFI"),
    Part("ext4", 16, BOOT, XBOOTLDR, "BOOT"),
    Part(
        "btrfs",
        128,
        {
            "root": {
                **OS_RELEASE,
                "etc/fstab": "LABEL=fedora / btrfs subvol=root 0 0\n"
                "LABEL=fedora /home btrfs compress=zstd:1,subvol=home 0 0\n"
                "LABEL=fedora /var btrfs subvol=var 0 0\n"
                "LABEL=BOOT /boot ext4 defaults 0 0\n"
                "LABEL=EFI /boot/efi vfat umask=0077 0 2\n",
                "boot/.keep": "",
                "home/.keep": "",
                "var/.keep": "",
            },
            "home": {"who": "home"},
            "var": {"lib/rpm/db": "db"},
        },
        label="fedora",
    ),
)
OPENSUSE = (
    Part("vfat", 8, UEFI, ESP, "EFI"),
    Part(
        "btrfs",
        128,
        {
            "@": {},
            "@/.snapshots": {},
            "@/.snapshots/1": {},
            "@/.snapshots/1/snapshot": {
                **OS_RELEASE,
                "etc/fstab": "LABEL=ROOT / btrfs defaults 0 0\n"
                "LABEL=ROOT /home btrfs subvol=/@/home 0 0\n"
                "LABEL=ROOT /var btrfs subvol=/@/var 0 0\n"
                "LABEL=EFI /boot/efi vfat defaults 0 0\n",
                "boot/vmlinuz": "kernel",
                "boot/efi/.keep": "",
                "home/.keep": "",
                "var/.keep": "",
            },
            "@/home": {"who": "home"},
            "@/var": {"lib/rpm/db": "db"},
        },
        label="ROOT",
        default="@/.snapshots/1/snapshot",
    ),
)
# The first is the root, and lies behind all others.
UBUNTU = (
    Part(
        "ext4",
        32,
        {
            "": {
                **OS_RELEASE,
                "etc/fstab": "LABEL=cloudimg-rootfs / ext4 defaults 0 1\n"
                "LABEL=BOOT /boot ext4 defaults 0 2\n"
                "LABEL=UEFI /boot/efi vfat umask=0077 0 1\n",
                "boot/.keep": "",
                "home/who": "home",
                "var/lib/rpm/db": "db",
            }
        },
        label="cloudimg-rootfs",
    ),
    Part("vfat", 8, UEFI, ESP, "UEFI"),
    Part("ext4", 16, BOOT, LINUX, "BOOT"),
)
# Mounted by type: there is no fstab.
XFS = (
    Part("vfat", 8, UEFI, ESP),
    Part("ext4", 16, BOOT, XBOOTLDR),
    Part(
        "xfs",
        320,
        {
            "": {
                **OS_RELEASE,
                "boot/.keep": "",
                "home/who": "home",
                "var/lib/rpm/db": "db",
            }
        },
    ),
)


@dataclasses.dataclass(frozen=True)
class Published:
    """What a publisher's directory has; ``{sum}`` is the image's."""

    image: str
    layout: Sequence[Part]
    sums: str
    listed: str
    signature: str
    release: str
    asked: Mapping[str, str] = dataclasses.field(default_factory=dict)


PUBLISHED = {
    "fedora": Published(
        "Fedora-Cloud-Base-Generic-43-1.6.x86_64.qcow2",
        FEDORA,
        "Fedora-Cloud-43-1.6-x86_64-CHECKSUM",
        "# Fedora-Cloud-Base-AmazonEC2-43-1.6.x86_64.raw.xz: 1 bytes\n"
        f"SHA256 (Fedora-Cloud-Base-AmazonEC2-43-1.6.x86_64.raw.xz)"
        f" = {'0' * 64}\n"
        "SHA256 ({image}) = {sum}\n",
        "inline",
        "43",
    ),
    "opensuse": Published(
        "openSUSE-Leap-15.6-Minimal-VM.x86_64-Cloud.qcow2",
        OPENSUSE,
        "openSUSE-Leap-15.6-Minimal-VM.x86_64-Cloud.qcow2.sha256",
        "{sum}  openSUSE-Leap-15.6-Minimal-VM.x86_64-15.6.0-Cloud-"
        "Build16.34.qcow2\n",
        "openSUSE-Leap-15.6-Minimal-VM.x86_64-Cloud.qcow2.sha256.asc",
        "15.6",
    ),
    "opensuse-16": Published(
        "Leap-16.0-Minimal-VM.x86_64-Cloud.qcow2",
        OPENSUSE,
        "Leap-16.0-Minimal-VM.x86_64-Cloud.qcow2.sha256",
        "{sum}  Leap-16.0-Minimal-VM.x86_64-16.0.0-Cloud-Build16.2.qcow2\n",
        "Leap-16.0-Minimal-VM.x86_64-Cloud.qcow2.sha256.asc",
        "16.0",
    ),
    "ubuntu": Published(
        "jammy-server-cloudimg-amd64.img",
        UBUNTU,
        "SHA256SUMS",
        f"{'0' * 64} *jammy-server-cloudimg-amd64.squashfs\n"
        "{sum} *{image}\n",
        "SHA256SUMS.gpg",
        "jammy",
        # The default is the squashfs.
        {"BASE_IMAGE_FILE": "jammy-server-cloudimg-amd64.img"},
    ),
    "centos": Published(
        "CentOS-Stream-GenericCloud-10-20250812.0.x86_64.qcow2",
        XFS,
        "CHECKSUM",
        "SHA256 (CentOS-Stream-GenericCloud-10-20250101.0.x86_64.qcow2)"
        f" = {'0' * 64}\n"
        "SHA256 ({image}) = {sum}\n",
        "CHECKSUM.asc",
        "10-stream",
    ),
    "rocky": Published(
        "Rocky-10-GenericCloud-Base-10.0-20250609.1.x86_64.qcow2",
        XFS,
        "CHECKSUM",
        "SHA256 ({image}) = {sum}\n",
        "CHECKSUM.sig",
        "10",
    ),
}


class Distributions(publisher.PublisherCase):
    """The element's environment, and the hook that it is there for."""

    def setUp(self) -> None:
        super().setUp()
        self.hooks.mkdir()
        for element, directory in (
            ("cache-url", "bin"),
            ("cloud-image", "cloud-image-tools"),
            ("cloud-image", "root.d"),
            ("sysprep", "disk-image-tools"),
        ):
            (self.hooks / directory).symlink_to(ELEMENTS / element / directory)

    def publish(self, published: Published) -> str:
        """The URL of the publisher's directory."""
        mirror = self.place / "mirror"
        mirror.mkdir()
        image = mirror / published.image
        pack(published.layout, image, self.place)
        text = published.listed.format(
            sum=hashlib.sha256(image.read_bytes()).hexdigest(),
            image=image.name,
        )
        sums = mirror / published.sums
        if published.signature == "inline":
            plain = self.place / "sums"
            plain.write_text(text)
            self.keys.clearsign(plain, sums, key="publisher")
        else:
            sums.write_text(text)
            self.keys.detach(
                sums,
                mirror / published.signature,
                key="publisher",
                armored=published.signature.endswith(".asc"),
            )
        return serving.serve(self, mirror)

    def ended(
        self, element: str, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        self.root = Path(tempfile.mkdtemp(dir=self.place))
        snippets = [
            *(ELEMENTS / "cloud-image/environment.d").iterdir(),
            *(ELEMENTS / element / "environment.d").iterdir(),
        ]
        sourced = "".join(
            f". {path}; " for path in sorted(snippets, key=lambda p: p.name)
        )
        return subprocess.run(
            [
                *("bash", "-eu", "-c"),
                f"{sourced} exec {self.hooks}/root.d/10-cloud-image",
            ],
            env={
                "PATH": os.environ["PATH"],
                "LC_ALL": "C",
                "ARCH": "amd64",
                "TMP_HOOKS_PATH": str(self.hooks),
                "TARGET_ROOT": str(self.root),
                "DIB_IMAGE_CACHE": str(self.place / "cache"),
                **environment,
            },
            capture_output=True,
            text=True,
        )

    def assert_whole(self) -> None:
        for name, text in (
            ("etc/hostname", "root\n"),
            ("home/who", "home"),
            ("var/lib/rpm/db", "db"),
            ("boot/vmlinuz", "kernel"),
        ):
            self.assertEqual(text, (self.root / name).read_text(), name)
        self.assertNotIn(str(self.place), Path("/proc/mounts").read_text())

    def build(self, element: str, name: str = "") -> None:
        published = PUBLISHED[name or element]
        done = self.ended(
            element,
            DIB_CLOUD_IMAGES=self.publish(published),
            DIB_CLOUD_IMAGE_KEYRING=str(self.ring),
            DIB_RELEASE=published.release,
            **published.asked,
        )
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)
        self.assert_whole()

    def test_fedora(self) -> None:
        self.build("fedora")

    def test_opensuse(self) -> None:
        self.build("opensuse")

    def test_opensuse_since_leap_16(self) -> None:
        self.build("opensuse", "opensuse-16")

    def test_ubuntu(self) -> None:
        self.build("ubuntu")

    def test_centos(self) -> None:
        self.build("centos")

    def test_rocky(self) -> None:
        self.build("rocky")

    def test_rhel_is_a_file_of_the_host(self) -> None:
        image = self.place / "rhel-9.6.qcow2"
        pack(XFS, image, self.place)
        done = self.ended("rhel", DIB_LOCAL_IMAGE=str(image))
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)
        self.assert_whole()
        done = self.ended("rhel")
        self.assertIn("no DIB_CLOUD_IMAGES, and no DIB_LOCAL", done.stderr)

    def test_files_in_lvm_are_said_to_be_so(self) -> None:
        image = self.place / "lvm.qcow2"
        pack(
            (Part("vfat", 8, UEFI, ESP), Part("lvm", 16, {}, LVM)),
            image,
            self.place,
        )
        done = self.ended("rhel", DIB_LOCAL_IMAGE=str(image))
        self.assertNotEqual(0, done.returncode)
        self.assertIn("lvm.qcow2 keeps its files in LVM", done.stderr)


def pack(layout: Sequence[Part], image: Path, place: Path) -> None:
    """Make a disk of this layout, as a qcow2."""
    disk = place / "disk"
    disk.unlink(missing_ok=True)
    disk.touch()
    os.truncate(disk, (sum(part.size for part in layout) + 2) * MIB)
    # The first one last, as Ubuntu has it; its number is still the first.
    table, starts, start = "label: gpt\n", [0] * len(layout), 1
    for number in [*range(1, len(layout)), 0]:
        part = layout[number]
        starts[number] = start
        table += (
            f"{disk}{number + 1} : start={start}MiB, size={part.size}MiB,"
            f" type={part.type}\n"
        )
        start += part.size
    run("sfdisk", "--quiet", disk, input=table)
    for part, at in zip(layout, starts, strict=True):
        _fill(part, disk, at * MIB, place)
    run("qemu-img", "convert", "-O", "qcow2", disk, image)


def _fill(part: Part, disk: Path, start: int, place: Path) -> None:
    if part.kind == "vfat":
        _vfat(part, disk, start, place)
        return
    with _loop(disk, start, part.size * MIB) as device:
        if part.kind == "lvm":
            with Path(device).open("r+b") as raw:
                raw.seek(512)
                raw.write(_physical_volume())
            return
        label = ("-L", part.label) if part.label else ()
        force = "-F" if part.kind == "ext4" else "-f"
        run(f"mkfs.{part.kind}", "-q", force, *label, device)
        with _mounted(device, place) as tree:
            for subvolume, files in part.files.items():
                if subvolume:
                    run("btrfs", "subvolume", "create", tree / subvolume)
                for name, text in files.items():
                    path = tree / subvolume / name
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_text(text)
            if part.default:
                run("btrfs", "subvolume", "set-default", tree / part.default)


def _physical_volume() -> bytes:
    """The sector that LVM knows a volume by; LVM is not at hand."""
    rest = (32).to_bytes(4, "little") + b"LVM2 001" + b"0" * 32
    rest += bytes(512 - 20 - len(rest))
    # LVM's own start value, and no inversion.
    checksum = zlib.crc32(rest, 0xF597A6CF ^ 0xFFFFFFFF) ^ 0xFFFFFFFF
    head = b"LABELONE" + (1).to_bytes(8, "little")
    return head + checksum.to_bytes(4, "little") + rest


def _vfat(part: Part, disk: Path, start: int, place: Path) -> None:
    esp = place / "esp"
    esp.write_bytes(bytes(part.size * MIB))
    run("mkfs.vfat", "-n", part.label or "NONAME", esp)
    for name, text in part.files[""].items():
        path = Path(name)
        for parent in [*path.parents][-2::-1]:
            run("mmd", "-i", esp, f"::{parent}")
        file = place / "file"
        file.write_text(text)
        run("mcopy", "-i", esp, file, f"::{name}")
    with disk.open("r+b") as raw:
        raw.seek(start)
        raw.write(esp.read_bytes())


@contextlib.contextmanager
def _loop(disk: Path, start: int, size: int) -> Iterator[str]:
    device = run(
        *("losetup", "--find", "--show"),
        *("--offset", start, "--sizelimit", size, disk),
    ).strip()
    try:
        yield device
    finally:
        run("losetup", "--detach", device)


@contextlib.contextmanager
def _mounted(device: str, place: Path) -> Iterator[Path]:
    tree = Path(tempfile.mkdtemp(dir=place))
    run("mount", device, tree)
    try:
        yield tree
    finally:
        run("umount", tree)
        tree.rmdir()
