"""What came with this package beside its code."""

from pathlib import Path
import sysconfig


def directory(name: str) -> Path | None:
    """Where it is: in a checkout, or where an installation has its data."""
    checkout = Path(__file__).resolve().parents[2] / name
    data = Path(sysconfig.get_path("data")) / "share/dib-service" / name
    for place in (checkout, data):
        if place.is_dir():
            return place
    return None
