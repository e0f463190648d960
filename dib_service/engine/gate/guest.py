"""What a machine says of itself to whoever has the key.

It says what it likes: lines are few and short, numbers are numbers, and what
is not understood counts as not said.
"""

from collections.abc import Callable, Mapping
import contextlib
import dataclasses
import json
from pathlib import Path
import re
import shlex
import socket
import time
from typing import Any

from dib_service.engine import errors, process
from dib_service.engine.gate import console
from dib_service.engine.gate.faults import Found
from dib_service.engine.gate.machine import Machine
from dib_service.engine.gate.plan import EMULATED

GREETING_SECONDS = 10.0
LOGIN_SECONDS = 30.0
KEYSCAN_SECONDS, KEYSCANS = 120.0, 3

# Between sshd's first refusal and the verdict that it will not let us in, on
# a real machine: who has a key may get it late.
PATIENCE_SECONDS = 20.0

MOST_LINES = 2000
LONGEST_VALUE = 16 * 1024
MARK = "dib:"
# What the answer with a public key is called, before the key's type.
HOST_KEY = "host-key-"

# What the guest is asked, by a shell of which POSIX is all that we know. It
# says where it stands whenever that has changed, and everything else once the
# boot has come to an end.
QUESTIONS = r"""
LC_ALL=C; export LC_ALL
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
say() { printf 'dib:%s %s\n' "$1" "$2"; }
flat() { tr '\n\t\r' '   ' | cut -c-12000; }
memory() { sed -n 's/^MemAvailable: *\([0-9]*\) kB/\1/p' /proc/meminfo; }
least=$(memory)
sample() {
    now=$(memory)
    if [ "${now:-0}" -gt 0 ] && [ "$now" -lt "$least" ]; then least=$now; fi
}
state=none
before=
if [ -d /run/systemd/system ]; then
    while :; do
        sample
        state=$(systemctl is-system-running 2>/dev/null)
        case $state in initializing | starting | '') ;; *) break ;; esac
        jobs=$(systemctl list-jobs --no-legend --plain 2>/dev/null |
            while read -r number unit kind how rest; do
                [ "$how" != running ] || printf '%s ' "$unit"
            done)
        if [ "$state $jobs" != "$before" ]; then
            say jobs "$jobs"
            before="$state $jobs"
        fi
        sleep 2
    done
    say failed "$(systemctl list-units --failed --no-legend --plain |
        while read -r unit rest; do printf '%s ' "$unit"; done)"
    systemctl list-units --failed --no-legend --plain |
        while read -r unit rest; do
            { sudo -n journalctl -b -u "$unit" -n 8 -o cat --no-pager ||
                journalctl -b -u "$unit" -n 8 -o cat --no-pager; } 2>&1 |
                while read -r line; do say log "$unit: $line"; done
        done
fi
say state "$state"
if command -v cloud-init >/dev/null 2>&1; then
    say cloud-init "$(cloud-init status --wait 2>&1 | flat)"
    for name in status result; do
        file=/run/cloud-init/$name.json
        say "cloud-init-$name" \
            "$({ cat $file || sudo -n cat $file; } 2>/dev/null | flat)"
    done
fi
if [ -x /usr/sbin/metadata-init ]; then
    say metadata-init "$(for unit in metadata-init-local metadata-init; do
        systemctl show --property=Result --value "$unit.service"
    done | flat)"
    say metadata-init-result \
        "$(cat /run/metadata-init/result.json 2>/dev/null | flat)"
fi
say host-name "$(hostname 2>/dev/null || cat /proc/sys/kernel/hostname)"
say machine-id "$(cat /etc/machine-id 2>/dev/null)"
say root "$(df -Pk / | tail -n 1)"
say persistent-state "$(findmnt --noheadings --bytes --output SIZE \
    --mountpoint /var/lib/persistent-state 2>/dev/null | flat)"
for file in /etc/ssh/ssh_host_*_key.pub; do
    [ ! -f "$file" ] || while read -r kind key rest; do
        say "host-key-$kind" "$key"
    done <"$file"
done
say secure-boot "$(od -An -tu1 -j4 -N1 \
    /sys/firmware/efi/efivars/SecureBoot-* 2>/dev/null)"
[ -d /sys/firmware/efi ] && say efi yes
sample
say least "$least"
say done yes
"""


