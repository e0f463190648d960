"""What a body must look like; what the words in it may be comes after."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import jsonschema
from jsonschema import exceptions, protocols, validators

from dib_service.api import faults, local_config, properties
from dib_service.conf import publish
from dib_service.engine import spec

Schema = Mapping[str, Any]

UUID = r"^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}\Z"

VISIBILITIES = ("private", "shared", "community", "public")

# Glance takes 128 properties and as many tags and members of an image by
# default; the service writes some of its own beside those of the request.
MAX_PROPERTIES = 100
MAX_TAGS = 100
MAX_MEMBERS = 100
MAX_TARGETS = 16
MAX_ELEMENTS = 64

# What the engine makes and every Glance takes by default, with a content
# that its inspector can vouch for.
FORMATS = ("raw", "qcow2")
MAX_VARIABLES = 128

# A description finishes the sentence "<field>: expected …".
_NAME = {
    "type": "string",
    "minLength": 1,
    "maxLength": 255,
    "description": "1 to 255 characters",
}

# The word for the project that Ironic's conductors use Glance as; other
# members are named by the id that Keystone gave their project.
BARE_METAL = "baremetal"
_PROJECT = rf"^(?:[0-9a-f]{{32}}|{UUID[1:-2]}|{BARE_METAL})\Z"

_TARGET = rf"^{publish.NAME}\Z"


def _words(most: int, what: str, item: Schema, *, least: int = 0) -> Schema:
    """A list of different words."""
    return {
        "type": "array",
        "minItems": least,
        "maxItems": most,
        "uniqueItems": True,
        "items": item,
        "description": f"a list of {least or 'at most'} "
        f"{'to ' if least else ''}{most} different {what}",
    }


BUILD_CREATE: Schema = {
    "type": "object",
    "additionalProperties": False,
    "required": ["build"],
    "properties": {
        "build": {
            "type": "object",
            "additionalProperties": False,
            "required": ["elements"],
            "properties": {
                "id": {
                    "type": "string",
                    "pattern": UUID,
                    "description": "a UUID in lower case with dashes",
                },
                "name": _NAME,
                "elements": _words(
                    MAX_ELEMENTS,
                    "elements",
                    {
                        "type": "string",
                        "pattern": rf"^{spec.ELEMENT_NAME.pattern}\Z",
                        "description": "the name of an element: at most 128 "
                        "ASCII letters, digits, '_', '.', '+' and '-', "
                        "beginning with a letter or digit",
                    },
                    least=1,
                ),
                "skip_base": {"type": "boolean"},
                "boot_test": {"type": "boolean"},
                "formats": {
                    "type": "array",
                    "minItems": 1,
                    "uniqueItems": True,
                    "items": {"enum": list(FORMATS)},
                    "description": "a list of different formats, at least one",
                },
                "architecture": {"enum": list(spec.ARCHITECTURES)},
                "environment": {
                    "type": "object",
                    "maxProperties": MAX_VARIABLES,
                    "additionalProperties": {"type": "string"},
                    "description": f"at most {MAX_VARIABLES} variables with "
                    "text values",
                },
                "disk_size_gib": {
                    "type": "integer",
                    "minimum": 1,
                    "description": "a whole number of GiB, at least 1",
                },
                # Only their form: what is refused here is repeated.
                "proxy": {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {
                        "http": {"type": "string"},
                        "https": {"type": "string"},
                        "no_proxy": _words(
                            local_config.MAX_EXCEPTIONS,
                            "hosts",
                            {"type": "string"},
                        ),
                    },
                },
                "ssh_keys": _words(
                    local_config.MAX_SSH_KEYS,
                    "public keys",
                    {"type": "string"},
                ),
                "image": {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {
                        "name": _NAME,
                        "visibility": {"enum": list(VISIBILITIES)},
                        "properties": {
                            "type": "object",
                            "maxProperties": MAX_PROPERTIES,
                            "additionalProperties": {"type": "string"},
                            "description": f"at most {MAX_PROPERTIES} "
                            "properties with text values",
                        },
                        "members": _words(
                            MAX_MEMBERS,
                            "members",
                            {
                                "type": "string",
                                "pattern": _PROJECT,
                                "description": "the id of a project, or "
                                f"'{BARE_METAL}' for that of the bare-metal "
                                "service",
                            },
                        ),
                        "protected": {"type": "boolean"},
                        "tags": _words(MAX_TAGS, "tags", _NAME),
                        "traits": _words(
                            MAX_PROPERTIES,
                            "traits",
                            {
                                "type": "string",
                                "pattern": rf"^{properties.TRAIT.pattern}\Z",
                                "description": "a trait as placement has it, "
                                "in capitals: CUSTOM_ and a name of your "
                                "cloud's, or a standard one such as "
                                "HW_CPU_X86_VMX",
                            },
                        ),
                        "targets": _words(
                            MAX_TARGETS,
                            "targets",
                            {
                                "type": "string",
                                "pattern": _TARGET,
                                "description": "the name of a place where "
                                "images go, as the operator configured it",
                            },
                            least=1,
                        ),
                    },
                },
            },
        }
    },
}


def check(data: Any, schema: Schema) -> None:
    """Let ``data`` pass if it looks like ``schema`` says.

    :raises BadRequest: naming the first field that does not.
    """
    errors = sorted(_Validator(schema).iter_errors(data), key=_depth)
    if errors:
        raise _refusal(errors[0])


def _distinct(
    validator: protocols.Validator,
    wanted: bool,
    instance: Any,
    schema: Schema,
) -> Iterator[exceptions.ValidationError]:
    """What ``uniqueItems`` says of a list of words, in one pass.

    jsonschema compares each item with each other one where they cannot be
    sorted, and goes as deep into them as they are; whatever is no text is
    refused by ``items``.
    """
    if not (wanted and validator.is_type(instance, "array")):
        return
    words = [item for item in instance if isinstance(item, str)]
    if len(set(words)) < len(words):
        yield exceptions.ValidationError("not all are different")


_Validator = validators.extend(  # type: ignore[no-untyped-call]
    jsonschema.Draft202012Validator, {"uniqueItems": _distinct}
)


def _depth(error: exceptions.ValidationError) -> tuple[int, str]:
    return (len(error.absolute_path), _field(error.absolute_path))


def _refusal(error: exceptions.ValidationError) -> Exception:
    field = _field(error.absolute_path)
    rule = error.validator
    wants: Any = error.validator_value
    schema: Any = error.schema
    instance: Any = error.instance
    if rule == "additionalProperties" and wants is False:
        known = schema.get("properties", {})
        extra = min(set(instance) - set(known))
        return faults.refusal(
            f"{field}.{faults.shortened(extra)}".removeprefix("body."),
            f"no such field; known here: {', '.join(sorted(known))}",
        )
    if rule == "required":
        missing = next(name for name in wants if name not in instance)
        return faults.refusal(
            f"{field}.{missing}".removeprefix("body."), "is required"
        )
    # A whole list or object would say little, and may hold a secret; so may
    # a word where one belongs: a proxy's URL, a key.
    plain = isinstance(instance, str | int | float) and (
        schema.get("type") not in ("object", "array")
    )
    return faults.refusal(
        field, _expected(schema), value=instance if plain else None
    )


def _expected(schema: Schema) -> str:
    if "enum" in schema:
        return f"expected one of {', '.join(schema['enum'])}"
    if "description" in schema:
        return f"expected {schema['description']}"
    words = {"object": "an object", "string": "text", "boolean": "a boolean"}
    return f"expected {words[schema['type']]}"


def _field(path: Iterable[str | int]) -> str:
    """Where in the body something is, as people would write it."""
    words = ""
    for step in path:
        if isinstance(step, int):
            words += f"[{step}]"
        else:
            words += f".{faults.shortened(step)}"
    return words.removeprefix(".") or "body"
