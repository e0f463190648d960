"""Which version a header asks for."""

import unittest

from dib_service import exception
from dib_service.api import faults, versions


class NegotiateTest(unittest.TestCase):
    """Headers and what they mean."""

    def test_what_is_understood(self) -> None:
        for header, version in (
            (None, versions.MIN),
            ("", versions.MIN),
            ("compute 2.1", versions.MIN),
            ("image-build 1.0", (1, 0)),
            ("Image-Build  1.0", (1, 0)),
            ("image-build latest", versions.MAX),
            ("image-build LATEST", versions.MAX),
            ("compute 2.1, image-build 1.0,volume 3.0", (1, 0)),
        ):
            with self.subTest(header=header):
                self.assertEqual(version, versions.negotiate(header))

    def test_what_is_no_version(self) -> None:
        for header in (
            "image-build",
            "image-build 1",
            "image-build 01.0",
            "image-build 1.0.0",
            "image-build 1.00",
            "image-build -1.0",
            "image-build 1.0 1.0",
            "image-build 1.99999999",
        ):
            with (
                self.subTest(header=header),
                self.assertRaises(exception.BadRequest),
            ):
                versions.negotiate(header)

    def test_what_is_not_ours(self) -> None:
        after = f"{versions.MAX[0]}.{versions.MAX[1] + 1}"
        for version in (after, "2.0", "9999.0"):
            with self.subTest(version=version):
                with self.assertRaises(faults.NotAcceptable) as caught:
                    versions.negotiate(f"image-build {version}")
                self.assertEqual(
                    versions.text(versions.MAX),
                    caught.exception.facts["max_version"],
                )
