"""A builder host at work: asks for builds, runs them, holds their leases."""

from collections.abc import Callable, Mapping, Sequence
import dataclasses
import fcntl
import json
import os
import pathlib
import shlex
import threading
import time
from typing import Any, TextIO
import uuid

from oslo_config import cfg
from oslo_log import log
import oslo_messaging

from dib_service import conf as conf_lib
from dib_service import exception, rpc
from dib_service.builder import (
    child,
    leftovers,
    reporter,
    rpcapi,
    uploading,
)
from dib_service.builder import job as job_lib
from dib_service.conductor import rpcapi as conductor_rpcapi
from dib_service.conf import publish as publish_conf
from dib_service.engine import catalogue

LOG = log.getLogger(__name__)

FENCE_TICK_SECONDS = 0.5
SCAN_SECONDS = 120.0
STOPPING_SECONDS = 10.0


class Busy(Exception):
    """Another builder works in this state path."""


@dataclasses.dataclass
class Held:
    """A build of ours, and when we last asked for a lease that we got."""

    job: job_lib.Job
    renewed_at: float
    fence_seconds: float


class BuilderService:
    """The builder of one host: ``start``, ``stop``, ``wait``.

    Three threads: work (register, claim), heartbeat and fence; one for the
    bell, and one for each build.
    """

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        *,
        credential: tuple[str, str] | None = None,
        hide: Sequence[str] = (),
        conductor: Callable[
            [], conductor_rpcapi.ConductorAPI
        ] = conductor_rpcapi.ConductorAPI,
    ) -> None:
        # Locks and clients come with start(): a service may be pickled.
        self._conf = conf
        self._enrolled: tuple[str, str] = credential or (
            conf.builder.id or "",
            conf.builder.secret or "",
        )
        self._hide = tuple(hide)
        self._conductor_factory = conductor
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Clear away what an earlier builder left; then work.

        :raises Busy: there is another builder in the same state path.
        """
        settings = self._conf.builder
        self._state = pathlib.Path(settings.state_path).resolve()
        self._host = _host(self._conf, self._state, self._hide)
        self._state.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._owned = _owned(self._state)
        leftovers.clear(self._host.builds)
        for folder in (self._host.builds, self._host.cache):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)

        self._credential = conductor_rpcapi.Credential(
            builder_id=self._enrolled[0],
            secret=self._enrolled[1],
            session=str(uuid.uuid4()),
        )
        self._conductor = self._conductor_factory()
        self._heart = self._conductor_factory()
        self._stopping = threading.Event()
        self._woken = threading.Event()
        self._lock = threading.Lock()
        # By lease and not by build: one that is lost here may be claimed here
        # again before its first attempt has left.
        self._held: dict[conductor_rpcapi.Lease, Held] = {}
        self._renew = threading.Event()
        self._elements: Mapping[str, catalogue.Element] = {}
        self._scanned_at = float("-inf")
        self._registered = False
        self._claim_id: str | None = None
        self._heard = False
        self._bell = rpc.Listener(
            "bell",
            lambda: rpc.server(
                rpcapi.TOPIC, self._credential.builder_id, [Bell(self.wake)]
            ),
        )
        self._bell.start()
        self._threads = [
            self._turns(
                "work",
                self._look_for_work,
                lambda: self._woken.wait(settings.poll_interval),
            ),
            self._turns(
                "heartbeat",
                self._beat,
                lambda: self._renew.wait(settings.heartbeat_interval),
            ),
            self._turns(
                "fence",
                self._fence,
                lambda: self._stopping.wait(FENCE_TICK_SECONDS),
            ),
        ]
        LOG.info("builder %s: session %s", *self._name())

    def stop(self) -> None:
        """End every build, saying so; wait() until it is done."""
        self._stopping.set()
        self._woken.set()
        self._renew.set()
        self._bell.stop()
        for held in self._holding():
            held.job.end("stop")

    def wait(self) -> None:
        """Return when nothing of this builder runs any more."""
        deadline = time.monotonic() + STOPPING_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self._bell.wait()
        self._owned.close()

    def wake(self) -> None:
        """Ask now whether there is work, or a wish to cancel.

        Many rings are one.
        """
        self._woken.set()
        # What was rung for may be a wish to cancel, which only a heartbeat's
        # answer tells.
        self._renew.set()

    # Work: register, then claim.

    def _look_for_work(self) -> None:
        self._woken.clear()
        try:
            self._register()
            while self._free() and self._claim():
                pass
        except exception.Unauthorized as exc:
            self._registered = False
            LOG.error("this builder's id and secret are refused: %s", exc)
        except exception.StaleClaim as exc:
            self._registered = False
            LOG.error(
                "registering again; does another builder use the id of "
                "this one? %s",
                exc,
            )
        except child.Failed as exc:
            LOG.error("the elements cannot be listed: %s", exc)
        except reporter.AWAY as exc:
            LOG.warning("no conductor: %s", exc)

    def _register(self) -> None:
        """The conductor knows this session and its elements."""
        changed = self._scan()
        if self._registered and not changed:
            return
        self._registered = False
        unknown = self._conductor.register(
            self._credential,
            version=conf_lib.version(),
            slots=self._conf.builder.slots,
            architectures=self._conf.builder.architectures,
            elements={
                name: element.digest
                for name, element in self._elements.items()
            },
        )
        wanted = set(unknown)
        described = [
            element.to_dict()
            for element in self._elements.values()
            if element.digest in wanted
        ]
        if described:
            self._conductor.register_elements(self._credential, described)
        self._registered = True
        LOG.info("registered with %d elements", len(self._elements))

    def _scan(self) -> bool:
        """Whether the elements on this host are others than they were."""
        now = time.monotonic()
        if now - self._scanned_at < self._conf.builder.rescan_interval:
            return False
        # Set before we look: who calls _rescan meanwhile is not overheard.
        self._scanned_at = now
        try:
            found = _elements(self._host, self._state)
        except child.Failed:
            self._rescan()
            raise
        changed = found != self._elements
        self._elements = found
        return changed

    def _rescan(self) -> None:
        """Have the next turn look at the elements again."""
        self._scanned_at = float("-inf")

    def _free(self) -> bool:
        with self._lock:
            return (
                not self._stopping.is_set()
                and len(self._held) < self._conf.builder.slots
            )

    def _claim(self) -> bool:
        """Whether there was a build for us; it runs now."""
        if self._claim_id is None:
            self._claim_id = str(uuid.uuid4())
        # A claim that is repeated is given its lease anew.
        sent_at = time.monotonic()
        claim = self._conductor.claim(
            conductor_rpcapi.Offer(
                credential=self._credential,
                claim_id=self._claim_id,
                architectures=tuple(self._conf.builder.architectures),
                running=tuple(held.job.build_id for held in self._leased()),
            )
        )
        # Answered. Until here the same id is repeated: an answer that was
        # lost on its way is given again, and no build with it.
        self._claim_id = None
        if claim is None:
            return False
        self._run(claim, sent_at)
        return True

    def _run(self, claim: conductor_rpcapi.Claim, sent_at: float) -> None:
        job = job_lib.Job(
            claim,
            host=self._host,
            conductor=self._conductor_factory(),
            on_changed=self._rescan,
        )
        held = Held(
            job,
            renewed_at=sent_at,
            fence_seconds=min(
                self._conf.builder.fence_after, claim.lease_seconds * 5 / 6
            ),
        )
        with self._lock:
            self._held[job.lease] = held
        if self._stopping.is_set():
            job.end("stop")
        try:
            attending = self._thread(
                f"build-{job.build_id}", lambda: self._attend(held)
            )
        except RuntimeError:
            # The host has no thread to spare. Without this, the lease of a
            # build that nobody does would be renewed for ever.
            self._forget(held)
            raise
        self._threads = [
            *(thread for thread in self._threads if thread.is_alive()),
            attending,
        ]
        self._renew.set()

    def _attend(self, held: Held) -> None:
        try:
            held.job.run()
        except Exception:
            LOG.exception("build %s: left to its lease", held.job.build_id)
        finally:
            self._forget(held)
            self._woken.set()

    def _forget(self, held: Held) -> None:
        with self._lock:
            del self._held[held.job.lease]

    # Leases: renewed by one thread, watched by another, since the first one
    # may be waiting for an answer when the time comes.

    def _beat(self) -> None:
        self._renew.clear()
        holding = self._leased()
        # The first answer is asked for before there is anything to renew: a
        # client that has never had one waits for a broker without an end.
        if not holding and self._heard:
            return
        sent_at = time.monotonic()
        try:
            answers = self._heart.heartbeat(
                self._credential, [held.job.lease for held in holding]
            )
        except reporter.AWAY as exc:
            LOG.warning("heartbeat not answered: %s", exc)
            return
        self._heard = True
        for held in holding:
            answer = answers.get(held.job.build_id)
            if answer in ("go", "cancel"):
                held.renewed_at = sent_at
            if answer == "cancel":
                held.job.end("cancel")
            elif answer == "stale":
                held.job.end("stale")

    def _fence(self) -> None:
        now = time.monotonic()
        for held in self._leased():
            if now - held.renewed_at > held.fence_seconds:
                held.job.end("fenced")

    def _leased(self) -> list[Held]:
        """Those whose lease is not given up."""
        return [held for held in self._holding() if not held.job.given_up]

    def _holding(self) -> list[Held]:
        with self._lock:
            return list(self._held.values())

    def _turns(
        self,
        name: str,
        turn: Callable[[], None],
        pause: Callable[[], object],
    ) -> threading.Thread:
        """A thread that takes its turns until stop(), whatever one raises."""

        def take_turns() -> None:
            while not self._stopping.is_set():
                try:
                    turn()
                except Exception:
                    LOG.exception("%s: this turn failed", name)
                pause()

        return self._thread(name, take_turns)

    def _thread(
        self, name: str, target: Callable[[], None]
    ) -> threading.Thread:
        thread = threading.Thread(target=target, name=name, daemon=True)
        thread.start()
        return thread

    def _name(self) -> tuple[str, str]:
        return self._credential.builder_id, self._credential.session


class Bell:
    """What others may ask of a builder."""

    target = oslo_messaging.Target(version=rpcapi.VERSION)

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring

    def wake(self, context: Mapping[str, Any]) -> None:
        """Look for work now."""
        self._ring()


def _host(
    conf: cfg.ConfigOpts, state: pathlib.Path, hide: Sequence[str]
) -> job_lib.Host:
    settings = conf.builder
    return job_lib.Host(
        engine=tuple(shlex.split(settings.engine_command)),
        environment=dict(settings.engine_environment),
        builds=state / "builds",
        cache=pathlib.Path(settings.cache_path or state / "cache"),
        element_path=tuple(settings.element_path),
        hidden=tuple(_hidden(conf, [str(state), *hide])),
        build_seconds=settings.build_timeout,
        patience=uploading.Patience(
            seconds=settings.upload_timeout,
            pause=settings.upload_pause,
            stuck=settings.upload_stuck,
        ),
        cafile=settings.glance_cafile,
        boot_test=(
            f"--boot-test-seconds={settings.boot_test_timeout}",
            f"--boot-test-memory={settings.boot_test_memory}",
            f"--{'' if settings.boot_test_kvm else 'no-'}boot-test-kvm",
            f"--boot-test-uid={settings.boot_test_uid}",
        ),
    )


def _hidden(conf: cfg.ConfigOpts, more: Sequence[str]) -> list[str]:
    """What no element may see; it need not be there."""
    wanted = [
        *(conf.config_file or ()),
        *(conf.config_dir or ()),
        conf.log_dir,
        conf.log_file,
        *more,
        *publish_conf.private_paths(conf),
        *conf.builder.hide,
    ]
    paths = (pathlib.Path(path).resolve() for path in wanted if path)
    return list(dict.fromkeys(map(str, paths)))


def _owned(state: pathlib.Path) -> TextIO:
    """A lock on the state path, for as long as it is open.

    Without it a second builder would take the first one's living builds
    for leftovers.

    :raises Busy: somebody has it.
    """
    stream = (state / "lock").open("a")
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        stream.close()
        raise Busy(f"another builder works in {state}") from None
    return stream


def _elements(
    host: job_lib.Host, state: pathlib.Path
) -> dict[str, catalogue.Element]:
    """The elements on this host, by name, as the engine finds them."""
    words = [*host.engine, "elements"]
    if host.element_path:
        words += ["--element-path", os.pathsep.join(host.element_path)]
    document = child.output_of(
        words,
        directory=state,
        environment=host.environment,
        seconds=SCAN_SECONDS,
    )
    found = map(catalogue.Element.from_dict, json.loads(document))
    return {element.name: element for element in found}
