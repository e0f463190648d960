"""Reads a block device configuration: a tree or a graph, to plain nodes.

In the tree form a plugin's key stands inside the one that it builds on; in
the graph form it names it as its ``base``. Both may be mixed.
"""

from collections.abc import Iterator, Mapping, Sequence
import dataclasses
from typing import Any

import yaml

from dib_service.engine import errors

# The keys of each plugin that we follow.
PLUGINS: Mapping[str, frozenset[str]] = {
    # The directory is where diskimage-builder has the file while it works on
    # it. Here that is the build's own, which nothing is left of.
    "local_loop": frozenset({"name", "size", "block_size", "directory"}),
    "partitioning": frozenset({"name", "base", "label", "align"}),
    "mkfs": frozenset({"name", "base", "type", "label", "opts", "uuid"}),
    "mount": frozenset({"name", "base", "mount_point"}),
    "fstab": frozenset(
        {"name", "base", "options", "dump-freq", "fsck-passno"}
    ),
}
# A partition's base is its table's, whatever it says.
PARTITION = frozenset({"name", "base", "size", "type", "flags"})

# Why a plugin of diskimage-builder's is none of ours.
REFUSED = {
    "lvm": "logical volumes need device-mapper, which a builder has no "
    "use for otherwise and this engine does not use; take partitions",
}

LONGEST = 64 * 1024
DEEPEST = 16


@dataclasses.dataclass(frozen=True)
class Node:
    """One plugin's own keys; ``where`` is how an error calls it."""

    plugin: str
    where: str
    name: str
    base: str
    options: Mapping[str, Any]
    partitions: tuple["Node", ...] = ()

    def word(self, key: str) -> str:
        """The text of a key that must be there.

        :raises errors.LayoutError: it is not.
        """
        value = self.options.get(key)
        if not isinstance(value, str) or not value:
            problem = "is missing" if value is None else "must be a word"
            raise errors.LayoutError(f"{self.where}.{key}", problem)
        return value

    def number(self, key: str, default: int) -> int:
        """The natural number of a key.

        :raises errors.LayoutError: it is something else.
        """
        value = self.options.get(key, default)
        if not str(value).isascii() or not str(value).isdigit():
            raise errors.LayoutError(f"{self.where}.{key}", "not a number")
        return int(value)


def nodes(text: str) -> tuple[Node, ...]:
    """All nodes of a configuration, what builds on another after it.

    :raises errors.LayoutError: at the first key that we do not follow.
    """
    document = _document(text)
    if not isinstance(document, list) or not document:
        raise errors.LayoutError("top level", "must be a list")
    found: list[Node] = []
    for index, item in enumerate(document):
        if not isinstance(item, dict) or len(item) != 1:
            raise errors.LayoutError(
                f"[{index}]", "must have one key, the name of a plugin"
            )
        [(plugin, options)] = item.items()
        found += _nodes(str(plugin), options, str(plugin), base="")
    _check_names(found)
    return tuple(found)


def _nodes(
    plugin: str, options: Any, where: str, *, base: str
) -> Iterator[Node]:
    if plugin in REFUSED:
        raise errors.LayoutError(where, REFUSED[plugin])
    if plugin not in PLUGINS:
        raise errors.LayoutError(
            where, f"'{plugin}' is none of {', '.join(PLUGINS)}"
        )
    options = _mapping(options, where)
    own = {k: v for k, v in options.items() if k in PLUGINS[plugin]}
    base = _text(own.get("base", base), f"{where}.base")
    name = _text(own.get("name", f"{plugin}_{base}"), f"{where}.name")
    if plugin == "local_loop" and "name" not in own:
        raise errors.LayoutError(f"{where}.name", "is missing")
    if plugin != "local_loop" and not base:
        raise errors.LayoutError(f"{where}.base", "is missing")
    partitions: tuple[Node, ...] = ()
    inner: list[Node] = []
    if plugin == "partitioning":
        partitions, inner = _partitions(options, where)
    yield Node(plugin, where, name, base, own, partitions)
    yield from inner
    rest = {
        k: v
        for k, v in options.items()
        if k not in own
        and not (plugin == "partitioning" and k == "partitions")
    }
    yield from _inside(rest, where, base=name)


