"""The EFI system partition of the discs that deploy ramdisks start from.

Ironic makes a disc of a kernel, a ramdisk and this partition, and mounts it
as virtual media.
"""

import pathlib

from tools.lab import daemon

# The label that Ironic gives to such a disc. A search for a file in place of
# it would find the disk of a machine that was deployed before.
LABEL = "VMEDIA_BOOT_ISO"

# Where Ironic puts its menu: [DEFAULT] grub_config_path.
MENU = "EFI/BOOT/grub.cfg"

EARLY = f"""\
search --no-floppy --set=root --label {LABEL}
set prefix=($root)/EFI/BOOT
configfile ($root)/{MENU}
"""

MODULES = (
    "part_gpt part_msdos iso9660 fat normal configfile linux search "
    "search_label echo test minicmd all_video efi_gop"
)
SIZE = 4 << 20


def write(path: pathlib.Path, *, log: pathlib.Path) -> None:
    """Write the partition to path.

    :raises LabError: a program failed; ``log`` has what it said.
    """
    early = path.with_suffix(".cfg")
    early.write_text(EARLY)
    program = path.with_suffix(".efi")
    for argv in (
        [
            *("grub-mkimage", "-O", "x86_64-efi", "-p", "/EFI/BOOT"),
            *("-c", str(early), "-o", str(program), *MODULES.split()),
        ],
        ["truncate", "-s", str(SIZE), str(path)],
        ["mkfs.vfat", "-n", "LOADER", str(path)],
        ["mmd", "-i", str(path), "::EFI", "::EFI/BOOT"],
        [
            *("mcopy", "-i", str(path), str(program)),
            "::EFI/BOOT/BOOTX64.EFI",
        ],
    ):
        daemon.run(argv, log=log)
