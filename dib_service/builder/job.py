"""One build on this host, from its claim to the last word about it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
import contextlib
import dataclasses
import json
import pathlib
import signal
import threading
import time
from typing import Any, Literal

from oslo_log import log

from dib_service import exception
from dib_service.builder import child, leftovers, reporter, uploading
from dib_service.conductor import rpcapi
from dib_service.engine import events
from dib_service.publish import upload

LOG = log.getLogger(__name__)

# cancel: somebody wishes so. stop: this builder goes down. stale: the lease
# is another's. fenced: nobody has answered for so long that it may be.
Reason = Literal["cancel", "stop", "stale", "fenced"]

# The artefacts that are published; further disks and other files are not.
ROLES = ("image", "kernel", "ramdisk")

# A conductor that answers and still does not take a build's last words is
# not waited for any longer.
FLUSH_SECONDS = 300.0
FLUSH_TICK_SECONDS = 0.5
# What is said of a build that has to end now.
LAST_WORDS_SECONDS = 2.0


@dataclasses.dataclass(frozen=True)
class Host:
    """What all builds of this host share."""

    engine: tuple[str, ...]
    environment: Mapping[str, str]
    builds: pathlib.Path
    cache: pathlib.Path
    element_path: tuple[str, ...]
    hidden: tuple[str, ...]
    build_seconds: float
    patience: uploading.Patience
    cafile: str | None
    # Words of the engine's, see its --boot-test-…
    boot_test: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Place:
    """Where one build happens; all of it goes when the build is over."""

    spec: pathlib.Path
    workspace: pathlib.Path
    output: pathlib.Path


class Fault(Exception):
    """The attempt has failed; ``facts`` as an engine's fault event.

    ``told``: it is in the log and among the events already.
    """

    def __init__(
        self, facts: Mapping[str, Any], *, retry: bool, told: bool = False
    ) -> None:
        super().__init__(facts.get("message"))
        self.facts = facts
        self.retry = retry
        self.told = told


class Ended(Exception):
    """Somebody called ``end``."""


class Job:
    """One claimed build; ``run`` in a thread, ``end`` from any other."""

    def __init__(
        self,
        claim: rpcapi.Claim,
        *,
        host: Host,
        conductor: rpcapi.ConductorAPI,
        on_changed: Callable[[], None] = lambda: None,
    ) -> None:
        """``on_changed``: the elements are not what the conductor knows."""
        self.build_id = claim.build_id
        self.lease = rpcapi.Lease(
            build_id=claim.build_id, epoch=claim.epoch, secret=claim.secret
        )
        self._spec = claim.spec
        self._pinned = claim.elements
        self._targets = claim.targets
        self._on_changed = on_changed
        self._host = host
        self._conductor = conductor
        self._lock = threading.Lock()
        self._reason: Reason | None = None
        # The work stops; for cancel, there is still something to say.
        self._ending = threading.Event()
        # Nobody listens any more.
        self._gone = threading.Event()
        self._uploads: uploading.Uploading | None = None
        self._reporter = reporter.Reporter(
            conductor, self.lease, on_stale=lambda: self.end("stale")
        )

    def run(self) -> None:
        """Build, upload and say so; or say why not. Nothing is left."""
        LOG.info("build %s: attempt %d", self.build_id, self.lease.epoch)
        with self._reporter:
            try:
                with self._workspace() as place:
                    self._upload(self._build(place))
                    # With the last word, nothing more is taken.
                    self._flush()
                    self._check()
                # Only now: a build that is complete has left nothing here.
                self._tell(self._done)
            except Ended:
                self._leave()
            except Fault as fault:
                self._fail(fault)
            except exception.StaleClaim:
                LOG.info("build %s: no longer ours", self.build_id)
            except Exception as exc:
                LOG.exception("build %s: the builder failed", self.build_id)
                # What it says is the operator's to read, in our log.
                self._fail(
                    _own_fault(
                        "builder", f"the builder failed: {type(exc).__name__}"
                    )
                )

    @property
    def given_up(self) -> bool:
        """Whether the build is, or will soon be, somebody else's."""
        return self._gone.is_set()

    def end(self, reason: Reason) -> None:
        """Stop as soon as possible; returns at once and may be repeated."""
        with self._lock:
            if self._gone.is_set() or self._reason == reason:
                return
            LOG.info("build %s: ending (%s)", self.build_id, reason)
            self._reason = reason
            self._ending.set()
            if reason != "cancel":
                self._gone.set()
            uploads = self._uploads
        self._reporter.hurry()
        if reason in ("stale", "fenced"):
            self._reporter.close()
        if uploads is not None:
            uploads.close()

    @contextlib.contextmanager
    def _workspace(self) -> Iterator[Place]:
        root = self._host.builds / f"{self.build_id}-{self.lease.epoch}"
        place = Place(root / "spec.json", root / "workspace", root / "output")
        try:
            for folder in (place.workspace, place.output):
                folder.mkdir(parents=True, mode=0o700)
            place.spec.write_text(json.dumps(self._for_engine()))
            yield place
        except OSError as exc:
            raise _own_fault("builder-host", f"on the builder: {exc}") from exc
        finally:
            leftovers.clear(root)

    def _for_engine(self) -> Mapping[str, Any]:
        """The spec with the host's variables below those of the request,
        and with the digests that the elements must have.
        """
        environment = {
            **self._host.environment,
            **self._spec.get("environment", {}),
        }
        return {
            **self._spec,
            "environment": environment,
            "digests": dict(self._pinned),
        }

    def _build(self, place: Place) -> list[events.Event]:
        """The artefacts of the engine.

        :raises Fault: it failed, or died.
        """
        self._reporter.text(f"==> attempt {self.lease.epoch}\n")
        with child.running(
            self._command(place),
            directory=place.workspace,
            environment=self._host.environment,
        ) as engine:
            said = self._listen(engine)
            self._check()
            code = engine.wait()
        faults = [event for event in said if event.kind == "fault"]
        if faults:
            facts = dict(faults[0].facts)
            if facts.get("code") == "element-changed":
                self._on_changed()
            raise Fault(
                facts, retry=facts.get("turn") == "operator", told=True
            )
        made = [
            event
            for event in said
            if event.kind == "artefact" and _role(event) in ROLES
        ]
        if code or not _a_product([*map(_role, made)]):
            raise _death(code, list(engine.last_lines))
        return [_located(event, place.output) for event in made]

    def _command(self, place: Place) -> list[str]:
        words = [*self._host.engine, "build", str(place.spec)]
        words += ["--output-dir", str(place.output)]
        words += ["--workspace", str(place.workspace)]
        words += ["--cache-dir", str(self._host.cache)]
        words += self._host.boot_test
        if self._host.element_path:
            words += ["--element-path", ":".join(self._host.element_path)]
        for path in self._host.hidden:
            words += ["--hide", path]
        return words

    def _listen(self, engine: child.Child) -> list[events.Event]:
        """Pass on what the engine says; faults and artefacts come back."""
        kept = []
        try:
            for event in engine.events(
                seconds=self._host.build_seconds, stop=self._ending
            ):
                self._reporter.event(event)
                if event.kind in ("fault", "artefact"):
                    kept.append(event)
                if _begins_verifying(event):
                    self._reporter.state("verifying")
        except child.TooSlow:
            raise _fault(
                "build-timeout",
                "element",
                "the build took longer than the "
                f"{self._host.build_seconds:.0f} s that this builder gives",
            ) from None
        return kept

    def _upload(self, made: list[events.Event]) -> None:
        """Each target has the artefacts, or was given up.

        :raises Fault: what lies here is not what was made.
        """
        self._reporter.state("publishing")
        self._flush()
        uploads = uploading.Uploading(
            self._conductor,
            self.lease,
            {
                (artefact.role, artefact.format): (artefact, source)
                for artefact, source in map(_artefact, made)
            },
            patience=self._host.patience,
            cafile=self._host.cafile,
            say=self._reporter.text,
            insist=self._insist,
            ending=self._ending,
        )
        with self._lock:
            self._uploads = uploads
        try:
            self._check()
            uploads.run(self._targets)
        except upload.Changed as exc:
            raise _own_fault("artefact-changed", str(exc)) from exc
        finally:
            with self._lock:
                self._uploads = None
        self._check()

    def _done(self) -> None:
        self._conductor.done(self.lease)

    def _fail(self, fault: Fault) -> None:
        """Say why this attempt is over; its log first."""
        if self._ending.is_set():
            self._leave()
            return
        facts = fault.facts
        LOG.info("build %s: failed: %s", self.build_id, facts.get("message"))
        if not fault.told:
            self._reporter.event(events.Event.now("fault", **facts))
        self._flush()
        self._tell(
            lambda: self._conductor.fail(self.lease, facts, retry=fault.retry)
        )

    def _leave(self) -> None:
        """The last word of a build that was told to end."""
        reason = self._reason
        if reason in ("stale", "fenced"):
            return
        cancelled = reason == "cancel"
        fault = {
            "code": "cancelled" if cancelled else "builder-stopped",
            "turn": "caller" if cancelled else "operator",
            "message": "cancelled" if cancelled else "the builder was stopped",
        }
        self._reporter.text(f"\n==> {fault['message']}\n")
        self._reporter.flush(LAST_WORDS_SECONDS)
        if cancelled:
            self._tell(
                lambda: self._conductor.fail(self.lease, fault, retry=False)
            )
            return
        try:
            self._conductor.fail(self.lease, fault, retry=True)
        except reporter.AWAY as exc:
            # The next session of this builder says the same by starting.
            LOG.info("build %s: not said: %s", self.build_id, exc)

    def _flush(self) -> None:
        """Wait until all is said, or ``end`` was called."""
        deadline = time.monotonic() + FLUSH_SECONDS
        while not self._ending.is_set() and time.monotonic() < deadline:
            if self._reporter.flush(FLUSH_TICK_SECONDS):
                return

    def _tell(self, call: Callable[[], None]) -> None:
        """Say it until it is heard or nobody can listen any more."""
        with contextlib.suppress(exception.StaleClaim):
            self._insist(call)

    def _insist(self, call: Callable[[], None]) -> None:
        """Likewise, where it matters that the build is ours.

        :raises StaleClaim: it is not.
        """
        reporter.insist(call, stop=self._gone, about=f"build {self.build_id}")

    def _check(self) -> None:
        if self._ending.is_set():
            raise Ended


