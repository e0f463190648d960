"""disk-image-create's command line, as a spec."""

import unittest

from dib_service.engine import errors, image_create, spec


def asked(*words: str, **environment: str) -> spec.BuildSpec:
    options = image_create._parser().parse_args(words)
    return image_create._spec(options, options.output.name, environment)


class ImageCreate(unittest.TestCase):
    def test_what_most_people_type(self):
        self.assertEqual(
            spec.BuildSpec(
                elements=("vm", "debian"),
                formats=("raw", "qcow2"),
                architecture="aarch64",
                disk_size=2684354560,
                name="my",
                skip_base=True,
            ),
            asked(
                *("-a", "arm64", "-o", "dir/my", "-t", "raw,qcow2", "-n"),
                *("--image-size", "2.5", "vm", "debian"),
            ),
        )

    def test_a_suffix_that_says_the_format_is_taken_off(self):
        self.assertEqual("my", asked("-o", "my.qcow2", "debian").name)
        self.assertEqual(
            "my.raw", asked("-o", "my.raw", "-t", "raw,qcow2", "debian").name
        )

    def test_only_what_is_meant_for_elements_is_passed_on(self):
        wanted = asked(
            "debian",
            DIB_RELEASE="bookworm",
            http_proxy="http://proxy",
            OS_PASSWORD="secret",
            PATH="/evil",
        )
        self.assertEqual(
            {"DIB_RELEASE": "bookworm", "http_proxy": "http://proxy"},
            wanted.environment,
        )

    def test_the_size_may_come_from_the_environment(self):
        wanted = asked("debian", DIB_IMAGE_SIZE="2")
        self.assertEqual(2 * 1024**3, wanted.disk_size)
        self.assertEqual({}, wanted.environment)
        with self.assertRaises(errors.SpecError):
            asked("debian", DIB_IMAGE_SIZE="much")

    def test_what_cannot_be_is_refused(self):
        with self.assertRaises(errors.SpecError):
            asked("-t", "vmdk", "debian")
