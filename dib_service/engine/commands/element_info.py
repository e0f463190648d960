"""element-info: which elements an image of some elements has."""

import argparse
from collections.abc import Sequence
import os
import sys

from dib_service.engine import catalogue, elements, environment, errors


def run(name: str, words: Sequence[str]) -> int:
    """Say it, as diskimage-builder does but always in one order."""
    options = _parser(name).parse_args(words)
    path = (
        *elements.parse_path(os.environ.get("ELEMENTS_PATH", "")),
        *elements.default_path(),
    )
    try:
        shelf = elements.read(path)
        known = {name: found.element for name, found in shelf.items()}
        chosen = [
            shelf[each.name]
            for each in catalogue.expand(options.elements, known)
        ]
    except errors.EngineError as exc:
        print(f"{name}: {exc}", file=sys.stderr)
        return 1
    if options.env:
        print(environment.evaluable(chosen))
    else:
        print(" ".join(each.name for each in chosen))
    return 0


def _parser(name: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=name, description=__doc__)
    parser.add_argument(
        "-e",
        "--env",
        action="store_true",
        help="as shell code that sets IMAGE_ELEMENT and what goes with it",
    )
    parser.add_argument("elements", nargs="+", metavar="ELEMENT")
    return parser
