"""What a hook finds in its environment, as diskimage-builder has it."""

from collections.abc import Iterator, Mapping, Sequence
import os
from pathlib import Path
import re
import shlex

import yaml

from dib_service.engine import elements, hooks, process, redaction, spec
from dib_service.engine.workspace import build_place

# So that an element may say how it went wrong with one word.
DIE = '() {  echo "ERROR: $*" 1>&2; exit 1; }'


# Places that whoever builds on a machine of their own may choose.
THEIRS = ("DIB_LOCKFILES", "HOME")


def of_hooks(
    wanted: spec.BuildSpec,
    chosen: Sequence[elements.Found],
    *,
    path: Sequence[Path],
    workspace: Path,
    cache_dir: Path,
    surroundings: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """The environment that every phase starts from.

    What the request sets comes first and what the engine says of itself
    last: a request cannot tell a hook lies about where things are.
    ``surroundings`` is the environment of whoever builds on a machine of
    their own, and decides what nobody else may.
    """
    theirs = surroundings or {}
    return {
        **process.BASE_ENV,
        **_defaults(wanted),
        **_surroundings(theirs),
        **wanted.environment,
        **_places(workspace, cache_dir),
        **{name: theirs[name] for name in THEIRS if theirs.get(name)},
        **_elements(chosen, path),
        **_request(wanted, theirs),
    }


def _defaults(wanted: spec.BuildSpec) -> dict[str, str]:
    return {
        "DIB_CHECKSUM": "0",
        "DIB_DEBUG_TRACE": "0",
        "DIB_MIN_TMPFS": "1" if wanted.ramdisk else "2",
        "DIB_NO_TMPFS": "1",
        "DIB_OFFLINE": "",
        "FS_TYPE": "ext4",
        # A name of the contract's that says nothing of what is made.
        "IMAGE_TYPE": "qcow2",
        "PS4": "+ ",
    }


def _surroundings(given: Mapping[str, str]) -> dict[str, str]:
    """What hooks get of a person's environment: all but two things.

    Order and messages do not depend on a language. And a cron job's PATH
    may lack the directories that hooks' programs are in.
    """
    path = given.get("PATH", "").split(os.pathsep)
    path += process.BASE_ENV["PATH"].split(os.pathsep)
    whole = os.pathsep.join(dict.fromkeys(filter(None, path)))
    return {
        **given,
        **{"LC_ALL": process.BASE_ENV["LC_ALL"], "PATH": whole},
    }


def _places(workspace: Path, cache_dir: Path) -> dict[str, str]:
    build = build_place(workspace)
    return {
        "DIB_IMAGE_CACHE": str(cache_dir),
        "DIB_LOCKFILES": str(cache_dir / "lockfiles"),
        "DIB_PYTHON_EXEC": str(build / "hooks" / hooks.PYTHON),
        "HOME": str(workspace / "home"),
        # Only a build that a hook makes of its own gives it a value.
        "OUT_IMAGE_PATH": "",
        "TMP_BUILD_DIR": str(build),
        "TMP_HOOKS_PATH": str(build / "hooks"),
        "TMP_IMAGE_DIR": str(workspace / "image"),
        "TMP_MOUNT_PATH": str(build / "mnt"),
        "_LIB": str(hooks.LIB),
    }


def _elements(
    chosen: Sequence[elements.Found], path: Sequence[Path]
) -> dict[str, str]:
    return {
        "ELEMENTS_PATH": os.pathsep.join(map(str, _searched(path, chosen))),
        **_lists(chosen),
        # How bash hands an exported function to the next bash.
        "BASH_FUNC_die%%": DIE,
        "BASH_FUNC_get_image_element_array%%": f"() {_array(chosen)}",
    }


def _searched(
    path: Sequence[Path], chosen: Sequence[elements.Found]
) -> list[Path]:
    """The path without our own elements if none of them is in the image.

    diskimage-builder's package-installs reads the lists of every element
    of the same name along the path: ours would be added to its own.
    """
    return [
        place
        for place in path
        if place not in elements.default_path()
        or any(found.directory.is_relative_to(place) for found in chosen)
    ]


def _lists(chosen: Sequence[elements.Found]) -> dict[str, str]:
    places = {found.name: str(found.directory) for found in chosen}
    return {
        "IMAGE_ELEMENT": " ".join(places),
        "IMAGE_ELEMENT_YAML": yaml.safe_dump(places),
    }


def _array(chosen: Sequence[elements.Found]) -> str:
    """A function's body: bash has no other way to hand on an array."""
    array = "".join(
        f"[{found.name}]={shlex.quote(str(found.directory))} "
        for found in chosen
    )
    return f"{{  echo {shlex.quote(array)}; }}"


def evaluable(chosen: Sequence[elements.Found]) -> str:
    """The lists of elements, for bash to evaluate."""
    function = "get_image_element_array"
    return "\n".join(
        (
            *(
                f"export {name}={shlex.quote(value)}"
                for name, value in _lists(chosen).items()
            ),
            f"function {function} {_array(chosen)}",
            f"export -f {function}",
        )
    )


def _request(
    wanted: spec.BuildSpec, theirs: Mapping[str, str]
) -> dict[str, str]:
    # Elements write this into images, too.
    arguments = redaction.without_passwords(
        theirs.get("DIB_ARGS")
        or shlex.join(
            (
                *("-o", wanted.name, "-t", ",".join(wanted.formats)),
                *wanted.elements,
            )
        )
    )
    declared = {**theirs, **wanted.environment, "DIB_ARGS": arguments}
    return {
        "ARCH": spec.ARCHITECTURES[wanted.architecture],
        "DIB_ARGS": arguments,
        "DIB_ENV": "\n".join(_declared(declared)),
        "IMAGE_NAME": wanted.name,
    }


def _declared(environment: Mapping[str, str]) -> Iterator[str]:
    """The DIB_ variables, as bash's "declare -p" has them.

    Elements write this into images: of a secret there is only the name.
    """
    for name, value in sorted(environment.items()):
        if not name.startswith("DIB_") or name == "DIB_ENV":
            continue
        if redaction.is_secret(name):
            yield f"declare -x {name}"
        else:
            shown = redaction.without_passwords(value)
            quoted = re.sub(r'(["$`\\])', r"\\\1", shown)
            yield f'declare -x {name}="{quoted}"'
