"""Hooks run in a cloud image of an RPM distribution, with its own dnf."""

from collections.abc import Iterator
import contextlib
import hashlib
from pathlib import Path
import shutil
import subprocess
import tempfile

from tests import apt_archive, serving
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
    def test_fedora(self) -> None:
        keys = apt_archive.Keys()
        self.addCleanup(keys.close)
        trial = self.place / "elements/trial"
        (trial / "environment.d").mkdir(parents=True)
        shutil.copy(
            ELEMENTS / "fedora/environment.d/10-fedora.bash",
            trial / "environment.d",
        )
        # The rest is what makes a machine of it, for which there are no
        # packages here.
        (trial / "element-deps").write_text("cloud-image\nrpm-distro\nyum\n")
        (trial / "element-provides").write_text("operating-system\n")
        ring = trial / "ring.gpg"
        shutil.copy(keys.make("publisher"), ring)

        self.of_mirror("fedora-minimal", "42")
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
