"""A real PostgreSQL of our own: Debian's programs, a cluster in a folder."""

import pathlib
import shutil

from tools.lab import daemon, errors
from tools.lab.state import State

# The server refuses to run as root; Debian's package makes this user.
USER = "postgres"


class PostgreSQL:
    """One cluster; ``database`` makes an empty database in it."""

    def __init__(self, state: State) -> None:
        self.path = state.path / "postgresql"
        self.port = state.port("postgresql")
        self.password = state.password("postgresql")
        self._bin = _programs()
        self.daemon = daemon.Daemon(
            name="postgresql",
            argv=[
                str(self._bin / "postgres"),
                *("-D", str(self.path)),
                *("-p", str(self.port)),
                *("-c", "listen_addresses=127.0.0.1"),
                *("-c", "unix_socket_directories="),
                # What is lost when the machine fails was a lab's.
                *("-c", "fsync=off"),
            ],
            state=state.path,
            user=USER,
        )

    def database(self, name: str) -> str:
        """A new database: what ``[database] connection`` has to be."""
        self._psql("-c", f'CREATE DATABASE "{name}"')
        return (
            f"postgresql+psycopg2://{USER}:{self.password}"
            f"@127.0.0.1:{self.port}/{name}"
        )

    def start(self) -> None:
        """Make the cluster where there is none, and wait for it."""
        if not (self.path / "PG_VERSION").exists():
            self._make()
        self.daemon.start()
        self.daemon.wait_until(self._answers)

    def stop(self) -> None:
        """End it; the data stays."""
        # SIGTERM would wait for the clients to leave.
        self.daemon.kill()
        self.daemon.stop()

    def _make(self) -> None:
        # The server's user must reach its folder through ours.
        self.path.mkdir(parents=True, exist_ok=True)
        self.path.parent.chmod(0o711)
        secret = self.path.parent / "postgresql.password"
        secret.touch(mode=0o600)
        secret.write_text(self.password)
        for path in (self.path, secret):
            shutil.chown(path, USER, USER)
        daemon.run(
            [
                str(self._bin / "initdb"),
                *("-D", str(self.path)),
                *("--encoding", "UTF8"),
                *("--locale", "C.UTF-8"),
                *("--auth", "scram-sha-256"),
                *("--username", USER),
                *("--pwfile", str(secret)),
                "--no-sync",
            ],
            log=self.daemon.log,
            user=USER,
        )

    def _answers(self) -> bool:
        try:
            self._psql("-c", "SELECT 1")
        except errors.LabError:
            return False
        return True

    def _psql(self, *words: str) -> None:
        daemon.run(
            [
                str(self._bin / "psql"),
                *("-h", "127.0.0.1", "-p", str(self.port), "-U", USER),
                *words,
            ],
            log=self.daemon.log,
            env={"PGPASSWORD": self.password},
        )


def _programs() -> pathlib.Path:
    """The newest PostgreSQL on this machine."""
    found = sorted(
        pathlib.Path("/usr/lib/postgresql").glob("*/bin"),
        key=lambda path: float(path.parent.name),
    )
    if not found:
        raise errors.LabError("PostgreSQL is not installed (see bindep.txt)")
    return found[-1]
