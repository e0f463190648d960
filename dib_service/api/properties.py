"""Which properties a request may give to its image."""

from collections.abc import Mapping
import re

from dib_service.api import faults, text
from dib_service.publish import reserved

VALUE_LENGTH = 255

_NAME = re.compile(r"[A-Za-z0-9_:.-]{1,255}")

# Fields of an image that are no properties: Glance would refuse some only
# after the build, and take others for more than they are.
_BASE_FIELDS = frozenset(
    {
        "checksum", "container_format", "created_at", "deleted",
        "deleted_at", "direct_url", "disk_format", "file", "id", "image_id",
        "is_public", "locations", "members", "min_disk", "min_ram", "name",
        "os_hidden", "owner", "protected", "schema", "self", "size",
        "status", "store", "stores", "tags", "updated_at", "virtual_size",
        "visibility",
    }
)  # fmt: skip

# What a property that names a trait begins with; Nova takes "required" only.
TRAIT_PREFIX = "trait:"

# What their readers take; anything else makes an image that Nova refuses.
_CHOICES = {
    "hw_firmware_type": ("bios", "uefi"),
    "img_config_drive": ("mandatory", "optional"),
    "os_secure_boot": ("required", "optional", "disabled"),
}


# What placement knows begins with one of these; see os-traits.
TRAIT = re.compile(
    r"(?:CUSTOM|COMPUTE|HW|MISC|OWNER|STORAGE)_[A-Z0-9_]{1,240}"
)


def check(properties: Mapping[str, str]) -> None:
    """Let the properties of an image pass.

    :raises BadRequest: naming the first that may not be, and why.
    """
    for name, value in properties.items():
        _check_name(name)
        _check_value(name, value)


def _check_name(name: str) -> None:
    field = f"build.image.properties.{faults.shortened(name)}"
    if not _NAME.fullmatch(name):
        raise faults.refusal(
            field,
            "a name is 1 to 255 ASCII letters, digits, '_', ':', '.' and '-'",
        )
    # Some databases hold Owner and owner to be the same.
    plain = name.lower()
    if plain in _BASE_FIELDS:
        raise faults.refusal(
            field, "is a field of every image and no property; leave it out"
        )
    if plain in reserved.OURS:
        raise faults.refusal(
            field, "is set by the service from what it built; leave it out"
        )
    for prefix in reserved.PREFIXES:
        if plain.startswith(prefix):
            raise faults.refusal(
                field, f"names that begin with {prefix} are reserved"
            )


def _check_value(name: str, value: str) -> None:
    field = f"build.image.properties.{name}"
    choices = _CHOICES.get(name)
    if choices and value not in choices:
        raise faults.refusal(
            field, f"expected one of {', '.join(choices)}", value=value
        )
    if name.startswith(TRAIT_PREFIX):
        _check_trait(field, name.removeprefix(TRAIT_PREFIX), value)
    if len(value) > VALUE_LENGTH:
        raise faults.refusal(
            field,
            f"at most {VALUE_LENGTH} characters are allowed",
            value=value,
        )
    if text.has_control(value):
        raise faults.refusal(
            field,
            "line ends and other control characters are not allowed",
            value=value,
        )


def _check_trait(field: str, trait: str, value: str) -> None:
    if not TRAIT.fullmatch(trait):
        raise faults.refusal(
            field,
            "a trait is CUSTOM_ and a name, or a standard one, in capitals",
        )
    if value != "required":
        raise faults.refusal(
            field,
            "of a trait, 'required' is all that can be said",
            value=value,
        )
