"""What a lab remembers between two commands: its ports and passwords."""

from collections.abc import Callable
import json
import pathlib
import secrets

from tools.lab import daemon


class State:
    """A folder, and a small file in it with what was chosen at first."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        self._file = path / "chosen.json"

    def port(self, name: str) -> int:
        """The port of that server, chosen when first asked for."""
        return int(self._chosen(f"{name}_port", daemon.free_port))

    def password(self, name: str) -> str:
        """The password of that user, made when first asked for."""
        return str(self._chosen(f"{name}_password", _new_password))

    def _chosen(self, name: str, choose: Callable[[], int | str]) -> int | str:
        known: dict[str, int | str] = {}
        if self._file.exists():
            known = json.loads(self._file.read_text())
        if name not in known:
            known[name] = choose()
            self.path.mkdir(parents=True, exist_ok=True)
            self._file.touch(mode=0o600)
            self._file.write_text(json.dumps(known, indent=1))
        return known[name]


def _new_password() -> str:
    # They all begin alike, so that a test can look for any of them where
    # none may be.
    return f"lab-{secrets.token_hex(12)}"
