"""Ubuntu out of an archive of its own, whose packages are Debian's.

What makes a machine of it, a kernel and the like, is there in name only: a
chroot is what its hooks run in, and nothing here is booted.
"""

import hashlib
from pathlib import Path
import shutil
import tarfile
import tempfile
from typing import ClassVar

from tests import apt_archive, serving
from tests.integration.engine import tiny

ELEMENTS = apt_archive.CHECKOUT / "elements"
# Newer than what any package would have made way for.
LATEST = "9:999"
KERNEL = "6.8.0-99-generic"

OS_RELEASE = """\
PRETTY_NAME="Ubuntu 24.04.4 LTS"
NAME="Ubuntu"
VERSION_ID="24.04"
VERSION_CODENAME=noble
ID=ubuntu
ID_LIKE=debian
"""

# Of these there is nothing but the name.
EMPTY = """
    busybox ca-certificates cloud-guest-utils curl dbus e2fsprogs fdisk
    iproute2 kmod libpam-systemd mount netplan.io procps python3 sudo
    systemd-resolved ubuntu-keyring udev zstd
"""

# What cloud-init's package says of the distribution's user.
CLOUD_CONFIG = """users: [default]
system_info: {distro: ubuntu, default_user: {name: ubuntu}}
"""

UNITS = "usr/lib/systemd/system"
# And of these what our hooks look for.
FILES = {
    "cloud-init": {
        "etc/cloud/cloud.cfg": CLOUD_CONFIG,
        "etc/cloud/cloud.cfg.d/05_logging.cfg": "",
        f"{UNITS}/cloud-init.service": "",
    },
    "openssh-server": {
        "etc/ssh/sshd_config": "UsePAM yes\n",
        f"{UNITS}/ssh.service": "",
        "usr/sbin/sshd": "#!/bin/sh\necho passwordauthentication no\n",
    },
    "openssh-client": {"usr/bin/ssh-keygen": "#!/bin/sh\n"},
    "systemd-sysv": {"usr/bin/systemctl": "#!/bin/sh\necho $*\n"},
    "systemd-timesyncd": {f"{UNITS}/systemd-timesyncd.service": ""},
}

UPDATE_INITRAMFS = """#!/bin/sh
set -e
while [ "$1" != -k ]; do shift; done
echo initramfs >"/boot/initrd.img-$2"
"""


def fill(archive: apt_archive.Archive) -> None:
    """Put a whole system into the archive."""
    with tempfile.TemporaryDirectory() as held:
        for deb in apt_archive.debian_packages(
            Path(held), "?essential", "apt", "usr-is-merged"
        ):
            if deb.name.startswith("base-files_"):
                archive.change(deb, "usr/lib/os-release", OS_RELEASE)
            else:
                archive.add(deb)
    for name in EMPTY.split():
        archive.make(name, version=LATEST)
    for name, files in FILES.items():
        archive.make(name, version=LATEST, files=files)
    archive.make(
        "initramfs-tools",
        version=LATEST,
        files={"usr/sbin/update-initramfs": UPDATE_INITRAMFS},
    )
    archive.make(
        "linux-image-generic",
        files={
            f"boot/vmlinuz-{KERNEL}": "kernel",
            f"usr/lib/modules/{KERNEL}/modules.order": "",
        },
        postinst=f"update-initramfs -c -k {KERNEL}",
    )
    archive.make("hello", files={"usr/bin/hello": "#!/bin/sh\necho hello\n"})


