"""Somebody who signs what he publishes, and a place to publish it in."""

import os
from pathlib import Path
import tempfile
from typing import ClassVar
import unittest

from tests import apt_archive


class PublisherCase(unittest.TestCase):
    """The publisher's keys are made once, the place for each test."""

    keys: ClassVar[apt_archive.Keys]
    ring: ClassVar[Path]

    @classmethod
    def setUpClass(cls) -> None:
        if os.geteuid() != 0:
            raise AssertionError("these tests mount and chown: be root")
        cls.keys = apt_archive.Keys()
        cls.addClassCleanup(cls.keys.close)
        cls.ring = cls.keys.make("publisher")

    def setUp(self) -> None:
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.place = Path(holder.name)
        self.hooks = self.place / "hooks"
