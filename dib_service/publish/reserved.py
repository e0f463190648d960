"""Properties of images that only the service sets, or nobody."""

# What the service says of an image because it knows; and what would make it
# another kind of image for Ironic or Nova than it is.
OURS = frozenset(
    {
        "architecture", "boot_iso_id", "hw_qemu_guest_agent", "img_type",
        "ironic_ramdisk_deploy", "kernel_id", "os_type", "ramdisk_id",
        "rootfs_uuid",
    }
)  # fmt: skip

# Glance's own names, ours, the signature of bytes that nobody has seen, and
# keys that Glance deletes with the image, by the rights of who deletes it.
PREFIXES = (
    *("os_glance", "os_hash_", "img_signature", "dib_"),
    "cinder_encryption_key_",
)


def is_reserved(name: str) -> bool:
    """Whether a request may not set it; in capitals neither."""
    # Some databases hold Owner and owner to be the same.
    plain = name.lower()
    return plain in OURS or plain.startswith(PREFIXES)
