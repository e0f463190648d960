"""The interfaces of a machine, by their own addresses."""

import unittest

from tests.unit.elements import programs
from tests.unit.elements.described import KNOWN, ONE, THREE, TWO

with programs.importable("metadata-reader", "metadata-init"):
    from metadata_init import interfaces


class Interfaces(programs.Place):
    def interface(self, name, address, kind="", device=True, **files):
        folder = self.place / name
        folder.mkdir()
        if device:
            (folder / "device").mkdir()
        (folder / "address").write_text(f"{address}\n")
        (folder / "uevent").write_text(
            f"DEVTYPE={kind}\nINTERFACE={name}\n" if kind else ""
        )
        for path, text in files.items():
            path = folder / path.replace("__", "/")
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)

    def test_real_ones_by_what_they_had_before_a_bond(self):
        self.interface("lo", "00:00:00:00:00:00", device=False)
        self.interface("ens3", ONE.upper())
        self.interface("ens4", TWO, bonding_slave__perm_hwaddr=TWO)
        self.interface("ens5", TWO, bonding_slave__perm_hwaddr=THREE)
        self.interface("bond0", TWO, "bond", device=False)
        self.interface("bond0.100", TWO, "vlan", device=False)
        # A switch of Open vSwitch, of which the kernel says nothing more.
        self.interface("br-ex", ONE, device=False)
        self.interface("wlan0", "52:54:00:00:00:04", "wlan")
        # Not a directory at all.
        (self.place / "bonding_masters").write_text("bond0\n")
        self.assertEqual(KNOWN, interfaces.by_mac(self.place))

    def test_infiniband_by_six_of_its_bytes(self):
        gid = "80:00:02:08:fe:80:00:00:00:00:00:00:52:54:00:ff:fe:00:00:01"
        self.interface("ib0", gid)
        self.assertEqual({ONE: "ib0"}, interfaces.by_mac(self.place))


if __name__ == "__main__":
    unittest.main()
