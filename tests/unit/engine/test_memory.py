"""Whether a build may take place in memory."""

from pathlib import Path
import tempfile
import unittest
from unittest import mock

from dib_service.engine import memory

GIB = 1024**3


class Memory(unittest.TestCase):
    def test_what_is_available_is_what_the_kernel_says(self):
        with tempfile.NamedTemporaryFile("w") as file:
            file.write("MemTotal: 9 kB\nMemAvailable:   2048 kB\nX: 1 kB\n")
            file.flush()
            found = memory.available(Path(file.name))
        self.assertEqual(2 * 1024**2, found)

    def test_twice_as_much_has_to_be_free(self):
        places = [Path("/srv/build"), Path("/srv/image")]
        with (
            mock.patch.object(memory, "available", lambda: 4 * GIB),
            mock.patch.object(memory.kernel, "mount") as mounted,
        ):
            self.assertFalse(memory.cover(places, 2 * GIB + 1))
            mounted.assert_not_called()
            self.assertTrue(memory.cover(places, 2 * GIB))
            self.assertEqual(
                places, [call.args[1] for call in mounted.mock_calls]
            )
