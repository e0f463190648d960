"""Sizes as people write them."""

import unittest

from dib_service.engine import errors, sizes


class Sizes(unittest.TestCase):
    def test_units(self):
        for text, size in (
            ("1TiB", 1024**4), ("2GiB", 2 * 1024**3), ("3MiB", 3 * 1024**2),
            ("4KiB", 4096), ("1TB", 1000**4), ("1T", 1000**4),
            ("1G", 1000**3), ("1.5M", 1_500_000), ("7K", 7000),
            ("512B", 512), ("512", 512), (512, 512), ("8 MiB", 8 * 1024**2),
        ):  # fmt: skip
            with self.subTest(text):
                self.assertEqual(
                    sizes.Size(bytes=size), sizes.parse(text, "here")
                )

    def test_shares(self):
        self.assertEqual(
            sizes.Size(percent=12.5), sizes.parse("12.5%", "here")
        )
        with self.assertRaises(errors.LayoutError):
            sizes.parse("101%", "here")

    def test_more_than_there_can_be(self):
        with self.assertRaises(errors.LayoutError):
            sizes.number("9" * 400, "here")