@dataclasses.dataclass
class Said:
    """What was said, by what was asked; ``log`` is of units that failed."""

    words: dict[str, str] = dataclasses.field(default_factory=dict)
    log: list[str] = dataclasses.field(default_factory=list)

    def hear(self, line: str) -> str:
        """Take one line; what of it is new to know, or nothing."""
        if not line.startswith(MARK):
            return ""
        name, _, value = line.removeprefix(MARK).partition(" ")
        # That of JSON is text for a parser, and no line for a person.
        value = value[:LONGEST_VALUE]
        if name == "log":
            self.log.append(console.clean(value))
            del self.log[: -errors.LAST_LINES]
        else:
            self.words[name] = value.strip()
        return name

    def text(self, name: str) -> str:
        """One answer as it can be shown."""
        return console.clean(self.words.get(name, ""))

    def number(self, name: str) -> int:
        """One answer that is a number; 0 if it is none."""
        value = self.words.get(name, "")
        return int(value) if re.fullmatch(r"\d{1,18}", value) else 0

    @property
    def host_keys(self) -> dict[str, str]:
        """The public keys in the files of its ssh server, by their types."""
        return {
            name.removeprefix(HOST_KEY): value
            for name, value in self.words.items()
            if name.startswith(HOST_KEY)
        }

    def json(self, name: str) -> Mapping[str, Any]:
        """One answer that is an object; empty if it is none."""
        with contextlib.suppress(ValueError, RecursionError):
            data = json.loads(self.words.get(name, ""))
            if isinstance(data, dict):
                return data
        return {}

    @property
    def root_bytes(self) -> int:
        """How large the root filesystem is; 0 if that was not said."""
        fields = self.words.get("root", "").split()
        if len(fields) > 1 and re.fullmatch(r"\d{1,15}", fields[1]):
            return int(fields[1]) * 1024
        return 0


