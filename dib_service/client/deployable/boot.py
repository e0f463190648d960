"""Whether the node's firmware finds something to start."""

from collections.abc import Iterator

from dib_service.client.deployable.case import (
    Case,
    Finding,
    ok,
    problem,
    warning,
)

DEFAULT = "uefi"


def boot_mode(case: Case) -> Iterator[Finding]:
    """The image boots in the mode that the deploy would set.

    Sources: ironic.drivers.modules.boot_mode_utils.get_boot_mode: secure
    boot, whatever the node says; then the instance's capability boot_mode,
    then the node's, which must not differ; then [deploy]default_boot_mode,
    uefi since Yoga.
    """
    mode, why = _mode(case)
    own = case.node_capabilities.get("boot_mode", "").lower()
    if own and own != mode and not _wants_secure_boot(case):
        yield problem(
            "boot mode",
            f"{mode} ({why}), and the node's capability is boot_mode:{own}; "
            "Ironic takes no other",
        )
        return
    modes = _image_modes(case)
    if case.interface == "ramdisk":
        yield ok("boot mode", f"{mode} ({why}); what boots is the ramdisk")
    elif not modes:
        yield warning(
            "boot mode",
            f"{mode} ({why}), and the image does not say what it boots in "
            "(dib_boot_modes, hw_firmware_type)",
        )
    elif mode in modes:
        yield ok("boot mode", f"{mode} ({why}); the image boots in "
                 f"{' and '.join(modes)}")  # fmt: skip
    else:
        yield problem(
            "boot mode",
            f"{mode} ({why}), and the image boots in {' and '.join(modes)} "
            "only",
        )


def _mode(case: Case) -> tuple[str, str]:
    asked = case.asked_capabilities
    who = "the flavor" if case.flavor is not None else "instance_info"
    if _wants_secure_boot(case):
        return "uefi", f"{who} asks for secure boot"
    if asked.get("boot_mode"):
        return str(asked["boot_mode"]).lower(), f"asked for by {who}"
    own = case.node_capabilities.get("boot_mode")
    if own:
        return own.lower(), "the node's capability"
    return DEFAULT, "Ironic's default"


def _image_modes(case: Case) -> tuple[str, ...]:
    """What it says of itself; the exact word counts more than libvirt's."""
    said = case.image.get("dib_boot_modes")
    said = said or case.image.get("hw_firmware_type") or ""
    return tuple(
        word.strip().lower() for word in str(said).split(",") if word.strip()
    )


def boot_loader(case: Case) -> Iterator[Finding]:
    """Nobody would have to install a BIOS boot loader on the node.

    Source: ironic_python_agent.extensions.image.install_bootloader: since
    CVE-2026-43003 no grub-install runs out of a partition image, unless the
    agent was built with enable_bios_bootloader_install.
    """
    if case.whole_disk or case.interface == "ramdisk":
        return
    mode, _ = _mode(case)
    if mode == "bios":
        yield problem(
            "boot loader",
            "a partition image in BIOS mode: agents install no BIOS boot "
            "loader (CVE-2026-43003); use a whole-disk image, or UEFI",
        )
    else:
        yield ok("boot loader", "the agent sets up the partition's UEFI one")


def secure_boot(case: Case) -> Iterator[Finding]:
    """A boot loader that the firmware trusts, where it is asked for.

    Sources: ironic.drivers.modules.boot_mode_utils.is_secure_boot_requested
    (the capability secure_boot of the instance); os_secure_boot is read by
    libvirt alone, and here says that the loader was proven to be signed.
    """
    said = str(case.image.get("os_secure_boot") or "")
    tested = str(case.image.get("dib_boot_tested") or "").split(",")
    signed = said in ("required", "optional") or "secure-boot" in tested
    if not _wants_secure_boot(case):
        if said == "required":
            yield ok("secure boot", "it can; a deploy asks for it with "
                     "capabilities:secure_boot=true")  # fmt: skip
        return
    if signed:
        yield ok("secure boot", "asked for, and its boot loader is signed")
    elif said == "disabled":
        yield problem("secure boot", "asked for, and the image rules it out")
    else:
        yield warning(
            "secure boot",
            "asked for, and nothing says that the image's boot loader is "
            "signed; firmware refuses one that is not",
        )


def _wants_secure_boot(case: Case) -> bool:
    value = case.asked_capabilities.get("secure_boot", "false")
    return str(value).lower() == "true"
