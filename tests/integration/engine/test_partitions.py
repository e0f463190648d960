"""Builds of whole disks: what hooks see of the partitions, as root."""

import signal

from dib_service.engine.sizes import MiB
from tests.integration.engine import images
from tests.integration.engine.tiny import TinyBuild

WITH_ESP = """
- local_loop: {name: image0}
- partitioning:
    base: image0
    label: gpt
    partitions:
      - name: ESP
        type: 'EF00'
        size: 40MiB
        mkfs: {type: vfat, mount: {mount_point: /boot/efi, fstab: }}
      - name: root
        size: 100%
        mkfs: {mount: {mount_point: /, fstab: {fsck-passno: 1}}}
"""

TWO_DISKS = """
- local_loop: {name: image0, size: 200MiB, mkfs: {name: mkfs_root, mount: {
    mount_point: /, fstab: {fsck-passno: 1}}}}
- local_loop: {name: data, mkfs: {type: ext4, label: data, mount: {
    mount_point: /srv, fstab: }}}
"""

# Written with what the tree has: no udev, and no list of devices either.
LOOKS = """
eval "declare -A devices=($IMAGE_BLOCK_DEVICES)"
for name in ESP root; do
    device=${devices[$name]}
    test -b "$device"
    echo "$name $device $(cat "/sys/class/block/${device##*/}/partition")"
done
while read -r line; do
    case $line in *" /boot/efi "*) echo "efi is ${line##* - }" ;; esac
done < /proc/self/mountinfo
mkdir /boot/efi/EFI
echo grub > /boot/efi/EFI/BOOTX64.EFI
"""


class Partitions(TinyBuild):
    def test_hooks_see_partitions_in_a_dev_without_devtmpfs(self):
        self.element("looks", {"finalise.d/10-looks": LOOKS})
        built = self.build(
            "looks",
            formats=["raw"],
            environment={"DIB_BLOCK_DEVICE_CONFIG": WITH_ESP},
        )
        said = built.lines("10-looks")
        # Everything but a boot loader.
        self.assertEqual("uefi-loader", built.fault["check"])
        self.assertRegex(said[0], r"^ESP /dev/loop\d+p1 1$")
        self.assertRegex(said[1], r"^root /dev/loop\d+p2 2$")
        esp = said[0].split()[1]
        self.assertRegex(said[2], rf"^efi is (vfat|tmpfs) {esp} ")
        self.assert_nothing_is_left()

    def test_other_disks_lie_beside_the_image(self):
        self.element("writes", {"finalise.d/10-writes": "echo x > /srv/file"})
        built = self.build(
            "writes",
            formats=["qcow2"],
            disk_size=300 * MiB,
            environment={"DIB_BLOCK_DEVICE_CONFIG": TWO_DISKS},
        )
        self.assertEqual(0, built.code, built.events[-3:])
        [warning] = [line for line in built.lines() if "warning" in line]
        self.assertIn("it is not 314572800", warning)
        made = {event["name"]: event for event in built.of_kind("artefact")}
        self.assertEqual({"image.qcow2", "image-data.raw"}, set(made))
        self.assertEqual(200 * MiB, made["image.qcow2"]["virtual_size"])
        # Its size was left to the request.
        self.assertEqual(300 * MiB, made["image-data.raw"]["size"])
        disk = f"{self.output}/image-data.raw"
        self.assertEqual("x\n", images.run("debugfs", "-R", "cat /file", disk))

    def test_a_root_of_xfs(self):
        built = self.build(formats=["raw"], environment={"FS_TYPE": "xfs"})
        self.assertEqual(0, built.code, built.events[-3:])
        self.assertEqual(
            "xfs", built.of_kind("manifest")[0]["manifest"]["root_fstype"]
        )
        images.run("xfs_repair", "-n", "-f", self.output / "image.raw")

    def test_killed_with_everything_mounted_it_leaves_nothing(self):
        self.element(
            "waits", {"finalise.d/10-waits": "echo mounted\nsleep 600"}
        )
        running = self.start(
            "waits",
            formats=["raw"],
            environment={"DIB_BLOCK_DEVICE_CONFIG": WITH_ESP},
        )
        self.addCleanup(running.process.stdout.close)
        self.addCleanup(running.process.wait)
        running.wait_for("mounted")
        running.process.send_signal(signal.SIGKILL)
        running.process.wait()
        # The files go with the next build that is started here.
        self.assertEqual([], self.left_over_of_the_kernel())

    def left_over_of_the_kernel(self):
        """Loop devices and mounts, which the kernel itself puts away."""
        for _ in range(100):
            left = [
                *images.loops_over(self.workspace),
                *images.mounts_below(self.workspace),
            ]
            if not left:
                break
            images.run("sleep", "0.1")
        return left
