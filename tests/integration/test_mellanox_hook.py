"""mellanox asks the newest kernel for its modules, and tells its initramfs."""

import os
from pathlib import Path
import shutil
import subprocess

from tests.integration import rdma, test_element_hooks

HOOK = test_element_hooks.ELEMENTS / "mellanox/post-install.d/65-mellanox"

# What stands for the programs of an image: they note what they are asked.
MODINFO = '#!/bin/bash\n[ -e "/lib/modules/$2/$5" ]\n'
NOTE = '#!/bin/bash\necho "${0##*/} $*" >>/asked\n'

OLD = [name for name in rdma.MODULES if name.startswith("mlx4")]
NEW = [name for name in rdma.MODULES if name not in OLD]


class MellanoxHook(test_element_hooks.TreeCase):
    programs = "bash install sort"

    def setUp(self) -> None:
        super().setUp()
        shutil.copy(HOOK, self.root / "hook")
        # As /proc gives it to programs of a chroot.
        (self.root / "dev/fd").mkdir()
        self.program("modinfo", MODINFO)

    def program(self, name: str, text: str = NOTE) -> None:
        path = self.root / "usr/bin" / name
        path.write_text(text)
        path.chmod(0o755)

    def kernel(self, version: str, modules: list[str]) -> None:
        place = f"usr/lib/modules/{version}"
        self.write(*(f"{place}/{name}" for name in ["modules.dep", *modules]))

    def ended_inside(
        self, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """How the hook ended in the tree, with /proc as builds have it."""
        script = (
            'mkdir -p "$0/proc" && mount --rbind /proc "$0/proc" && '
            'ln -sfn /proc/self/fd/0 "$0/dev/stdin" && '
            'rmdir "$0/dev/fd" && ln -sfn /proc/self/fd "$0/dev/fd" && '
            'exec chroot "$0" /hook'
        )
        return subprocess.run(
            ["unshare", "--mount", "bash", "-c", script, str(self.root)],
            env={"PATH": os.environ["PATH"], **environment},
            capture_output=True,
            text=True,
        )

    def loaded(self) -> list[str]:
        path = self.root / "etc/modules-load.d/mellanox.conf"
        return path.read_text().split()

    def asked(self) -> list[str]:
        return Path(self.root / "asked").read_text().splitlines()

    def test_debian(self) -> None:
        self.program("update-initramfs")
        self.kernel("6.1.0-1-amd64", [*NEW, *OLD])
        done = self.ended_inside()
        self.assertEqual((0, ""), (done.returncode, done.stderr))
        self.assertEqual(set(rdma.MODULES), set(self.loaded()))
        self.assertEqual(["update-initramfs -u -k all"], self.asked())
        forced = self.root / "usr/share/initramfs-tools/modules.d/mellanox"
        self.assertEqual(self.loaded(), forced.read_text().split())

    def test_red_hat_and_suse(self) -> None:
        self.program("dracut")
        self.kernel("6.10-1.fc42", NEW)
        self.kernel("6.9-default", [*NEW, *OLD])
        self.write("boot/initramfs-6.10-1.fc42.img", "boot/initrd-6.9-default")
        done = self.ended_inside()
        self.assertEqual((0, ""), (done.returncode, done.stderr))
        self.assertIn("6.10-1.fc42 knows no card before", done.stdout)
        self.assertEqual(set(NEW), set(self.loaded()))
        words = "dracut --force --no-hostonly /boot"
        # The oldest first.
        self.assertEqual(
            [
                f"{words}/initrd-6.9-default 6.9-default",
                f"{words}/initramfs-6.10-1.fc42.img 6.10-1.fc42",
            ],
            self.asked(),
        )
        added = self.root / "etc/dracut.conf.d/65-mellanox.conf"
        self.assertEqual(
            f'add_drivers+=" {" ".join(self.loaded())} "\n', added.read_text()
        )

    def test_an_older_kernel_without_them(self) -> None:
        # As Fedora's cloud image has one when it was brought up to date.
        self.program("dracut")
        self.kernel("6.9.12-200.fc42", ["mlx5_core"])
        self.kernel("6.10.1-200.fc42", [*NEW, *OLD])
        self.kernel("6.11.0-1.fc42+debug", [])
        self.write(
            *(
                f"boot/initramfs-{kernel}.img"
                for kernel in ("6.9.12-200.fc42", "6.10.1-200.fc42")
            )
        )
        done = self.ended_inside()
        self.assertEqual((0, ""), (done.returncode, done.stderr))
        self.assertIn(
            "the older kernel 6.9.12-200.fc42 has no mlx5_ib ", done.stdout
        )
        self.assertEqual(set(rdma.MODULES), set(self.loaded()))
        words = "dracut --force --no-hostonly /boot"
        self.assertEqual(
            [f"{words}/initramfs-6.10.1-200.fc42.img 6.10.1-200.fc42"],
            self.asked(),
        )

    def test_the_newest_kernel_without_them(self) -> None:
        self.kernel("6.9.12-200.fc42", [*NEW, *OLD])
        self.kernel("6.10.1-200.fc42", [])
        done = self.ended_inside()
        self.assertEqual(1, done.returncode)
        self.assertIn("kernel 6.10.1-200.fc42 has no mlx5_core", done.stderr)

    def test_the_subnet_manager_is_started_where_it_is_wanted(self) -> None:
        self.program("systemctl")
        self.kernel("6.10-1.fc42", NEW)
        done = self.ended_inside(DIB_MELLANOX_OPENSM="1")
        self.assertEqual((0, ""), (done.returncode, done.stderr))
        self.assertEqual(["systemctl enable opensm.service"], self.asked())

    def test_a_kernel_without_them(self) -> None:
        self.kernel("6.1.0-1-cloud-amd64", ["mlx5_core", "ib_umad"])
        done = self.ended_inside()
        self.assertEqual(1, done.returncode)
        self.assertIn("6.1.0-1-cloud-amd64 has no mlx5_ib ", done.stderr)
        self.assertFalse((self.root / "etc/modules-load.d").exists())

    def test_no_kernel(self) -> None:
        done = self.ended_inside()
        self.assertEqual(1, done.returncode)
        self.assertIn("no kernel in the image", done.stderr)
