"""One build, by diskimage-builder and by this engine.

Both get the same elements, in the same environment, and make a raw image:
its tree is then looked at where it is mounted, with all that an archive
would lose. Each side has a directory of its own for all that it writes, so
that what it leaves there is its own too.
"""

from collections.abc import Iterator, Mapping, Sequence
import concurrent.futures
import contextlib
import dataclasses
import os
from pathlib import Path
import re
import subprocess
import sys
import tempfile
import uuid

from dib_service.engine import workspace
from tests.conformance import peer

CHECKOUT = Path(__file__).resolve().parents[2]
ELEMENTS = Path(__file__).parent / "elements"

# Not below /tmp or /var/tmp, of which this engine gives a build its own.
CACHE = Path(
    os.environ.get("DIB_CACHE")
    or Path(
        os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache",
        "dib-service",
    ),
    "conformance",
)

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

OUR_BIN = Path(sys.executable).parent

# How each says in its log that a hook starts.
THEIR_HOOK = re.compile(
    r"dib-run-parts Running \S+/(?P<phase>[^/\s]+)/(?P<hook>[^/\s]+)$"
)
OUR_HOOK = re.compile(r"^-- \S*: (?P<phase>[^/\s]+)/(?P<hook>[^/\s]+)$")


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What both are asked for; ``size`` is the disk's, in GiB.

    ``own`` are the directories of elements that come before those of
    diskimage-builder; ``authorized_keys`` are those of the caller; ``name``
    is that of the logs in .lab/conformance.
    """

    elements: tuple[str, ...]
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)
    size: int | None = None
    base: bool = False
    own: tuple[Path, ...] = (ELEMENTS,)
    authorized_keys: str = ""
    name: str = "last"


@dataclasses.dataclass
class Side:
    """What one of the two came to.

    ``hooks`` are the pairs of phase and hook in the order in which they
    began, ``left`` is what was still there when it had ended, ``made`` are
    the names in the directory of the image. ``place`` is the directory that
    it had for itself: ``out`` in it is that of the image, ``records`` is for
    hooks to write to.
    """

    name: str
    place: Path
    marker: str
    code: int = -1
    log: str = ""
    hooks: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    left: list[str] = dataclasses.field(default_factory=list)
    made: list[str] = dataclasses.field(default_factory=list)

    @property
    def image(self) -> Path:
        return self.place / "out/image.raw"

    @property
    def records(self) -> Path:
        return self.place / "records"

    @property
    def cache(self) -> Path:
        # Of this run alone: two apts cannot share the one that it binds.
        return self.place / "cache"

    def still_there(self) -> list[str]:
        """Mounts, loop devices, processes and temporary files."""
        mine = str(self.place)
        loops = subprocess.run(
            ["losetup", "--list", "--noheadings", "--output", "BACK-FILE"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.splitlines()
        mounts = Path("/proc/mounts").read_text().splitlines()
        return [
            *(f"mount {line}" for line in mounts if mine in line),
            *(f"loop {line}" for line in loops if mine in line),
            *(f"process {line}" for line in _processes(self.marker)),
            *(f"file {path.name}" for path in (self.place / "tmp").iterdir()),
        ]

    @contextlib.contextmanager
    def mounted(self) -> Iterator[Path]:
        """The tree of the image, read-only."""
        point = self.place / "tree"
        point.mkdir(exist_ok=True)
        subprocess.run(
            ["mount", "-o", "ro,loop", self.image, point], check=True
        )
        try:
            yield point
        finally:
            subprocess.run(["umount", point], check=True)


@contextlib.contextmanager
def both(wanted: Wanted) -> Iterator[tuple[Side, Side]]:
    """The peer's side and ours, both ended; all of it is gone afterwards."""
    if os.geteuid() != 0:
        raise AssertionError("these tests mount and chroot: run them as root")
    CACHE.mkdir(parents=True, exist_ok=True)
    with _place() as place:
        theirs = Side("peer", place / "peer", f"peer-{uuid.uuid4()}")
        ours = Side("ours", place / "ours", f"ours-{uuid.uuid4()}")
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            begun = [
                pool.submit(_run_peer, theirs, wanted),
                pool.submit(_run_ours, ours, wanted),
            ]
        for each in begun:
            each.result()
        _keep_logs(wanted.name, theirs, ours)
        yield theirs, ours


