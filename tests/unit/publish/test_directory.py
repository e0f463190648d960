"""A directory shows an image whole, with its checksums, or not at all."""

import hashlib
import json
import os
import pathlib
import stat
import subprocess
from unittest import mock

import fixtures
import testtools

from dib_service.publish import directory, directory_upload, upload
from dib_service.publish.target import Audience

ID = "11111111-1111-4111-8111-111111111111"
BYTES = b"an image" * 1000
AUDIENCE = Audience(owner="p", visibility="public")


class DirectoryTest(testtools.TestCase):
    """A builder's side and a conductor's, on one file system."""

    def setUp(self) -> None:
        super().setUp()
        self.path = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.file = self.path / "image.qcow2"
        self.file.write_bytes(BYTES)
        self.target = directory.Directory(
            "web", self.path / "web", url="https://images.test/dib/"
        )
        self.staging = directory_upload.Directory(self.target.right().endpoint)

    def upload(self, data: bytes = BYTES) -> None:
        self.staging.upload(
            upload.Image(
                id=ID,
                name="Debian 12 / für alle",
                format="qcow2",
                disk_format="qcow2",
                container_format="bare",
                properties={"os_distro": "debian"},
                min_disk=2,
                min_ram=512,
                tags=("dib-build",),
            ),
            upload.Source(
                self.file, len(data), hashlib.sha512(data).hexdigest()
            ),
        )

    def show(self) -> pathlib.Path:
        """The folder that is shown."""
        image = self.target.inspect(ID)
        assert image is not None
        self.target.show(image, AUDIENCE)
        return self.path / "web" / "images" / ID

    def test_the_web_server_gets_in_whatever_our_umask(self) -> None:
        self.addCleanup(os.umask, os.umask(0o027))
        place = self.path / "new"
        place.mkdir()
        directory.Directory("web", place).right()
        modes = {
            path.name: stat.S_IMODE(path.stat().st_mode)
            for path in place.iterdir()
        }
        self.assertEqual({"staging": 0o750, "images": 0o755}, modes)

    def test_what_is_staged_is_out_of_sight(self) -> None:
        self.upload()
        self.assertEqual([], [*(self.path / "web" / "images").iterdir()])
        image = self.target.inspect(ID)
        assert image is not None
        self.assertTrue(image.hidden)
        self.assertTrue(self.target.in_staging(image))
        self.assertFalse(self.target.shows(image, AUDIENCE))
        self.assertEqual(hashlib.sha512(BYTES).hexdigest(), image.hash_value)
        self.assertEqual([ID], list(self.target.staged()))
        mode = (self.path / "web" / "staging").stat().st_mode
        self.assertEqual(0, mode & stat.S_IRWXO)

    def test_what_is_shown_can_be_checked_and_read(self) -> None:
        self.upload()
        place = self.show()
        for program, sums in (
            ("sha256sum", "SHA256SUMS"),
            ("sha512sum", "SHA512SUMS"),
        ):
            subprocess.run(
                [program, "--check", "--strict", sums],
                cwd=place,
                check=True,
                capture_output=True,
            )
        metadata = json.loads((place / "image.json").read_text())
        self.assertEqual("Debian-12-f-r-alle.qcow2", metadata["file"])
        self.assertEqual("debian", metadata["os_distro"])
        self.assertEqual(512, metadata["min_ram"])
        self.assertEqual(
            f"https://images.test/dib/{ID}/{metadata['file']}",
            self.target.location(ID),
        )
        for path in (place, *place.iterdir()):
            self.assertTrue(path.stat().st_mode & stat.S_IROTH, path)
        image = self.target.get(ID)
        assert image is not None
        self.assertTrue(self.target.shows(image, AUDIENCE))
        self.assertFalse(self.target.in_staging(image))
        self.assertEqual([], list(self.target.staged()))

    def test_repeating_is_harmless(self) -> None:
        self.upload()
        self.upload()
        self.assertEqual([ID], list(self.target.staged()))

    def test_half_an_upload_is_begun_anew(self) -> None:
        partial = self.path / "web" / "staging" / f"{ID}.part"
        partial.mkdir()
        (partial / "rest").touch()
        self.assertIsNone(self.target.get(ID))
        self.assertEqual([ID], list(self.target.staged()))
        self.upload()
        self.assertEqual(
            {"Debian-12-f-r-alle.qcow2", "image.json"},
            {path.name for path in (self.path / "web/staging" / ID).iterdir()},
        )

    def test_other_bytes_than_before_are_not_staged(self) -> None:
        self.file.write_bytes(b"x" * len(BYTES))
        self.assertRaises(upload.Changed, self.upload)
        self.assertIsNone(self.target.get(ID))

    def test_one_that_is_moved_meanwhile_is_not_missed(self) -> None:
        self.upload()
        image = self.target.inspect(ID)
        assert image is not None
        staged = self.path / "web" / "staging" / ID
        real = pathlib.Path.read_text

        def moved(path: pathlib.Path) -> str:
            # Another conductor, after this one has looked among the shown.
            if path.parent == staged:
                self.target.show(image, AUDIENCE)
            return real(path)

        with mock.patch.object(pathlib.Path, "read_text", moved):
            found = self.target.get(ID)
        assert found is not None
        self.assertFalse(found.hidden)

    def test_what_cannot_be_seen_from_here_is_not_lost(self) -> None:
        elsewhere = directory.Directory("web", self.path / "not-mounted")
        self.assertRaises(OSError, elsewhere.get, ID)

    def test_bytes_that_change_in_staging_are_seen(self) -> None:
        self.upload()
        staged = self.path / "web" / "staging" / ID
        (staged / "Debian-12-f-r-alle.qcow2").write_bytes(b"x")
        image = self.target.inspect(ID)
        assert image is not None
        self.assertNotEqual(
            hashlib.sha512(BYTES).hexdigest(), image.hash_value
        )

    def test_a_link_is_no_image(self) -> None:
        self.upload()
        file = self.path / "web/staging" / ID / "Debian-12-f-r-alle.qcow2"
        file.unlink()
        file.symlink_to("/etc/passwd")
        image = self.target.get(ID)
        assert image is not None
        self.assertNotEqual("active", image.status)
        self.assertRaises(OSError, self.target.inspect, ID)

    def test_an_upload_that_is_ended_leaves_nothing_to_show(self) -> None:
        self.staging.close()
        self.assertRaises(upload.Trouble, self.upload)
        self.assertIsNone(self.target.get(ID))

    def test_a_disk_that_is_full_is_asked_again_and_says_no_path(self) -> None:
        staging = directory_upload.Directory("/dev/full/nowhere")
        self.staging = staging
        error = self.assertRaises(upload.Trouble, self.upload)
        self.assertNotIn("nowhere", str(error))

    def test_what_is_deleted_is_gone_wherever_it_was(self) -> None:
        self.assertFalse(self.target.delete(ID))
        self.upload()
        self.assertTrue(self.target.delete(ID))
        self.assertIsNone(self.target.get(ID))
        self.upload()
        self.show()
        self.assertTrue(self.target.delete(ID))
        self.assertIsNone(self.target.get(ID))
        self.assertEqual([], list(self.target.staged()))

    def test_nothing_else_is_deleted(self) -> None:
        other = self.path / "web" / "staging" / "notes.txt"
        other.touch()
        self.assertEqual([], list(self.target.staged()))
        for name in ("..", "notes.txt", "../images", ""):
            self.assertRaises(OSError, self.target.delete, name)
