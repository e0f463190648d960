"""The artefacts of one build, brought to each of its targets.

Each target goes by itself, in a thread of its own: one that is dead holds up
no other, and what it did not take is told of it alone. A target that does not
take them now is asked again: what took an hour to build is not built again
for that.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent import futures
import contextlib
import dataclasses
import threading
import time

from oslo_log import log

from dib_service import exception
from dib_service.builder import reporter
from dib_service.conductor import rpcapi
from dib_service.publish import directory_upload, upload

LOG = log.getLogger(__name__)

FIRST_PAUSE_SECONDS = 1.0
# Image ids that one target may lose of one build: where the fifth is lost,
# the sixth will be.
IMAGES = 5

# What an attempt has one artefact of: role and format.
Place = tuple[str, str]


@dataclasses.dataclass(frozen=True)
class Patience:
    """How long to go on with one target; all in seconds.

    ``pause``: the longest between two tries. ``stuck``: how long an image
    may be busy with what nobody sends any more.
    """

    seconds: float
    pause: float
    stuck: float


class Uploading:
    """``run`` once; ``close`` from any thread."""

    def __init__(
        self,
        conductor: rpcapi.ConductorAPI,
        lease: rpcapi.Lease,
        artefacts: Mapping[Place, tuple[rpcapi.Artefact, upload.Source]],
        *,
        patience: Patience,
        cafile: str | None,
        say: Callable[[str], None],
        insist: Callable[[Callable[[], None]], None],
        ending: threading.Event,
    ) -> None:
        """``insist``: makes a call until it is heard. ``ending``: set when
        the work is to stop.
        """
        self._conductor = conductor
        self._lease = lease
        self._artefacts = artefacts
        self._patience = patience
        self._cafile = cafile
        self._say = say
        self._insist = insist
        self._ending = ending
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._open: set[upload.Staging] = set()

    def run(self, targets: Sequence[str]) -> None:
        """Each target has the bytes, or was given up, and was told so.

        It returns early, with nothing more to tell, when ``ending`` is set.

        :raises StaleClaim: the build is another's.
        :raises upload.Changed: what lies here is not what was made.
        """
        with futures.ThreadPoolExecutor(
            len(targets), thread_name_prefix="upload"
        ) as pool:
            jobs = [pool.submit(self._to, target) for target in targets]
        for job in jobs:
            job.result()

    def close(self) -> None:
        """End whatever is under way."""
        with self._lock:
            for staging in self._open:
                staging.close()

    def _to(self, target: str) -> None:
        deadline = time.monotonic() + self._patience.seconds
        pause = min(FIRST_PAUSE_SECONDS, self._patience.pause)
        lost: list[str] = []
        while not self._ended():
            problem = self._tried(target, lost)
            if problem is None:
                self._insist(
                    lambda: self._conductor.uploaded(
                        self._lease, target=target
                    )
                )
                return
            if self._ended():
                return
            if problem.final or time.monotonic() + pause > deadline:
                self._give_up(target, problem)
                return
            told = f"upload to {target}: {problem.message}"
            LOG.warning("build %s: %s", self._lease.build_id, told)
            self._say(f"==> {told}; again in {pause:.0f} s\n")
            self._ending.wait(pause)
            pause = min(pause * 2, self._patience.pause)

    def _tried(self, target: str, lost: list[str]) -> "_Problem | None":
        """Why the target does not have it all; None if it does.

        What has been lost in it is added to ``lost``.
        """
        try:
            self._once(target, lost)
        except (upload.Changed, exception.StaleClaim):
            # That ends all of them.
            self._over.set()
            self.close()
            raise
        except upload.Refused as exc:
            return _Problem(exc.code, exc.message, final=True)
        except upload.Lost as exc:
            lost.append(exc.image_id)
            final = len(lost) >= IMAGES
            return _Problem(exc.code, exc.message, final=final)
        except exception.BadRequest as exc:
            # The same words would be refused as long as there are builders.
            return _Problem("upload", exc.message, final=True)
        except (upload.Trouble, *reporter.AWAY) as exc:
            return _Problem("upload", _trouble(exc), final=False)
        return None

    def _ended(self) -> bool:
        return self._ending.is_set() or self._over.is_set()

    def _once(self, target: str, lost: Sequence[str]) -> None:
        # A new token each time: the last one may have run out meanwhile.
        grant = self._conductor.grant_upload(
            self._lease,
            [artefact for artefact, _ in self._artefacts.values()],
            target=target,
            lost=lost,
        )
        with self._staging_of(grant, target) as staging:
            for wanted in grant.uploads:
                self._say(
                    f"==> upload of {wanted.role} {wanted.format} to {target} "
                    f"as image {wanted.image_id}\n"
                )
                _, source = self._artefacts[wanted.role, wanted.format]
                staging.upload(_image(wanted), source)

    @contextlib.contextmanager
    def _staging_of(
        self, grant: rpcapi.UploadGrant, target: str
    ) -> Iterator[upload.Staging]:
        staging: upload.Staging
        if grant.kind == "directory":
            staging = directory_upload.Directory(grant.endpoint)
        else:
            staging = upload.Glance(
                grant.endpoint,
                grant.token,
                cafile=self._cafile,
                stuck_seconds=self._patience.stuck,
            )
        with self._lock:
            self._open.add(staging)
        try:
            # Between close() and the lines above nobody would have ended it.
            if self._ended():
                staging.close()
            yield staging
        finally:
            with self._lock:
                self._open.discard(staging)
            staging.close()
            self._revoke(grant.token, target)

    def _revoke(self, token: str, target: str) -> None:
        try:
            self._conductor.revoke_upload(token, target=target)
        except reporter.AWAY as exc:
            LOG.info(
                "build %s: its token stays: %s", self._lease.build_id, exc
            )

    def _give_up(self, target: str, problem: "_Problem") -> None:
        told = f"upload to {target}: {problem.message}"
        LOG.error("build %s: given up: %s", self._lease.build_id, told)
        self._say(f"*** FAILED: {told}\n")
        fault = {
            "code": problem.code,
            "turn": "operator",
            "message": problem.message,
        }
        self._insist(
            lambda: self._conductor.gave_up(
                self._lease, target=target, fault=fault
            )
        )


@dataclasses.dataclass(frozen=True)
class _Problem:
    """Why something is not uploaded; ``final``: nor will it ever be."""

    code: str
    message: str
    final: bool


def _trouble(error: Exception) -> str:
    """What the asker may read of it: the text of a remote error has the
    other side's traceback, and in it whatever was at hand there.
    """
    if isinstance(error, exception.DibServiceError):
        return error.message
    if isinstance(error, upload.Trouble):
        return str(error)
    return "the conductor does not answer"


def _image(wanted: rpcapi.Upload) -> upload.Image:
    return upload.Image(
        id=wanted.image_id,
        name=wanted.name,
        format=wanted.format,
        disk_format=wanted.disk_format,
        container_format=wanted.container_format,
        properties=wanted.properties,
        min_disk=wanted.min_disk,
        min_ram=wanted.min_ram,
        tags=wanted.tags,
    )