def _inside(
    options: Mapping[str, Any], where: str, *, base: str
) -> Iterator[Node]:
    for key, value in options.items():
        if key not in PLUGINS and key not in REFUSED:
            raise errors.LayoutError(f"{where}.{key}", "no such key")
        yield from _nodes(key, value, f"{where}.{key}", base=base)


def _partitions(
    options: Mapping[str, Any], where: str
) -> tuple[tuple[Node, ...], list[Node]]:
    given = options.get("partitions")
    if not isinstance(given, list) or not given:
        raise errors.LayoutError(f"{where}.partitions", "must be a list")
    partitions: list[Node] = []
    inner: list[Node] = []
    for index, item in enumerate(given):
        here = f"{where}.partitions[{index}]"
        item = _mapping(item, here)
        name = _text(item.get("name", ""), f"{here}.name")
        if not name:
            raise errors.LayoutError(f"{here}.name", "is missing")
        own = {k: v for k, v in item.items() if k in PARTITION}
        partitions.append(Node("partition", here, name, "", own))
        rest = {k: v for k, v in item.items() if k not in PARTITION}
        inner += _inside(rest, here, base=name)
    return tuple(partitions), inner


def _check_names(found: Sequence[Node]) -> None:
    seen: set[str] = set()
    for node in found:
        # A table is asked for by the name of its disk.
        own = () if node.plugin == "partitioning" else (node,)
        for one in (*own, *node.partitions):
            if one.name in seen:
                raise errors.LayoutError(
                    f"{one.where}.name", f"'{one.name}' is there twice"
                )
            seen.add(one.name)


def _mapping(value: Any, where: str) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise errors.LayoutError(where, "must be a mapping")
    for key in value:
        if not isinstance(key, str):
            raise errors.LayoutError(where, f"key {key!r} is not a word")
    return value


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str) or not all(
        char.isalnum() or char in "_-. " for char in value
    ):
        raise errors.LayoutError(where, f"{value!r} is not a name")
    return value


class _Loader(yaml.SafeLoader):
    """Safe, and with one meaning for one text."""

    depth = 0

    def compose_node(
        self, parent: yaml.Node | None, index: Any
    ) -> yaml.Node | None:
        # A few lines of aliases can stand for gigabytes.
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(
                problem="aliases are not supported",
                problem_mark=event.start_mark,
            )
        self.depth += 1
        if self.depth > DEEPEST:
            raise yaml.MarkedYAMLError(problem="nested too deeply")
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1

    def construct_mapping(
        self, node: yaml.MappingNode, deep: bool = False
    ) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            # The second of two equal keys would silently win.
            if key.value in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"key '{key.value}' is there twice",
                    problem_mark=key.start_mark,
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)

    def as_written(self, node: yaml.ScalarNode) -> int | str:
        """A number, or its text where the number alone does not say it.

        Types of partitions are hexadecimal and seldom say so: for YAML 0700
        is octal, and 0x83 the same as 131.
        """
        text = str(node.value)
        if text.isascii() and text.isdigit() and text[0] != "0":
            return int(text)
        return 0 if text == "0" else text


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.as_written)


def _document(text: str) -> Any:
    if len(text) > LONGEST:
        raise errors.LayoutError("top level", f"longer than {LONGEST}")
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark
        # Never the line itself: a file that is none of ours may be a secret.
        where = f"line {mark.line + 1}" if mark else "top level"
        raise errors.LayoutError(where, exc.problem or "not YAML") from exc
    except (yaml.YAMLError, ValueError) as exc:
        raise errors.LayoutError("top level", "not YAML") from exc