class Guest:
    """A machine by way of its ssh server."""

    def __init__(self, machine: Machine, *, key: Path, user: str) -> None:
        self._machine = machine
        self._key = key
        self._user = user

    def wait_for_login(self) -> None:
        """Return when the key lets us in.

        :raises Found: it does not, or the machine is at its end.
        """
        refused = 0.0
        while True:
            said = self._attempt() if self._greets() else "no ssh server yet"
            if said is None:
                return
            if "Permission denied" in said:
                refused = refused or time.monotonic()
                self._check_patience(refused)
            self._machine.go_on(
                f"nobody was let in as {self._user} ({said or 'no answer'})"
            )

    def ask(self, tell: Callable[[str], None]) -> Said:
        """What it says of itself once the boot has come to its end.

        :raises Found: it does not come there.
        """
        said = Said()
        lines = 0

        def hear(line: str) -> None:
            nonlocal lines
            lines += 1
            if lines > MOST_LINES:
                raise self._machine.found(
                    "boot-no-login", "the machine's shell talks endlessly"
                )
            if said.hear(line) == "jobs":
                tell(f"the boot waits for {said.text('jobs') or 'nothing'}")

        try:
            process.stream(
                self._ssh(f"sh -c {shlex.quote(QUESTIONS)}"),
                hear,
                deadline=max(1.0, self._machine.left),
            )
        except errors.DeadlineExceeded:
            raise self._hanging(said) from None
        except errors.CommandError as exc:
            self._machine.go_on("")
            raise self._machine.found(
                "boot-no-login",
                f"it let us in and then ended: {console.clean(str(exc))}",
            ) from exc
        return said

    def host_keys(self) -> dict[str, str]:
        """The public keys of its ssh server, by their types.

        :raises Found: it shows none.
        """
        for _ in range(KEYSCANS):
            if keys := self._scanned():
                return keys
            self._machine.go_on("its ssh server shows no host key")
        raise self._machine.found(
            "boot-host-key", "its ssh server shows no host key"
        )

    def _scanned(self) -> dict[str, str]:
        keys: dict[str, str] = {}

        def hear(line: str) -> None:
            words = line.split()
            if len(words) == 3 and len(keys) < 16 and words[0][0] != "#":
                keys[words[1][:64]] = words[2][:LONGEST_VALUE]

        port = str(self._machine.hardware.port)
        with contextlib.suppress(errors.CommandError):
            process.stream(
                ["ssh-keyscan", "-T", "60", "-p", port, "127.0.0.1"],
                hear,
                deadline=KEYSCAN_SECONDS,
            )
        return keys

    def _greets(self) -> bool:
        """Whether an ssh server is there to be asked.

        An ssh client each time would take what an emulated machine needs.
        """
        port = self._machine.hardware.port
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", port), 5) as server,
        ):
            server.settimeout(GREETING_SECONDS)
            return server.recv(4) == b"SSH-"
        return False

    def _attempt(self) -> str | None:
        """Nothing if we were let in, else ssh's last word."""
        last = ""

        def hear(line: str) -> None:
            nonlocal last
            last = console.clean(line)

        try:
            process.stream(self._ssh("true"), hear, deadline=LOGIN_SECONDS)
        except errors.CommandError:
            return last
        return None

    def _ssh(self, command: str) -> list[str]:
        options = (
            *("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null"),
            *("LogLevel=ERROR", "ConnectTimeout=20", "BatchMode=yes"),
            *("IdentityAgent=none", "IdentitiesOnly=yes", "ForwardX11=no"),
            *("PreferredAuthentications=publickey", "UpdateHostKeys=no"),
            *("ServerAliveInterval=30", "ServerAliveCountMax=10"),
        )
        return [
            *("ssh", "-F/dev/null", "-T", f"-i{self._key}"),
            f"-p{self._machine.hardware.port}",
            f"-l{self._user}",
            *(f"-o{option}" for option in options),
            *("127.0.0.1", "--", command),
        ]

    def _check_patience(self, refused: float) -> None:
        """Return while somebody may still put the key there."""
        text = self._machine.console.text
        broken = [
            each
            for each in console.failures(text)
            if "cloud-init" in each.lower() or "cloud config" in each.lower()
        ]
        if broken:
            raise self._machine.found(
                "boot-cloud-init", f"cloud-init failed: {'; '.join(broken)}"
            )
        broken = [
            each for each in console.failures(text) if "metadata-init" in each
        ]
        if broken:
            raise self._machine.found(
                "boot-metadata-init",
                f"metadata-init failed: {'; '.join(broken)}",
            )
        if "Datasource DataSourceNone" in text:
            raise self._machine.found(
                "boot-cloud-init",
                "cloud-init did not find the config drive "
                "(Datasource DataSourceNone)",
            )
        emulated = self._machine.hardware.accelerator == "tcg"
        factor = EMULATED if emulated else 1
        if time.monotonic() - refused > PATIENCE_SECONDS * factor:
            raise self._machine.found(
                "boot-no-login",
                f"sshd refuses the config drive's key for {self._user}",
            )

    def _hanging(self, said: Said) -> Found:
        units = said.text("jobs")
        if "state" not in said.words and units:
            return self._machine.found(
                "boot-unit-hangs",
                f"after {self._machine.age:.0f} s the boot still waits for "
                f"{units}",
            )
        if "cloud-init" not in said.words and "state" in said.words:
            return self._machine.found(
                "boot-cloud-init",
                f"after {self._machine.age:.0f} s 'cloud-init status --wait' "
                "still waits",
            )
        return self._machine.found(
            "boot-timeout",
            f"after {self._machine.age:.0f} s the boot has not ended",
        )
