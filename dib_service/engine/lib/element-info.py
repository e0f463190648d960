"""Which elements an image is made of, for hooks to ask.

$DIB_PYTHON_EXEC $_LIB/element-info.py [--env] ELEMENT...
"""

import argparse
import os
from pathlib import Path
import sys

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from dib_service.engine import (
    catalogue,
    elements,
    environment,
    errors,
)


def main() -> int:
    """Print their names, or with --env what bash can evaluate."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("elements", nargs="+", metavar="ELEMENT")
    parser.add_argument(
        "-e",
        "--env",
        action="store_true",
        help="print IMAGE_ELEMENT and its like for bash to evaluate",
    )
    options = parser.parse_args()
    path = elements.parse_path(os.environ.get("ELEMENTS_PATH", ""))
    try:
        found = _found(options.elements, path or elements.default_path())
    except errors.EngineError as exc:
        print(f"element-info: {exc}", file=sys.stderr)
        return 1
    if options.env:
        print(environment.evaluable(found))
    else:
        print(" ".join(each.name for each in found))
    return 0


def _found(
    names: list[str], path: tuple[Path, ...]
) -> tuple[elements.Found, ...]:
    shelf = elements.read(path)
    known = {name: found.element for name, found in shelf.items()}
    return tuple(shelf[each.name] for each in catalogue.expand(names, known))


if __name__ == "__main__":
    sys.exit(main())