@contextlib.contextmanager
def _place() -> Iterator[Path]:
    """A new directory for one run."""
    place = Path(tempfile.mkdtemp(prefix="run-", dir=CACHE)).resolve()
    try:
        yield place
    finally:
        mounted = [
            line.split()[1]
            for line in Path("/proc/mounts").read_text().splitlines()
            if line.split()[1].startswith(f"{place}/")
        ]
        for point in sorted(mounted, reverse=True):
            subprocess.run(["umount", point])
        # Not if the host's /dev is still bound in it.
        workspace.remove(place)


def _run_peer(side: Side, wanted: Wanted) -> None:
    venv = peer.venv()
    _run(
        side,
        wanted,
        [venv / "bin/disk-image-create"],
        # Hooks outside find a Python that knows YAML there.
        {"PATH": f"{venv}/bin:{PATH}"},
        wanted.own,
        THEIR_HOOK,
    )


def _run_ours(side: Side, wanted: Wanted) -> None:
    _run(
        side,
        wanted,
        [sys.executable, "-m", "dib_service.engine.commands.image_create"],
        {"PATH": f"{OUR_BIN}:{PATH}", "PYTHONPATH": str(CHECKOUT)},
        # Its elements, none of ours that have the same name.
        (*wanted.own, peer.elements()),
        OUR_HOOK,
    )


def _run(
    side: Side,
    wanted: Wanted,
    words: list[str | Path],
    environment: Mapping[str, str],
    path: Sequence[Path],
    hook: re.Pattern[str],
) -> None:
    """The same command line for both."""
    for name in ("home", "out", "records", "tmp"):
        (side.place / name).mkdir(parents=True)
    side.cache.mkdir()
    if wanted.authorized_keys:
        keys = side.place / "home/.ssh/authorized_keys"
        keys.parent.mkdir(mode=0o700)
        keys.write_text(wanted.authorized_keys)
    words += [
        *("-o", side.place / "out/image", "-t", "raw"),
        *("--image-cache", side.cache),
    ]
    if not wanted.base:
        words.append("-n")
    if wanted.size:
        words += ["--image-size", str(wanted.size)]
    done = subprocess.run(
        [*words, *wanted.elements],
        # Nothing of the tests' own: what is compared is what each adds.
        env={
            **wanted.environment,
            **environment,
            "DIB_LOCKFILES": str(side.place / "home"),
            "DIB_NO_TIMESTAMP": "1",
            "DIB_NO_TMPFS": "1",
            "DIB_RECORDS": str(side.records),
            # Inherited by whatever is started, so that it is found again.
            "DIB_RUN_MARKER": side.marker,
            "ELEMENTS_PATH": os.pathsep.join(map(str, path)),
            "HOME": str(side.place / "home"),
            "LANG": "C.UTF-8",
            "TMPDIR": str(side.place / "tmp"),
            "USER": "root",
        },
        cwd=side.place / "out",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="backslashreplace",
    )
    side.code, side.log = done.returncode, done.stdout
    side.left = side.still_there()
    side.made = sorted(path.name for path in (side.place / "out").iterdir())
    for line in side.log.splitlines():
        if found := hook.search(line):
            side.hooks.append((found["phase"], found["hook"]))


def _processes(marker: str) -> list[str]:
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            if marker.encode() in (entry / "environ").read_bytes():
                found.append(str((entry / "cmdline").read_bytes()))
    return found


def _keep_logs(name: str, *sides: Side) -> None:
    """For whoever wants to know more than a test says."""
    logs = CHECKOUT / ".lab/conformance"
    logs.mkdir(parents=True, exist_ok=True)
    for side in sides:
        (logs / f"{name}-{side.name}.log").write_text(side.log)


def copy_of_cache(name: str) -> Path:
    """A place in the cache that all runs share."""
    place = CACHE / name
    place.parent.mkdir(parents=True, exist_ok=True)
    return place
