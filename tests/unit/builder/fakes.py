"""The far side of the builder's walls."""

from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
import pathlib
import threading
import time
from typing import Any

from dib_service import exception
from dib_service.builder import job, uploading
from dib_service.conductor import rpcapi

FAKE_ENGINE = pathlib.Path(__file__).parents[2] / "functional/flow/fake-engine"


class FakeConductor(rpcapi.ConductorAPI):
    """A conductor in memory, whose next answers can be laid out.

    ``trouble[name]`` holds exceptions that the next calls of that name
    raise, one each; None lets one through.
    """

    def __init__(self) -> None:
        self.lock = threading.Condition()
        self.trouble: dict[str, deque[Exception | None]] = defaultdict(deque)
        self.calls: list[str] = []
        self.queue: deque[rpcapi.Claim] = deque()
        self.running: tuple[str, ...] = ()
        self.answers: dict[str, rpcapi.Claim | None] = {}
        self.beats: dict[str, str] = {}
        self.states: list[str] = []
        self.events: dict[tuple[str, int], Mapping[str, Any]] = {}
        self.chunks: dict[tuple[str, int], bytes] = {}
        self.sessions: list[str] = []
        self.known: set[str] = set()
        self.described: list[Mapping[str, Any]] = []
        self.faults: list[tuple[Mapping[str, Any], bool]] = []
        self.done_with = 0
        self.uploads: list[str] = []
        self.given_up: dict[str, Mapping[str, Any]] = {}
        self.lost: Sequence[str] = ()
        self.endpoints: dict[str, str] = {}
        self.kinds_of_targets: dict[str, str] = {}
        self.artefacts: Sequence[rpcapi.Artefact] = ()
        self.endpoint = ""
        self.tokens = 0
        self.revoked: list[str] = []

    @property
    def log(self) -> str:
        """All chunks, in their order; the builds one after the other."""
        with self.lock:
            return b"".join(_whole(self.chunks)).decode()

    @property
    def kinds(self) -> list[str]:
        """The kinds of all events, likewise."""
        with self.lock:
            return [event["kind"] for event in _whole(self.events)]

    def called(self, name: str) -> int:
        """How often."""
        with self.lock:
            return self.calls.count(name)

    def _called(self, name: str) -> None:
        self.calls.append(name)
        self.lock.notify_all()
        if self.trouble[name]:
            trouble = self.trouble[name].popleft()
            if trouble is not None:
                raise trouble

    def register(self, credential, **facts):
        with self.lock:
            self._called("register")
            self.sessions.append(credential.session)
            wanted = set(facts["elements"].values()) - self.known
            return sorted(wanted)

    def register_elements(self, credential, elements):
        with self.lock:
            self._called("register_elements")
            self.described.extend(elements)
            self.known.update(row["digest"] for row in elements)

    def claim(self, offer):
        with self.lock:
            self.running = offer.running
            if offer.claim_id not in self.answers:
                self.answers[offer.claim_id] = (
                    self.queue.popleft() if self.queue else None
                )
            # After the answer is made: it is lost on its way back.
            self._called("claim")
            return self.answers[offer.claim_id]

    def heartbeat(self, credential, leases):
        with self.lock:
            self._called("heartbeat")
            return {
                lease.build_id: self.beats.get(lease.build_id, "go")
                for lease in leases
            }

    def report(self, lease, *, state, events, first_sequence):
        with self.lock:
            if not self.states or self.states[-1] != state:
                self.states.append(state)
            for number, event in enumerate(events, first_sequence):
                key = f"{lease.build_id}-{lease.epoch}", number
                assert self.events.setdefault(key, event) == event
            self._called("report")

    def append_log(self, lease, sequence, data):
        assert 0 < len(data) <= 64 * 1024
        with self.lock:
            key = f"{lease.build_id}-{lease.epoch}", sequence
            assert self.chunks.setdefault(key, data) == data
            self._called("append_log")

    def grant_upload(self, lease, artefacts, *, target, lost=()):
        with self.lock:
            self._called("grant_upload")
            self.artefacts = artefacts
            self.lost = lost
            self.tokens += 1
            number = f"-{len(lost) + 1}" if lost else ""
            return rpcapi.UploadGrant(
                token=f"token-{self.tokens}",
                endpoint=self.endpoints.get(target, self.endpoint),
                kind=self.kinds_of_targets.get(target, "glance"),
                expires_at=time.time() + 300,
                uploads=tuple(
                    rpcapi.Upload(
                        format=artefact.format,
                        target=target,
                        image_id=f"{lease.build_id}-{artefact.format}"
                        + number,
                        role=artefact.role,
                        name="an image",
                        disk_format=artefact.format,
                        container_format="bare",
                        properties={"os_distro": "debian"},
                        min_disk=1,
                    )
                    for artefact in artefacts
                ),
            )

    def revoke_upload(self, token, *, target):
        with self.lock:
            self._called("revoke_upload")
            self.revoked.append(token)

    def uploaded(self, lease, *, target):
        with self.lock:
            self._called("uploaded")
            self.uploads.append(target)

    def gave_up(self, lease, *, target, fault):
        with self.lock:
            self._called("gave_up")
            self.given_up[target] = fault

    def done(self, lease):
        with self.lock:
            self._called("done")
            self.done_with += 1

    def fail(self, lease, fault, *, retry):
        with self.lock:
            self._called("fail")
            self.faults.append((fault, retry))


def _whole(pieces: Mapping[tuple[str, int], Any]) -> list[Any]:
    """The pieces in order, of which none may be missing."""
    for build_id, number in pieces:
        assert number == 0 or (build_id, number - 1) in pieces
    return [pieces[key] for key in sorted(pieces)]


def host(state: pathlib.Path, **changes: Any) -> job.Host:
    """A builder host whose engine is the fake one."""
    settings = {
        "engine": (str(FAKE_ENGINE),),
        "environment": {},
        "builds": state / "builds",
        "cache": state / "cache",
        "element_path": (),
        "hidden": (str(state),),
        "build_seconds": 60.0,
        "patience": patience(),
        "cafile": None,
        **changes,
    }
    made = job.Host(**settings)
    made.builds.mkdir(parents=True, exist_ok=True)
    made.cache.mkdir(exist_ok=True)
    return made


def patience(**changes: float) -> uploading.Patience:
    """That of a builder whose seconds are hundredths."""
    settings = {"seconds": 60.0, "pause": 0.02, "stuck": 0.1, **changes}
    return uploading.Patience(**settings)


def claim(
    build_id: str = "build-1", *, epoch: int = 1, **environment: str
) -> rpcapi.Claim:
    """A build that the fake engine does."""
    return rpcapi.Claim(
        build_id=build_id,
        epoch=epoch,
        secret="lease-secret",
        lease_seconds=60.0,
        spec={
            "version": 1,
            "elements": ["debian"],
            "formats": ["qcow2"],
            "architecture": "x86_64",
            "environment": environment,
            "disk_size": None,
            "name": build_id,
            "skip_base": False,
        },
        elements={"debian": "d" * 64},
    )


def away() -> exception.Unavailable:
    """What a call meets when nobody is there."""
    return exception.Unavailable("nobody there")
