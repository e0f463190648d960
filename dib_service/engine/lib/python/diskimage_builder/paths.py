"""Where the engine's shell libraries and its elements are."""

from pathlib import Path
import sys

LIB = Path(__file__).resolve().parents[2]

sys.path.append(str(LIB.parents[2]))

from dib_service.engine import elements  # noqa: E402


def get_path(var: str) -> str:
    """The directory of that name: lib or elements."""
    if var == "lib":
        return str(LIB)
    if var == "elements":
        return str(elements.default_path()[0])
    raise ValueError(f"neither lib nor elements: {var}")


def show_path(var: str) -> None:
    """Print the directory of that name."""
    print(get_path(var))