class UbuntuMinimal(tiny.TinyBuild):
    maxDiff = None
    keys: ClassVar[apt_archive.Keys]
    ring: ClassVar[Path]
    mirror: ClassVar[str]
    made: ClassVar[tiny.Running | None] = None
    tree: ClassVar[Path]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.keys = apt_archive.Keys()
        cls.addClassCleanup(cls.keys.close)
        cls.ring = cls.keys.make("archive")
        holder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(holder.cleanup)
        cls.tree = Path(holder.name, "tree.tar")
        cls.archive = apt_archive.Archive(Path(holder.name, "archive"))
        fill(cls.archive)
        for suite in ("noble", "noble-updates", "noble-security"):
            cls.archive.suite(
                suite,
                cls.keys,
                key="archive",
                components=("main", "universe"),
            )
        cls.mirror = serving.serve(cls, cls.archive.place)

    def setUp(self) -> None:
        super().setUp()
        # A build has a /tmp of its own, and sees elements in any case.
        self.keyring = self.elements / "ring.gpg"
        shutil.copy(self.ring, self.keyring)

    def built(
        self, *elements: str, base: str = "ubuntu-minimal", **environment: str
    ) -> tiny.Running:
        return self.build(
            elements=[base, *elements],
            formats=["tar"],
            name="ubuntu",
            options=("--element-path", f"{ELEMENTS}:{self.elements}"),
            environment={
                "DIB_DISTRIBUTION_MIRROR": self.mirror,
                "DIB_UBUNTU_MIRROR_DISTS": "updates,security",
                "DIB_APT_KEYRING": str(self.keyring),
                **environment,
            },
        )

    def minimal(self) -> tiny.Running:
        """The build from packages: once, for all tests of the class."""
        if self.made:
            return self.made
        self.element(
            "probe",
            {
                "element-deps": "package-installs\n",
                "package-installs.yaml": "hello:\n",
                "post-install.d/50-probe": "hello\n"
                "dpkg-query --show --showformat "
                "'${Package} ${db:Status-Abbrev}\\n'\n"
                "apt-get --quiet update | sed 's/^/update: /'\n",
            },
        )
        built = self.built("probe")
        self.assertEqual(0, built.code, built.lines()[-40:])
        shutil.copy(self.output / "ubuntu.tar", self.tree)
        self.assert_nothing_is_left()
        type(self).made = built
        return built

    def test_packages_become_a_system_that_hooks_run_in(self) -> None:
        built = self.minimal()
        said = built.lines("50-probe")
        self.assertEqual("hello", said[0])
        packages = [line for line in said[1:] if "update:" not in line]
        states = dict(line.split() for line in packages)
        self.assertEqual({"ii"}, set(states.values()))
        self.assertIn("linux-image-generic", states)
        self.assertTrue(any("noble-security" in line for line in said), said)
        [event] = built.of_kind("manifest")
        self.assertEqual("ubuntu", event["manifest"]["image"]["os_distro"])
        self.assertEqual("24.04", event["manifest"]["image"]["os_version"])
        with tarfile.open(self.tree) as tree:
            names = {name.lstrip("./") for name in tree.getnames()}
            self.assertEqual(
                "".join(
                    "deb [signed-by=/etc/apt/keyrings/dib-archive.gpg]"
                    f" {self.mirror} {suite} main universe\n"
                    for suite in ("noble", "noble-updates", "noble-security")
                ),
                _content(tree, "etc/apt/sources.list").decode(),
            )
            self.assertEqual(
                self.ring.read_bytes(),
                _content(tree, "etc/apt/keyrings/dib-archive.gpg"),
            )
        self.assertIn(f"boot/initrd.img-{KERNEL}", names)
        self.assertNotIn("usr/sbin/update-initramfs.dib", names)

    def test_a_cloud_image_becomes_a_machine_of_ours(self) -> None:
        self.minimal()
        mirror = self.elements / "images"
        mirror.mkdir()
        name = "noble-server-cloudimg-amd64.squashfs"
        with self.tree.open("rb") as tree:
            apt_archive.run("sqfstar", mirror / name, stdin=tree)
        digest = hashlib.sha256((mirror / name).read_bytes()).hexdigest()
        sums = mirror / "SHA256SUMS"
        sums.write_text(f"{digest} *{name}\n")
        self.keys.detach(sums, mirror / "SHA256SUMS.gpg", key="archive")
        more = self.elements / "keys"
        more.mkdir()
        shutil.copy(self.ring, more / "more.gpg")
        built = self.built(
            base="ubuntu",
            DIB_ADD_APT_KEYS=str(more),
            DIB_CLOUD_IMAGES=f"file://{mirror}",
            DIB_CLOUD_IMAGE_KEYRING=str(self.keyring),
        )
        self.assertEqual(0, built.code, built.lines()[-40:])
        [event] = built.of_kind("manifest")
        said = event["manifest"]["image"]
        self.assertEqual("ubuntu", said["os_distro"])
        self.assertEqual("ubuntu", said["os_admin_user"])
        self.assertEqual(["ConfigDrive", "OpenStack"], said["datasources"])
        self.assertIn("enable growroot.service", built.lines())
        with tarfile.open(self.output / "ubuntu.tar") as tree:
            self.assertEqual(
                self.ring.read_bytes(),
                _content(tree, "etc/apt/trusted.gpg.d/more.gpg"),
            )
        self.assert_nothing_is_left()


def _content(tree: tarfile.TarFile, name: str) -> bytes:
    file = tree.extractfile(f"./{name}")
    assert file
    return file.read()
