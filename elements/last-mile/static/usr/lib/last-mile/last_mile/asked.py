"""The one key of the metadata that is ours, wherever it stands."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
import email
import gzip
import io
import json
from typing import Any
import zlib

from metadata_reader.data import (
    LONGEST,
    USER_DATA,
    Metadata,
    parsed,
    shown,
)

KEY = "last_mile"
FILES = "files"

CLOUD_CONFIG = "#cloud-config"
# Those of a message that cloud-init would take for cloud-config as well.
TYPES = ("text/cloud-config", "application/json", "text/plain")


class Broken(Exception):
    """Something of ours is there and cannot be read."""


def gathered(
    metadata: Metadata, warn: Callable[[str], object]
) -> tuple[dict[str, Any], bool]:
    """What is asked of this machine, and whether that is all of it.

    Its sections come from vendor data, dynamic vendor data, the instance's
    properties and user data; of a section that stands in two of them, the
    later one's counts. Files are those of all.
    """
    found: dict[str, Any] = {}
    both: list[Any]
    whole = True
    for name in ("vendor_data.json", "vendor_data2.json", USER_DATA):
        if name in metadata.broken:
            warn(f"{name} {metadata.broken[name]}")
            whole = False
    try:
        places = [*_places(metadata)]
    except Broken as exc:
        warn(str(exc))
        whole = False
        places = [*_places(metadata, user_data=False)]
    for where, value in places:
        if not isinstance(value, dict):
            warn(f"{KEY} in {where} is not an object: left out")
            whole = False
            continue
        both = [found.get(FILES), value.get(FILES)]
        found.update(value)
        if all(isinstance(each, list) for each in both):
            found[FILES] = [*both[0], *both[1]]
    return found, whole


def _places(
    metadata: Metadata, *, user_data: bool = True
) -> Iterator[tuple[str, object]]:
    """Where the key stands, and what stands there.

    :raises Broken: user data, or a property, is not what it says it is.
    """
    vendor = metadata.document("vendor_data.json")
    if KEY in vendor:
        yield "vendor_data.json", vendor[KEY]
    # What each of Nova's dynamic targets answers stands below its name.
    for target, answer in metadata.document("vendor_data2.json").items():
        if target == KEY:
            yield "vendor_data2.json", answer
        elif isinstance(answer, dict) and KEY in answer:
            yield f"vendor_data2.json ({shown(target, 40)})", answer[KEY]
    if not user_data:
        return
    properties = metadata.document("meta_data.json").get("meta")
    if isinstance(properties, dict) and KEY in properties:
        # Nova's properties are text.
        where = f"the property {KEY}"
        yield where, _json(where, str(properties[KEY]).encode())
    for config in _configs(metadata.user_data):
        if KEY in config:
            yield "user data", config[KEY]


def _configs(user_data: bytes) -> Iterator[dict[str, Any]]:
    """The cloud-config in user data, as cloud-init would find it."""
    content = _plain(user_data)
    text = content.decode("utf-8", "replace")
    if text.startswith(CLOUD_CONFIG):
        yield _cloud_config(text)
    elif text.lstrip().startswith("{"):
        yield _json("user data", content)
    elif text[:200].lower().startswith(("content-type:", "mime-version:")):
        message = email.message_from_string(text)
        for part in message.walk():
            if part.get_content_type() not in TYPES:
                continue
            payload = part.get_payload(decode=True)
            if isinstance(payload, bytes):
                inside = payload.decode("utf-8", "replace")
                if inside.startswith((CLOUD_CONFIG, "{")):
                    yield from _configs(payload)


def _plain(content: bytes) -> bytes:
    if content[:2] == b"\x1f\x8b":
        try:
            with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
                content = file.read(LONGEST + 1)
        except (OSError, EOFError, zlib.error) as exc:
            raise Broken(f"user data: {shown(exc)}") from None
        if len(content) > LONGEST:
            raise Broken("user data is longer than anybody's")
    return content


def _cloud_config(text: str) -> dict[str, Any]:
    """A cloud-config, of which JSON is read by every machine.

    YAML needs the module that cloud-init brings; without it, and without
    the key in it, there is nothing to miss.
    """
    body = text.partition("\n")[2]
    if body.lstrip().startswith("{"):
        return _json("user data", body.encode())
    if KEY not in body:
        return {}
    try:
        import yaml
    except ImportError:
        raise Broken(
            f"user data: {KEY} is in YAML, which this image cannot read: "
            "write it in JSON"
        ) from None
    try:
        found = yaml.safe_load(body)
    except Exception as exc:
        raise Broken(f"user data is not YAML: {shown(exc)}") from None
    return found if isinstance(found, dict) else {}


def _json(where: str, content: bytes) -> dict[str, Any]:
    try:
        return parsed(content)
    except ValueError as exc:
        raise Broken(f"{where} {exc}") from None


def text_of(value: dict[str, Any]) -> bytes:
    """The bytes that a file's ``content`` stands for.

    :raises ValueError: it stands for none.
    """
    content = value.get("content")
    if not isinstance(content, str):
        raise ValueError("its content is no text")
    encoding = value.get("encoding", "text")
    if encoding == "text":
        return content.encode()
    if encoding == "base64":
        return base64.b64decode("".join(content.split()), validate=True)
    raise ValueError(f"its encoding is {shown(json.dumps(encoding), 40)}")
