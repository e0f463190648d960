"""Hooks run in a cloud image of an RPM distribution, with its package manager.

The kernel that it is left with is one for any machine.
"""

from collections.abc import Iterator
import contextlib
import hashlib
import json
from pathlib import Path
import shutil
import subprocess
import tempfile

from tests import apt_archive, rpm_packages, serving
from tests.integration import test_rpm_distributions as distributions

ELEMENTS = apt_archive.CHECKOUT / "elements"
IMAGE = "Fedora-Cloud-Base-Generic-42-1.1.x86_64.qcow2"
SUMS = "Fedora-Cloud-42-1.1-x86_64-CHECKSUM"

# As in Fedora's own; dnf has the variables.
REPOSITORY = """\
[fedora]
name=Fedora $releasever - $basearch
#baseurl=http://download.example/pub/fedora/linux/releases/42/Everything/os/
metalink=https://mirrors.invalid/metalink?repo=fedora-42&arch=$basearch
enabled=1
gpgcheck=1
gpgkey=file:///etc/pki/rpm-gpg/RPM-GPG-KEY-fedora
"""


class CloudImages(distributions.Case):
    def trial(self, distribution: str, *paths: str, needs: str) -> Path:
        """An element of these files of the distribution's own.

        The rest is what makes a machine of it, for which there are no packages
        here.
        """
        trial = self.place / "elements/trial"
        for path in paths:
            (trial / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ELEMENTS / distribution / path, trial / path)
        (trial / "element-deps").write_text(needs)
        return trial

    def installed(self, found: dict[str, str | None]) -> set[str]:
        manifest = found["etc/dib-manifests/dib-manifest-rpm-image"] or ""
        return {each["package"] for each in json.loads(manifest)["packages"]}

    def test_fedora(self) -> None:
        keys = apt_archive.Keys()
        self.addCleanup(keys.close)
        trial = self.trial(
            "fedora",
            "environment.d/10-fedora.bash",
            "package-installs.yaml",
            needs="cloud-image\nrpm-distro\nyum\n",
        )
        (trial / "element-provides").write_text("operating-system\n")
        ring = trial / "ring.gpg"
        shutil.copy(keys.make("publisher"), ring)

        found = self.of_mirror("fedora-minimal", "42")
        self.assertNotIn(rpm_packages.MODULE[1:], found)
        images = self.publish(self.output / "image.raw", keys)
        found = self.built(
            "trial",
            DIB_RELEASE="42",
            DIB_CLOUD_IMAGES=serving.serve(self, images),
            DIB_CLOUD_IMAGE_KEYRING=str(ring),
            DIB_DISTRIBUTION_MIRROR=self.mirror(),
        )
        self.assertEqual(
            "pre-install.d\n"
            + "".join(
                f"{phase} fedora it is here\n"
                for phase in distributions.PHASES
            ),
            found["trace"],
        )
        self.assertEqual(REPOSITORY, found["etc/yum.repos.d/fedora.repo"])
        self.assertNotIn("etc/yum.repos.d/dib-fedora.repo", found)
        self.assertEqual("", found["etc/machine-id"])
        self.assertIn(rpm_packages.MODULE[1:], found)

    def test_opensuse_trades_its_kernel_for_the_whole_one(self) -> None:
        self.trial(
            "opensuse",
            "pre-install.d/05-whole-kernel",
            needs="opensuse-minimal\n",
        )
        found = self.built(
            "trial",
            DIB_RELEASE="15.6",
            DIB_DISTRIBUTION_MIRROR=self.mirror(),
            DIB_RPM_KERNEL="kernel-default-base",
        )
        installed = self.installed(found)
        self.assertIn("kernel-default", installed)
        self.assertNotIn("kernel-default-base", installed)
        self.assertIn(rpm_packages.MODULE[1:], found)

    def publish(self, raw: Path, keys: apt_archive.Keys) -> Path:
        """The directory of a publisher who has this image."""
        # That one is mounted, to be read.
        copy = self.place / "copy.raw"
        shutil.copy(raw, copy)
        with self.mounted(copy) as tree:
            for old in (tree / "etc/yum.repos.d").iterdir():
                old.unlink()
            (tree / "etc/yum.repos.d/fedora.repo").write_text(REPOSITORY)
            key = tree / "etc/pki/rpm-gpg/RPM-GPG-KEY-fedora"
            key.parent.mkdir(parents=True, exist_ok=True)
            key.write_bytes(self.keys.read_bytes())
            subprocess.run(
                ["/usr/sbin/chroot", tree, "rpm", "--erase", "wanted"],
                check=True,
            )
        images = self.place / "images"
        images.mkdir()
        apt_archive.run(
            *("qemu-img", "convert", "-f", "raw", "-O", "qcow2"),
            *(copy, images / IMAGE),
        )
        digest = hashlib.sha256((images / IMAGE).read_bytes()).hexdigest()
        listed = self.place / "listed"
        listed.write_text(f"SHA256 ({IMAGE}) = {digest}\n")
        keys.clearsign(listed, images / SUMS, key="publisher")
        return images

    @contextlib.contextmanager
    def mounted(self, raw: Path) -> Iterator[Path]:
        tree = Path(tempfile.mkdtemp(dir=self.place))
        subprocess.run(["mount", "-o", "loop", raw, tree], check=True)
        try:
            yield tree
        finally:
            subprocess.run(["umount", tree], check=True)
