"""A distribution's cloud image is what its publisher signed, or nothing is."""

import hashlib
import os
from pathlib import Path
import shutil
import subprocess
import tempfile

from tests import apt_archive, serving
from tests.integration import publisher

ELEMENTS = apt_archive.CHECKOUT / "elements"
IMAGE = "tiny-1.2.squashfs"


class HalfOf(serving.Quiet):
    """Ends the connection in the middle of an image."""

    def copyfile(self, source, outputfile) -> None:
        data = source.read()
        whole = not self.path.endswith(".squashfs")
        outputfile.write(data if whole else data[: len(data) // 2])


class CloudImage(publisher.PublisherCase):
    """An image, the list of its checksum, and the hook that fetches it."""

    def setUp(self) -> None:
        super().setUp()
        self.mirror = self.place / "mirror"
        self.mirror.mkdir()
        self.cache = self.place / "cache"
        shutil.copytree(ELEMENTS / "cloud-image", self.hooks)
        shutil.copytree(ELEMENTS / "cache-url/bin", self.hooks / "bin")
        shutil.copytree(
            ELEMENTS / "sysprep/disk-image-tools",
            self.hooks / "disk-image-tools",
        )
        self.image = self.squashfs(IMAGE, "one")
        self.list_sums()

    def squashfs(self, name: str, text: str) -> Path:
        tree = Path(tempfile.mkdtemp(dir=self.place))
        (tree / "etc").mkdir()
        (tree / "usr").mkdir()
        (tree / "etc/hostname").write_text(text)
        os.chown(tree / "etc/hostname", 1234, 1234)
        image = self.mirror / name
        image.unlink(missing_ok=True)
        apt_archive.run("mksquashfs", tree, image, "-quiet", "-no-progress")
        return image

    def list_sums(self, form: str = "{sum}  {name}", **signed: object) -> None:
        """Write the list as it is now, and what is signed beside it."""
        sums = self.mirror / "SHA256SUMS"
        sums.write_text(
            "# of images\n"
            + "".join(
                form.format(sum=_sum(image), name=image.name) + "\n"
                for image in sorted(self.mirror.glob("*.squashfs"))
            )
        )
        how = {"key": "publisher", **signed}
        self.keys.detach(sums, self.mirror / "SHA256SUMS.gpg", **how)
        self.keys.clearsign(sums, self.mirror / "SHA256SUMS.asc", **how)

    def ended(
        self, mirror: str = "", **environment: str
    ) -> subprocess.CompletedProcess[str]:
        self.root = Path(tempfile.mkdtemp(dir=self.place))
        return subprocess.run(
            [self.hooks / "root.d/10-cloud-image"],
            env={
                "PATH": os.environ["PATH"],
                "LC_ALL": "C",
                "ARCH": "amd64",
                "TMP_HOOKS_PATH": str(self.hooks),
                "TARGET_ROOT": str(self.root),
                "DIB_IMAGE_CACHE": str(self.cache),
                "DIB_CLOUD_IMAGES": mirror or serving.serve(self, self.mirror),
                "BASE_IMAGE_FILE": IMAGE,
                "DIB_CLOUD_IMAGE_SUMS": "SHA256SUMS",
                "DIB_CLOUD_IMAGE_SIGNATURE": "SHA256SUMS.gpg",
                "DIB_CLOUD_IMAGE_KEYRING": str(self.ring),
                **environment,
            },
            capture_output=True,
            text=True,
        )

    def assert_unpacked(self, text: str, **options: str) -> None:
        done = self.ended(**options)
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)
        name = self.root / "etc/hostname"
        self.assertEqual(text, name.read_text())
        self.assertEqual(1234, name.stat().st_uid)

    def assert_refused(self, why: str, **options: str) -> None:
        done = self.ended(**options)
        self.assertNotEqual(0, done.returncode)
        self.assertIn(why, done.stderr)
        self.assertEqual([], list(self.root.iterdir()))

    def kept(self) -> list[Path]:
        """The images in the cache, and what may be half of one."""
        return [
            path
            for path in (self.cache / "cloud-image").iterdir()
            if path.suffix not in (".list", ".lock")
        ]

    def test_what_is_signed_is_unpacked_and_kept_by_its_sum(self) -> None:
        self.assert_unpacked("one")
        [kept] = self.kept()
        self.assertEqual(_sum(self.image), kept.name)
        self.assertEqual(self.image.read_bytes(), kept.read_bytes())

    def test_each_form_of_list_and_signature(self) -> None:
        for form in (
            "{sum} *{name}",
            "{sum}  ./{name}",
            "SHA256 ({name}) = {sum}",
        ):
            with self.subTest(form):
                self.list_sums(form)
                self.assert_unpacked("one")
        self.assert_unpacked(
            "one",
            DIB_CLOUD_IMAGE_SUMS="SHA256SUMS.asc",
            DIB_CLOUD_IMAGE_SIGNATURE="inline",
        )
        armored = self.place / "armored.asc"
        apt_archive.run(
            *("gpg", "--homedir", self.keys.home, "--armor"),
            *("--output", armored, "--export", "publisher@example.org"),
        )
        self.assert_unpacked("one", DIB_CLOUD_IMAGE_KEYRING=str(armored))

    def test_a_pattern_stands_for_the_newest_of_the_list(self) -> None:
        self.squashfs("tiny-1.10.squashfs", "ten")
        self.list_sums()
        # Not in the list, so it is nobody's.
        self.squashfs("tiny-9.9.squashfs", "nine")
        self.assert_unpacked("ten", BASE_IMAGE_FILE="tiny-*.squashfs")

    def test_a_list_whose_name_has_a_number(self) -> None:
        (self.mirror / "Tiny-1-9-SUMS").write_text("old")
        sums = self.mirror / "SHA256SUMS.asc"
        sums.rename(self.mirror / "Tiny-1-10-SUMS")
        self.assert_unpacked(
            "one",
            DIB_CLOUD_IMAGE_SUMS="regexp:Tiny-1-[0-9]+-SUMS",
            DIB_CLOUD_IMAGE_SIGNATURE="inline",
        )

    def test_such_a_name_is_no_option(self) -> None:
        words = self.place / "words"
        words.write_text("SHA256SUMS\n")
        self.assert_refused(
            "nothing like --file=",
            DIB_CLOUD_IMAGE_SUMS=f"regexp:--file={words}",
        )

    def test_the_list_of_one_file_may_call_it_otherwise(self) -> None:
        build = self.image.rename(self.mirror / "tiny-1.2-Build7.squashfs")
        self.list_sums()
        build.rename(self.image)
        (self.mirror / "SHA256SUMS").rename(self.mirror / f"{IMAGE}.sha256")
        sums = {"DIB_CLOUD_IMAGE_SUMS": f"{IMAGE}.sha256"}
        self.assert_unpacked("one", **sums)
        self.assert_refused("has no other", BASE_IMAGE_FILE="other", **sums)

    def test_a_list_that_was_changed_is_refused(self) -> None:
        for name, options in (
            ("SHA256SUMS", {}),
            (
                "SHA256SUMS.asc",
                {
                    "DIB_CLOUD_IMAGE_SUMS": "SHA256SUMS.asc",
                    "DIB_CLOUD_IMAGE_SIGNATURE": "inline",
                },
            ),
        ):
            with self.subTest(name):
                path = self.mirror / name
                path.write_text(path.read_text().replace("# of", "# OF"))
                self.assert_refused(f"signature of {name} is bad", **options)

    def test_what_stands_beside_the_signed_text_counts_for_nothing(
        self,
    ) -> None:
        signed = self.mirror / "SHA256SUMS.asc"
        other = self.squashfs("other.squashfs", "other")
        signed.write_text(
            f"{_sum(other)}  other.squashfs\n{signed.read_text()}"
        )
        self.assert_refused(
            "has no other.squashfs",
            BASE_IMAGE_FILE="other.squashfs",
            DIB_CLOUD_IMAGE_SUMS="SHA256SUMS.asc",
            DIB_CLOUD_IMAGE_SIGNATURE="inline",
        )

    def test_a_key_that_is_not_the_publishers_is_named(self) -> None:
        self.keys.make("stranger")
        self.list_sums(key="stranger")
        self.assert_refused("SHA256SUMS was signed by ")

    def test_a_key_that_has_expired_is_named(self) -> None:
        ring = self.keys.make("old", expired=True)
        self.list_sums(key="old", expired=True)
        self.assert_refused(
            "that signed SHA256SUMS has expired",
            DIB_CLOUD_IMAGE_KEYRING=str(ring),
        )

    def test_no_signature_at_all(self) -> None:
        (self.mirror / "SHA256SUMS.gpg").write_text("none")
        self.assert_refused("SHA256SUMS has no signature that could be read")
        self.assert_refused(
            "nobody signs the checksums", DIB_CLOUD_IMAGE_SIGNATURE=""
        )

    def test_without_a_keyring_it_is_said_what_to_install(self) -> None:
        self.assert_refused(
            "install the package our-keys on this host",
            DIB_CLOUD_IMAGE_KEYRING="",
            DIB_CLOUD_IMAGE_KEY_NAMES="ours/none.gpg",
            DIB_CLOUD_IMAGE_KEY_PACKAGE="our-keys",
        )
        self.assert_refused(
            "or set DIB_CLOUD_IMAGE_KEYRING; see the page on keys",
            DIB_CLOUD_IMAGE_KEYRING="",
        )
        self.assert_refused(
            "there is no keyring /srv/none.gpg",
            DIB_CLOUD_IMAGE_KEYRING="/srv/none.gpg",
        )

    def test_a_key_is_only_one_of_those_that_the_host_has_for_it(self) -> None:
        # What a mirror said once lies in the cache, proven or not.
        planted = self.place / "planted"
        shutil.copy(self.ring, planted)
        above = f"../../..{planted}"
        given = {"DIB_CLOUD_IMAGE_KEYRING": ""}
        self.assert_refused(
            f"'{above}' is not the name of a key",
            DIB_CLOUD_IMAGE_KEY_NAMES=f"ours/none {above}",
            **given,
        )
        self.assert_refused(
            "DIB_RELEASE",
            DIB_RELEASE=f"43 {above} x",
            DIB_RPM_KEY_NAMES=f"fedora/KEY-43 {above} x-primary",
            **given,
        )

    def test_another_checksum_is_refused_and_not_kept(self) -> None:
        data = self.image.read_bytes()
        self.image.write_bytes(data[:-1] + b"x")
        self.assert_refused(f"{IMAGE} has the checksum {_sum(self.image)}")
        self.assertEqual([], self.kept())

    def test_half_an_image_is_refused_and_not_kept(self) -> None:
        mirror = serving.serve(self, self.mirror, HalfOf)
        self.assert_refused(
            f"{IMAGE} could not be had as a whole", mirror=mirror
        )
        self.assertEqual([], self.kept())

    def test_what_is_not_there_is_named(self) -> None:
        mirror = serving.serve(self, self.mirror)
        self.assert_refused(
            "has no tiny-3.squashfs",
            mirror=mirror,
            BASE_IMAGE_FILE="tiny-3.squashfs",
        )
        self.image.unlink()
        self.assert_refused("and not on the mirror", mirror=mirror)
        (self.mirror / "SHA256SUMS").unlink()
        self.assert_refused(
            f"there is no SHA256SUMS at {mirror}", mirror=mirror
        )

    def test_a_damaged_image_in_the_cache_is_fetched_anew(self) -> None:
        self.assert_unpacked("one")
        [kept] = self.kept()
        kept.write_bytes(b"x" * kept.stat().st_size)
        self.assert_unpacked("one")
        self.assertEqual(_sum(self.image), _sum(kept))

    def test_offline_the_cache_is_proven_again(self) -> None:
        mirror = serving.serve(self, self.mirror)
        offline = {"mirror": mirror, "DIB_OFFLINE": "1"}
        self.assert_refused("was never fetched", **offline)
        self.assert_unpacked("one", mirror=mirror)
        shutil.rmtree(self.mirror)
        self.assert_unpacked("one", **offline)
        for path in (self.cache / "cloud-image").glob("*.list"):
            if b"# of images" in path.read_bytes():
                path.write_text(path.read_text().replace("# of", "# OF"))
        self.assert_refused("is bad", **offline)

    def test_a_checksum_that_was_looked_up_needs_no_signature(self) -> None:
        known = _sum(self.image)
        unsigned = {
            "DIB_CLOUD_IMAGE_SUMS": "",
            "DIB_CLOUD_IMAGE_SHA256": known,
        }
        self.assert_unpacked("one", **unsigned)
        shutil.rmtree(self.cache)
        self.squashfs(IMAGE, "another")
        self.assert_refused(f"{known} was expected", **unsigned)

    def test_a_file_of_the_host(self) -> None:
        local = {"DIB_LOCAL_IMAGE": str(self.image), "mirror": "none"}
        self.assert_unpacked("one", **local)
        self.assert_unpacked(
            "one", **local, DIB_CLOUD_IMAGE_SHA256=_sum(self.image)
        )
        self.assert_refused(
            "is not the one", **local, DIB_CLOUD_IMAGE_SHA256="0" * 64
        )
        self.image.unlink()
        self.assert_refused(f"there is no file {self.image}", **local)

    def test_nothing_asked_for_is_another_file_or_command(self) -> None:
        for name, value in (
            ("DIB_CLOUD_IMAGES", "ssh://-oProxyCommand=id/x"),
            ("BASE_IMAGE_FILE", "../../etc/shadow"),
            ("DIB_CLOUD_IMAGE_SUMS", "../SHA256SUMS"),
            ("DIB_CLOUD_IMAGE_SIGNATURE", "a b"),
            ("DIB_RELEASE", "43 ../x"),
            ("DIB_CLOUD_IMAGE_SHA256", "/etc/shadow"),
        ):
            with self.subTest(name):
                self.assert_refused(name, **{name: value})

    def test_a_mirrors_password_is_not_shown(self) -> None:
        (self.mirror / "SHA256SUMS").unlink()
        mirror = serving.serve(self, self.mirror)
        secret = mirror.replace("://", "://me:hunter2@")
        done = self.ended(secret)
        self.assertIn("there is no SHA256SUMS", done.stderr)
        self.assertNotIn("hunter2", done.stdout + done.stderr)


def _sum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
