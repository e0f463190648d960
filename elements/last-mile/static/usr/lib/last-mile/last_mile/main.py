"""One run at each boot: files, and what each client is told of its server."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import importlib
import json
from pathlib import Path
import pkgutil
import sys
import traceback
from types import ModuleType
from typing import Any

from metadata_reader import data, drive, files, service
from metadata_reader.log import Log

from last_mile import asked, credentials
from last_mile.asked import FILES
from last_mile.client import Machine, Refused

# The files that are there because of us.
STATE = Path("/var/lib/last-mile/state.json")
SETTINGS = Path("/etc/last-mile.json")
# Which services know their server in this boot: their units look here.
READY = Path("/run/last-mile")


def main() -> int:
    """Do all of it; 1 if something of the metadata is wrong."""
    say = Log()
    try:
        run(say)
    except Exception as exc:
        traceback.print_exc()
        say.error(f"ended unexpectedly: {data.shown(exc)}")
    return 1 if say.errors else 0


def run(say: Log) -> None:
    """Have what the metadata asks for, and not what it asked for before."""
    READY.mkdir(mode=0o755, parents=True, exist_ok=True)
    metadata = read(say)
    if metadata is None:
        say.warn("no data source: files and servers stay as they were")
        for name, client in clients():
            Machine(READY / name, say).again(client)
        return
    wanted, whole = asked.gathered(metadata, say.error)
    known = dict(clients())
    # YAML has names that are no text, and nobody's.
    for section in sorted(set(wanted) - {FILES, *known}, key=str):
        say.warn(f"nothing in this image is about {data.shown(section, 40)}")
    take_files(wanted.get(FILES, []), whole, say)
    for name, client in known.items():
        configure(name, client, wanted.get(name), whole, say)


def read(say: Log) -> data.Metadata | None:
    """What is known of this machine: from earlier in this boot, or anew."""
    found = data.kept()
    if found is not None:
        return found
    try:
        found = drive.read() or service.read(seconds(), say.note)
    except data.Unreadable as exc:
        say.error(str(exc))
        return None
    if found is not None:
        data.keep(found)
    return found


def seconds() -> float:
    """How long a metadata service may take to answer."""
    return float(json.loads(SETTINGS.read_text())["seconds"])


def clients() -> Iterator[tuple[str, ModuleType]]:
    """What this image has to hand the machine over to, by its section."""
    with contextlib.suppress(ImportError):
        package = importlib.import_module("last_mile_clients")
        for each in pkgutil.iter_modules(package.__path__):
            yield (
                each.name,
                importlib.import_module(f"last_mile_clients.{each.name}"),
            )


def take_files(described: object, whole: bool, say: Log) -> None:
    """Have these files, and none that came before and is not among them.

    Where not all could be read, nothing is taken away: it may be there.
    """
    before = len(say.errors)
    found = credentials.wanted(described, credentials.places(), say.error)
    given = _given()
    paths = {str(file.path) for file in found}
    # Before they are there: should we end in between, they are known.
    _remember(given | paths)
    for file in found:
        try:
            if credentials.write(file):
                say.note(f"wrote {file.path}")
        except OSError as exc:
            say.error(f"{file.path}: {data.shown(exc.strerror)}")
    if not whole or len(say.errors) > before:
        return
    for path in sorted(given - paths):
        try:
            if files.remove(Path(path)):
                say.note(f"removed {path}, which the metadata names no longer")
        except OSError as exc:
            # It is remembered, and the next boot tries again.
            say.error(f"{path}: {data.shown(exc.strerror)}")
            paths.add(path)
    _remember(paths)


def configure(
    name: str, client: ModuleType, section: object, whole: bool, say: Log
) -> None:
    """Tell one client of its server, or that there is none any more."""
    machine = Machine(READY / name, say)
    try:
        if isinstance(section, dict):
            client.configure(section, machine)
            machine.ready()
            say.note(f"{name} knows its server")
        elif section is not None:
            raise Refused("it is not an object")
        elif whole:
            client.forget(machine)
        else:
            machine.again(client)
    except Refused as exc:
        say.error(f"{name}: {data.shown(exc)}: it is not started")
    except Exception as exc:
        traceback.print_exc()
        say.error(f"{name}: {data.shown(exc)}: it is not started")


def _given() -> set[str]:
    try:
        found: Any = json.loads(STATE.read_text())
        return set(map(str, found[FILES]))
    except (OSError, ValueError, KeyError, TypeError):
        return set()


def _remember(paths: set[str]) -> None:
    STATE.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    files.write(STATE, json.dumps({FILES: sorted(paths)}), mode=0o600)


if __name__ == "__main__":
    sys.exit(main())
