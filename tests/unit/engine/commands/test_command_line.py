"""disk-image-create's options and what they set."""

import unittest

from dib_service.engine import errors
from dib_service.engine.commands import command_line


def parsed(*words, **environment):
    return command_line.CommandLine.parse(words, environment)


class Options(unittest.TestCase):
    def test_each_sets_its_variable(self):
        for words, variable, value in (
            (("-a", "arm64"), "ARCH", "arm64"),
            (("-o", "dir/x"), "IMAGE_NAME", "dir/x"),
            (("-t", "raw,qcow2"), "IMAGE_TYPES", "raw,qcow2"),
            (("-x",), "DIB_DEBUG_TRACE", "1"),
            (("-x", "-x"), "DIB_DEBUG_TRACE", "2"),
            (("-u",), "COMPRESS_IMAGE", ""),
            (("-n",), "SKIP_BASE", "1"),
            (("-p", "a,b", "-p", "c"), "INSTALL_PACKAGES", "a,b,c"),
            (("--checksum",), "DIB_CHECKSUM", "1"),
            (("--image-size", "2.5"), "DIB_IMAGE_SIZE", "2.5"),
            (("--image-extra-size=9",), "DIB_IMAGE_EXTRA_SIZE", "9"),
            (("--mkfs-journal-size", "8"), "DIB_JOURNAL_SIZE", "8"),
            (("--image-cache", "/c"), "DIB_IMAGE_CACHE", "/c"),
            (("--max-online-resize", "9"), "MAX_ONLINE_RESIZE", "9"),
            (("--mkfs-options", "-i 4096"), "MKFS_OPTS", "-i 4096"),
            (("--min-tmpfs", "5"), "DIB_MIN_TMPFS", "5"),
            (("--no-tmpfs",), "DIB_NO_TMPFS", "1"),
            (("--offline",), "DIB_OFFLINE", "1"),
            (("--qemu-img-options", "a=b"), "QEMU_IMG_OPTIONS", "a=b"),
            (("--root-label", "l"), "ROOT_LABEL", "l"),
            (("--ramdisk-element", "e"), "RAMDISK_ELEMENT", "e"),
            (("--install-type", "source"), "DIB_DEFAULT_INSTALLTYPE", None),
            (("--docker-target", "t"), "DOCKER_TARGET", "t"),
            (("--logfile", "f"), "LOGFILE", "f"),
        ):
            with self.subTest(words=words):
                found = parsed(*words, "debian")
                expected = {variable: value or words[-1]}
                if value == "":
                    expected = {variable: ""}
                self.assertEqual(expected, found.settings)
                self.assertEqual(("debian",), found.elements)

    def test_they_may_stand_among_the_elements(self):
        found = parsed("vm", "-o", "x", "debian", "-xx", "--", "-odd")
        self.assertEqual(("vm", "debian", "-odd"), found.elements)
        self.assertEqual("2", found.settings["DIB_DEBUG_TRACE"])

    def test_they_win_over_the_environment(self):
        found = parsed("-a", "arm64", "debian", ARCH="amd64", FS_TYPE="ext3")
        self.assertEqual({"ARCH": "arm64", "FS_TYPE": "ext3"}, found.settings)

    def test_a_trace_adds_to_the_one_that_is_there(self):
        found = parsed("-x", "debian", DIB_DEBUG_TRACE="1")
        self.assertEqual("2", found.settings["DIB_DEBUG_TRACE"])
        found = parsed("debian", DIB_DEBUG_TRACE="1")
        self.assertEqual("1", found.settings["DIB_DEBUG_TRACE"])

    def test_what_only_an_option_sets_is_not_taken_from_the_environment(self):
        found = parsed("debian", LOGFILE="/var/log/cron", IMAGE_TYPES="raw")
        self.assertEqual({}, found.settings)

    def test_a_clear_environment_keeps_only_the_home(self):
        found = parsed(
            *("-c", "-n", "debian"), HOME="/home/me", DIB_RELEASE="sid"
        )
        self.assertEqual(
            {"CLEAR_ENV": "1", "HOME": "/home/me", "SKIP_BASE": "1"},
            found.settings,
        )

    def test_what_is_wrong_is_refused(self):
        for words in (
            ("--colour", "debian"),
            ("-z", "debian"),
            ("--image", "5", "debian"),
            ("debian", "-o"),
            ("-n",),
            (),
        ):
            with self.subTest(words=words):
                self.assertRaises(errors.SpecError, parsed, *words)

    def test_instead_of_an_image(self):
        for option in ("-h", "--help", "--version", "--drop-in-path"):
            self.assertEqual(option, parsed("-n", option, "debian").instead)

    def test_each_is_explained(self):
        said = command_line.usage("disk-image-create")
        self.assertIn("Usage: disk-image-create ", said)
        for option in command_line.OPTIONS:
            self.assertIn(f"  {option.name}", said)
        self.assertLess(max(map(len, said.splitlines())), 80)
