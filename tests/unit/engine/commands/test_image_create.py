"""disk-image-create's command line, as a job."""

from pathlib import Path
import unittest

from dib_service.engine import errors, spec
from dib_service.engine.commands import caller, command_line, image_create

GIB = 1024**3


def job(*words, ramdisk=False, owner=None, **environment):
    environment = {"HOME": "/home/me", "ARCH": "amd64", **environment}
    return image_create._job(
        command_line.CommandLine.parse(words, environment),
        caller.Caller(environment, owner),
        words,
        ramdisk=ramdisk,
    )


def asked(*words, **options):
    return job(*words, **options).spec


class Spec(unittest.TestCase):
    def test_what_most_people_type(self):
        self.assertEqual(
            spec.BuildSpec(
                elements=("vm", "debian"),
                formats=("raw", "qcow2"),
                architecture="aarch64",
                disk_size=2684354560,
                name="my",
                skip_base=True,
                packages=("vim", "git", "jq"),
                environment={
                    "ARCH": "arm64",
                    "DIB_RELEASE": "bookworm",
                    "IMAGE_NAME": "dir/my",
                    "IMAGE_TYPES": "raw,qcow2",
                    "INSTALL_PACKAGES": "vim,git,jq",
                    "SKIP_BASE": "1",
                },
            ),
            asked(
                *("-a", "arm64", "vm", "-o", "dir/my", "-t", "raw,qcow2"),
                *("-n", "debian", "-p", "vim,git", "-p", "jq"),
                *("--image-size", "2.5"),
                DIB_RELEASE="bookworm",
            ),
        )

    def test_a_suffix_that_says_the_format_is_taken_off(self):
        self.assertEqual("my", asked("-o", "my.qcow2", "debian").name)
        self.assertEqual(
            "my.raw", asked("-o", "my.raw", "-t", "raw,qcow2", "debian").name
        )

    def test_the_size_may_come_from_the_environment(self):
        wanted = asked("debian", DIB_IMAGE_SIZE="2")
        self.assertEqual(2 * GIB, wanted.disk_size)
        # Hooks read a number of KiB there.
        self.assertNotIn("DIB_IMAGE_SIZE", wanted.environment)
        for wrong in ("much", "-1", "inf", "nan"):
            with self.assertRaisesRegex(errors.SpecError, "DIB_IMAGE_SIZE"):
                asked("debian", DIB_IMAGE_SIZE=wrong)

    def test_the_architecture_may_come_from_anywhere(self):
        self.assertEqual("aarch64", asked("debian", ARCH="arm64").architecture)
        self.assertEqual(
            "x86_64", asked("-a", "x86_64", "debian").architecture
        )
        with self.assertRaises(errors.SpecError):
            asked("-a", "m68k", "debian")

    def test_what_a_request_may_not_set_stays_out_of_it(self):
        wanted = asked("debian", LD_PRELOAD="x", PATH="/bin", DIB_A="1")
        self.assertEqual({"ARCH": "amd64", "DIB_A": "1"}, wanted.environment)

    def test_files_are_found_from_where_the_caller_is(self):
        wanted = asked(
            "debian",
            ACI_MANIFEST="m.json",
            DIB_BLOCK_DEVICE_CONFIG="file://layout.yaml",
        )
        here = Path.cwd()
        self.assertEqual(
            str(here / "m.json"), wanted.environment["ACI_MANIFEST"]
        )
        self.assertEqual(
            f"file://{here}/layout.yaml",
            wanted.environment["DIB_BLOCK_DEVICE_CONFIG"],
        )
        wanted = asked("debian", DIB_BLOCK_DEVICE_CONFIG="[{}]")
        self.assertEqual("[{}]", wanted.environment["DIB_BLOCK_DEVICE_CONFIG"])

    def test_a_ramdisk_has_an_element_that_makes_it(self):
        wanted = asked("debian", "deploy", ramdisk=True)
        self.assertTrue(wanted.ramdisk)
        self.assertEqual(("ramdisk", "debian", "deploy"), wanted.elements)
        wanted = asked("--ramdisk-element", "mine", "debian", ramdisk=True)
        self.assertEqual(("mine", "debian"), wanted.elements)

    def test_who_wants_it_tested_says_so(self):
        self.assertFalse(asked("debian").boot_test)
        self.assertTrue(asked("--boot-test", "debian").boot_test)
        self.assertTrue(asked("debian", DIB_BOOT_TEST="1").boot_test)

    def test_what_cannot_be_is_refused(self):
        with self.assertRaises(errors.SpecError):
            asked("-t", "gif", "debian")


class Memory(unittest.TestCase):
    def test_a_build_is_there_only_if_somebody_says_so(self):
        for settings, expected in (
            ({}, 0),
            ({"DIB_NO_TMPFS": "0"}, 2 * GIB),
            ({"DIB_MIN_TMPFS": "0.5"}, GIB // 2),
            ({"DIB_NO_TMPFS": "1", "DIB_MIN_TMPFS": "5"}, 0),
            (
                {
                    "DIB_MIN_TMPFS": "5",
                    "GENTOO_PROFILE": "default/linux/amd64/hardened",
                },
                0,
            ),
        ):
            with self.subTest(settings):
                self.assertEqual(expected, job("debian", **settings).memory)
        self.assertEqual(3 * GIB, job("--min-tmpfs", "3", "debian").memory)
        with self.assertRaises(errors.SpecError):
            job("--min-tmpfs", "many", "debian")


class Places(unittest.TestCase):
    def test_they_are_diskimage_builders(self):
        found = job("-o", "/srv/images/my", "debian", TMP_DIR="/big")
        self.assertEqual(Path("/srv/images"), found.output_dir)
        self.assertEqual(Path("/big"), found.workspace)
        self.assertEqual(Path("/home/me/.cache/image-create"), found.cache_dir)
        self.assertEqual(
            "/home/me/.cache/dib/lockfiles",
            found.surroundings["DIB_LOCKFILES"],
        )

    def test_they_may_be_chosen(self):
        found = job(
            *("--image-cache", "/cache", "debian"),
            TMP_DIR="/big",
            TMPDIR="/bigger",
            DIB_LOCKFILES="/locks",
            ELEMENTS_PATH="/mine:/theirs",
        )
        self.assertEqual(Path("/bigger"), found.workspace)
        self.assertEqual(Path("/cache"), found.cache_dir)
        self.assertEqual("/locks", found.surroundings["DIB_LOCKFILES"])
        self.assertEqual(
            "--image-cache /cache debian", found.surroundings["DIB_ARGS"]
        )
        self.assertEqual(
            (Path("/mine"), Path("/theirs")), found.element_path[:2]
        )

    def test_hooks_have_the_callers_surroundings_and_the_options(self):
        found = job("--offline", "debian", MINE="x", LD_PRELOAD="y")
        self.assertLessEqual(
            {"MINE": "x", "LD_PRELOAD": "y", "DIB_OFFLINE": "1"}.items(),
            found.surroundings.items(),
        )

    def test_an_old_image_is_kept_unless_it_is_to_be_overwritten(self):
        self.assertTrue(job("debian").keep_old)
        self.assertFalse(job("debian", OVERWRITE_OLD_IMAGE="1").keep_old)

    def test_who_called_gets_what_is_made(self):
        self.assertEqual((7, 8), job("debian", owner=(7, 8)).owner)
        self.assertIsNone(job("debian").owner)
