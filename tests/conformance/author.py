"""Elements that a test writes down."""

from collections.abc import Iterator, Mapping
import contextlib
from pathlib import Path
import tempfile

from tests.conformance import sides


@contextlib.contextmanager
def place() -> Iterator[Path]:
    """A directory for elements, where both engines' builds can see it."""
    sides.CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
        prefix="elements-", dir=sides.CACHE
    ) as path:
        yield Path(path).resolve()


def write(element: Path, files: Mapping[str, str]) -> None:
    """Write an element; what lies in a phase can be executed."""
    element.mkdir(parents=True)
    for relative, text in files.items():
        path = element / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        phase = relative.partition("/")[0]
        if phase.endswith(".d") or phase == "bin":
            path.chmod(0o755)
