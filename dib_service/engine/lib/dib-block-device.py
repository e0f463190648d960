"""What hooks may ask of the image's disk.

    python $_LIB/dib-block-device.py [--params FILE] getval SYMBOL

The engine itself makes, mounts and puts away the disk; the other commands
that diskimage-builder has under this name are therefore refused.
"""

import argparse
import json
import os
from pathlib import Path
import sys

PARAMETERS = "DIB_BLOCK_DEVICE_PARAMS_YAML"

# What the engine keeps beside the parameters, see engine.disk.parameters.
VALUES = "values.json"


def main() -> int:
    """Print a value; 0, or 1 when there is none of that name yet."""
    options = _parser().parse_args()
    parameters = options.params or os.environ.get(PARAMETERS)
    if not parameters:
        return _complain(f"neither {PARAMETERS} nor --params is set")
    if options.command != "getval":
        return _complain(f"{options.command}: the engine does this itself")
    if not options.symbol:
        return _complain("getval: which value?")
    try:
        values = json.loads(Path(parameters).with_name(VALUES).read_text())
    except OSError as exc:
        return _complain(f"{exc.filename}: {exc.strerror}")
    if options.symbol not in values:
        known = ", ".join(sorted(values))
        return _complain(f"no {options.symbol} here, there are: {known}")
    print(values[options.symbol])
    return 0


def _complain(text: str) -> int:
    print(f"dib-block-device: {text}", file=sys.stderr)
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--params", help=f"{PARAMETERS} by default")
    parser.add_argument("command", help="getval")
    parser.add_argument("symbol", nargs="?", help="the value's name")
    return parser


if __name__ == "__main__":
    sys.exit(main())
