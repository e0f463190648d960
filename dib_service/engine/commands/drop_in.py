"""diskimage-builder's commands, by their own names.

Scripts of these names lie in one directory for an operator's PATH; each of
them starts this program with its own name as the first word.
"""

from collections.abc import Callable, Mapping, Sequence
import sys

from dib_service.engine.commands import definitions, element_info, image_create

COMMANDS: Mapping[str, Callable[[str, Sequence[str]], int]] = {
    "disk-image-create": image_create.run,
    "ramdisk-image-create": image_create.run,
    "diskimage-builder": definitions.run,
    "element-info": element_info.run,
}


def main() -> int:
    """Do as the command that is named first; the exit code."""
    name, *words = sys.argv[1:] or [""]
    if name not in COMMANDS:
        print(
            f"dib-drop-in: expected one of {', '.join(COMMANDS)}",
            file=sys.stderr,
        )
        return 1
    return COMMANDS[name](name, words)


if __name__ == "__main__":
    sys.exit(main())
