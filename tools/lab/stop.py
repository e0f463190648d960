"""End every daemon of a lab: python -m tools.lab.stop FOLDER.

Needs nothing but Python, so that it works when an environment is gone.
"""

import pathlib
import sys

from tools.lab import daemon


def main() -> None:
    """End those that have a pid file, the last to start first."""
    state = pathlib.Path(sys.argv[1])
    files = sorted(state.glob("*.pid"), key=lambda file: -file.stat().st_mtime)
    for file in files:
        running = daemon.Daemon(name=file.stem, argv=(), state=state)
        if running.alive():
            print(f"ending {running.name}", flush=True)
        running.stop(seconds=60)


if __name__ == "__main__":
    main()