def _begins_verifying(event: events.Event) -> bool:
    return (
        event.kind == "phase"
        and event.facts.get("phase") == "verify"
        and event.facts.get("state") == "start"
    )


def _fault(
    code: str, turn: str, message: str, *, retry: bool = False, **facts: Any
) -> Fault:
    return Fault(
        {"code": code, "turn": turn, "message": message, **facts}, retry=retry
    )


def _own_fault(code: str, message: str) -> Fault:
    """A fault of this host, which another host may not have."""
    return _fault(code, "operator", message, retry=True)


def _death(code: int, last_lines: list[str]) -> Fault:
    """The fault of an engine that did not name one."""
    if code < 0:
        how = f"was killed by {_signal_name(-code)}"
        if code == -signal.SIGKILL:
            how += " (out of memory?)"
    elif code:
        how = f"exited {code} without saying why"
    else:
        how = "ended without an image"
    return _fault(
        "engine-died",
        "operator",
        f"the engine {how}",
        retry=True,
        exit_code=code,
        last_lines=last_lines,
    )


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _located(event: events.Event, output: pathlib.Path) -> events.Event:
    """The artefact, if it lies where it was asked to.

    :raises Fault: it lies elsewhere.
    """
    path = pathlib.Path(str(event.facts.get("path")))
    path = output / path
    if path.parent.resolve() != output.resolve():
        raise _own_fault("engine-died", f"artefact {path} is not in {output}")
    return dataclasses.replace(event, facts={**event.facts, "path": str(path)})


def _artefact(
    event: events.Event,
) -> tuple[rpcapi.Artefact, upload.Source]:
    """What is told of the file, and where it is."""
    facts = event.facts
    artefact = rpcapi.Artefact(
        format=facts["format"],
        size=facts["size"],
        virtual_size=facts["virtual_size"],
        sha512=facts["sha512"],
        role=_role(event),
    )
    path = pathlib.Path(facts["path"])
    return artefact, upload.Source(path, facts["size"], facts["sha512"])


def _role(event: events.Event) -> str:
    return str(event.facts.get("role", "image"))


def _a_product(roles: Sequence[str]) -> bool:
    """An image, with or without a kernel and a ramdisk, or those alone."""
    return "image" in roles or {"kernel", "ramdisk"} <= set(roles)
