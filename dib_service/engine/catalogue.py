"""Which elements exist and which of them make an image: no I/O here.

The API resolves a request against what the builders have registered, the
engine resolves the same request against what lies on its disk; both come
here, so both come to the same answer.
"""

from collections import deque
from collections.abc import Iterable, Mapping
import dataclasses
from typing import Any, Self

from dib_service.engine import errors

# What resolve raises, for those who may not import engine.errors.
from dib_service.engine.errors import ElementNotFound as ElementNotFound
from dib_service.engine.errors import EngineError as EngineError

# The contract's order (diskimage-builder, lib/disk-image-create).
PHASES = (
    "root.d",
    "extra-data.d",
    "pre-install.d",
    "install.d",
    "post-install.d",
    "post-root.d",
    "block-device.d",
    "pre-finalise.d",
    "finalise.d",
    "cleanup.d",
)
INSIDE = frozenset(
    {"pre-install.d", "install.d", "post-install.d", "finalise.d"}
)

OPERATING_SYSTEM = "operating-system"
# An element of this name says that no disk image is to be made: what hooks
# write beside it is what the build is for.
NO_IMAGE = "no-final-image"
# One that every firmware starts.
DEFAULT_LAYOUT = "block-device-efi"


@dataclasses.dataclass(frozen=True)
class Element:
    """What is known of an element without running it.

    ``digest`` is the sha256 of its tree (names, modes, contents);
    ``summary`` the first line of its README; ``hooks`` the runnable names
    of each phase, in the order of their names.
    """

    name: str
    digest: str
    dependencies: tuple[str, ...] = ()
    provides: tuple[str, ...] = ()
    summary: str = ""
    hooks: Mapping[str, tuple[str, ...]] = dataclasses.field(
        default_factory=dict
    )

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """An element from its JSON form."""
        return cls(
            name=data["name"],
            digest=data["digest"],
            dependencies=tuple(data["dependencies"]),
            provides=tuple(data["provides"]),
            summary=data["summary"],
            hooks={
                phase: tuple(names) for phase, names in data["hooks"].items()
            },
        )

    def to_dict(self) -> dict[str, Any]:
        """The JSON form that ``from_dict`` reads."""
        return {
            "name": self.name,
            "digest": self.digest,
            "dependencies": list(self.dependencies),
            "provides": list(self.provides),
            "summary": self.summary,
            "hooks": {
                phase: list(names) for phase, names in self.hooks.items()
            },
        }


def resolve(
    requested: Iterable[str],
    elements: Mapping[str, Element],
    *,
    skip_base: bool = False,
) -> tuple[Element, ...]:
    """The elements that make the image, sorted by name.

    They are those that ``expand`` finds for what was asked for and what an
    image has without being asked.

    :raises EngineError: what ``expand`` raises.
    """
    return expand(_wanted(requested, skip_base=skip_base), elements)


def expand(
    requested: Iterable[str], elements: Mapping[str, Element]
) -> tuple[Element, ...]:
    """These elements and all that they depend on, sorted by name.

    The rules are those of diskimage-builder's ``element_dependencies``, with
    one order for one request where it has a random one.

    :raises ElementNotFound: a name that nothing carries.
    :raises AlreadyProvided: two elements provide the same thing.
    :raises NoOperatingSystem: no base distribution element.
    """
    wanted = list(dict.fromkeys(requested))
    needed, providers = _expand(wanted, elements)
    for name in wanted:
        if providers.get(name, name) != name:
            raise errors.AlreadyProvided(name, (name, providers[name]))
    if OPERATING_SYSTEM not in providers:
        raise errors.NoOperatingSystem
    return tuple(
        elements[name]
        for name in sorted(needed)
        if providers.get(name, name) == name
    )


def _wanted(requested: Iterable[str], *, skip_base: bool) -> list[str]:
    wanted = list(dict.fromkeys(requested))
    # A machine image needs a layout; diskimage-builder adds one on the same
    # condition, but on amd64 one that BIOS firmware alone starts.
    if "vm" in wanted and not any(
        name.startswith("block-device-") for name in wanted
    ):
        wanted.append(DEFAULT_LAYOUT)
    if not skip_base and "base" not in wanted:
        wanted.insert(0, "base")
    return wanted


def _expand(
    wanted: list[str], elements: Mapping[str, Element]
) -> tuple[set[str], dict[str, str]]:
    """All that is needed, and who provides what."""
    queue: deque[tuple[str, str | None]] = deque(
        (name, None) for name in wanted
    )
    needed = set(wanted)
    providers: dict[str, str] = {}
    while queue:
        name, needed_by = queue.popleft()
        # Somebody may have come to provide it since it was queued.
        if name in providers:
            continue
        if name not in elements:
            raise errors.ElementNotFound(name, needed_by)
        for provided in elements[name].provides:
            if provided in providers:
                raise errors.AlreadyProvided(
                    provided, (providers[provided], name)
                )
            providers[provided] = name
        for dependency in elements[name].dependencies:
            if dependency not in needed and dependency not in providers:
                queue.append((dependency, name))
                needed.add(dependency)
    return needed, providers


def plan(chosen: Iterable[Element]) -> list[dict[str, Any]]:
    """The hooks that will run, phase by phase, in their order.

    Each row is ``{"phase", "inside", "hooks": [{"element", "hook"}]}``.
    """
    rows = []
    chosen = tuple(chosen)
    for phase in PHASES:
        hooks = [
            (hook, element.name)
            for element in chosen
            for hook in element.hooks.get(phase, ())
        ]
        hooks.sort(key=lambda pair: run_order(pair[0]))
        rows.append(
            {
                "phase": phase,
                "inside": phase in INSIDE,
                "hooks": [
                    {"element": element, "hook": hook}
                    for hook, element in hooks
                ],
            }
        )
    return rows


def run_order(name: str) -> tuple[int, bytes]:
    """Where a hook stands in its phase; compare the results."""
    # dib-run-parts sorts as "LC_ALL=C sort -n": by leading number first and
    # by bytes second. Element authors count on 9-a coming before 10-b.
    sign, rest = (-1, name[1:]) if name.startswith("-") else (1, name)
    digits = ""
    for char in rest:
        if not ("0" <= char <= "9"):
            break
        digits += char
    return (sign * int(digits) if digits else 0, name.encode())
