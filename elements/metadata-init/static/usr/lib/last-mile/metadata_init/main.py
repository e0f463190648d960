"""The three times that it runs in a boot, and what it does in them."""

from __future__ import annotations

import argparse
from collections.abc import Callable
import json
from pathlib import Path
import sys
import traceback
from types import ModuleType
from typing import Any

from metadata_reader import data, drive, files, service
from metadata_reader.log import Log

from metadata_init import (
    interfaces,
    keyfile,
    machine,
    name,
    network,
    networkd,
    user,
)
from metadata_init.settings import Settings

# Which keys are there because of us.
STATE = Path("/var/lib/metadata-init/state.json")
# What came of it, for whoever asks how the boot went.
RESULT = Path("/run/metadata-init/result.json")

RENDERERS: dict[str, ModuleType] = {
    "networkd": networkd,
    "networkmanager": keyfile,
}

NOBODY = "no data source: everything stays as it was"


def main(words: list[str] | None = None) -> int:
    """Run one stage; 1 if something of the metadata is wrong."""
    parser = argparse.ArgumentParser(prog="metadata-init")
    parser.add_argument("stage", choices=["machine", "local", "network"])
    stage = parser.parse_args(words).stage
    say = Log()
    try:
        Machine(Settings.read(), say).run(stage)
    except Exception as exc:
        # The boot goes on, whatever it is; the unit says that it failed.
        traceback.print_exc()
        say.error(f"ended unexpectedly: {data.shown(exc)}")
    return 1 if say.errors else 0


class Machine:
    """This machine, which becomes what the metadata says."""

    def __init__(self, settings: Settings, say: Log) -> None:
        self._settings = settings
        self._say = say
        self._renderer = RENDERERS[settings.network]

    def run(self, stage: str) -> None:
        """Do what there is to do at one of them.

        ``machine`` is before anything else, ``local`` before the network,
        ``network`` once that is there.
        """
        {
            "machine": self._look_around,
            "local": self._local,
            "network": self._network,
        }[stage]()

    def _look_around(self) -> None:
        if machine.changed():
            self._say.note(
                "this is another machine: the host keys and the network of "
                "the last one are forgotten"
            )
            machine.forget(self._renderer)
        machine.remember()

    def _local(self) -> None:
        # Without metadata there is a user, too, who has no key.
        self._guarded("user", lambda: user.ensure(self._settings))
        source = "none"
        try:
            found = drive.read()
        except data.Unreadable as exc:
            found, source = None, "unreadable"
            self._say.error(f"config drive: {exc}")
        if found is None:
            self._say.note("no config drive: asking the metadata service")
            self._reach_out()
        else:
            self._take(found)
            source = found.source
        self._tell(source)

    def _network(self) -> None:
        if data.kept() is not None:
            return
        seconds = self._settings.seconds
        source = "none"
        try:
            found = service.read(seconds, self._say.note)
        except data.Unreadable as exc:
            found, source = None, "unreadable"
            self._say.error(str(exc))
        if found is None:
            self._say.warn(
                f"no metadata service has answered in {seconds:.0f} s; "
                f"{NOBODY}"
            )
        else:
            if self._take(found):
                self._guarded("network", self._renderer.reload)
            source = found.source
        self._tell(source)

    def _take(self, found: data.Metadata) -> bool:
        """Become what it says; whether the network has to be reloaded."""
        self._say.note(f"metadata of the {found.source}")
        for each, why in found.broken.items():
            self._say.error(f"{each} {why}: what it was about stays")
        data.keep(found)
        meta_data = found.document("meta_data.json")
        self._guarded("host name", lambda: self._name(meta_data))
        self._guarded("keys", lambda: self._keys(meta_data))
        if "network_data.json" in found.broken:
            self._reach_out()
            return False
        return bool(self._guarded("network", lambda: self._links(found)))

    def _name(self, meta_data: dict[str, Any]) -> None:
        try:
            found = name.named(meta_data)
        except name.Malformed as exc:
            self._say.error(f"{exc}: the name stays")
            return
        if found:
            name.take(found, qualified=self._settings.qualified)
            self._say.note(f"host name: {found}")

    def _keys(self, meta_data: dict[str, Any]) -> None:
        try:
            wanted, problems = user.keys(meta_data)
        except user.Malformed as exc:
            self._say.error(f"{exc}: the keys stay")
            return
        for problem in problems:
            self._say.error(problem)
        if problems and not wanted:
            self._say.error("none of the public keys is one: the keys stay")
            return
        account = user.ensure(self._settings)
        given = _state().get(account.pw_name, [])
        # What is about to be given is written down first: should we end in
        # between, it is known that it came from us.
        _remember({account.pw_name: sorted({*given, *wanted})})
        ours = user.authorize(account, wanted, given)
        _remember({account.pw_name: ours})
        self._say.note(f"{account.pw_name} has {len(ours)} keys of the cloud")

    def _links(self, found: data.Metadata) -> bool:
        known = interfaces.by_mac()
        described = found.documents.get("network_data.json")
        if described is None:
            self._say.note("no network_data.json: DHCP on every interface")
            links = network.everywhere(known)
        else:
            try:
                links = network.parse(
                    described, known, self._say.error, self._say.warn
                )
            except network.Malformed as exc:
                self._say.error(f"network_data.json: {exc}: the network stays")
                self._reach_out()
                return False
        for link in links:
            if not link.present:
                self._say.warn(f"there is no interface with {link.mac} now")
        return self._write(self._renderer.rendered(links))

    def _reach_out(self) -> None:
        """Ask for addresses if no earlier boot left a network."""
        if list(self._renderer.FOLDER.glob(f"{self._renderer.PREFIX}*")):
            self._say.note("the network stays as it was")
            return
        links = network.everywhere(interfaces.by_mac())
        self._write(self._renderer.rendered(links))
        self._say.note("no network is known: DHCP on every interface")

    def _write(self, wanted: dict[str, str]) -> bool:
        """Have these files and no others of ours; whether that is new."""
        folder = self._renderer.FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        changed = False
        for path in folder.glob(f"{self._renderer.PREFIX}*"):
            if path.name not in wanted:
                changed = files.remove(path) or changed
        for each, text in wanted.items():
            mode = self._renderer.MODE
            changed = files.write(folder / each, text, mode=mode) or changed
        return changed

    def _guarded(self, what: str, act: Callable[[], Any]) -> Any:
        """Do one of several things; the others go on without it."""
        try:
            return act()
        except Exception as exc:
            traceback.print_exc()
            self._say.error(f"{what}: {data.shown(exc)}")
            return None

    def _tell(self, source: str) -> None:
        RESULT.parent.mkdir(parents=True, exist_ok=True)
        result = {
            "source": source,
            "errors": self._say.errors,
            "warnings": self._say.warnings,
        }
        files.write(RESULT, json.dumps(result), mode=0o644)


def _state() -> dict[str, list[str]]:
    """The keys that were given, by their users."""
    try:
        found = json.loads(STATE.read_text())
        return {str(who): list(map(str, keys)) for who, keys in found.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}


def _remember(given: dict[str, list[str]]) -> None:
    STATE.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    files.write(STATE, json.dumps(given), mode=0o600)


if __name__ == "__main__":
    sys.exit(main())
