"""From uploaded to published: check, decide, hand over, finish.

Each target goes by itself. Any conductor may go on where another one died:
each step reads what it needs from the database and from the target, and may
be repeated.
"""

from collections.abc import Sequence
import time
from typing import Any

from oslo_config import cfg
from oslo_log import log

from dib_service import exception
from dib_service.objects import build as builds
from dib_service.objects import release
from dib_service.publish import target as targets

LOG = log.getLogger(__name__)

BATCH = 20


class Mismatch(Exception):
    """It does not hold what was built; ``fault`` says the difference."""

    def __init__(self, code: str, message: str, **facts: Any) -> None:
        super().__init__(message)
        self.fault = {
            "code": code,
            "turn": "operator",
            "message": message,
            **facts,
        }


class NotYet(Exception):
    """The target took the change and does not show it."""


def publish_due(target: targets.Target) -> None:
    """Publish what is uploaded; one build's trouble is not another's."""
    for build_id in release.due(target.name, BATCH):
        try:
            publish(build_id, target)
        except Exception:
            LOG.exception(
                "build %s: not published in %s this time",
                build_id,
                target.name,
            )


def publish(build_id: str, target: targets.Target) -> None:
    """Take the build as far as the target lets us, if it is due there."""
    build = release.lock(build_id, target.name)
    if build is None:
        return
    try:
        if _undecided(build, target):
            try:
                check(build, target)
            except Mismatch as problem:
                refuse(build, target, problem)
                return
            decide(build, target)
        hand_over(build, target)
        finish(build, target)
    except exception.StateConflict as error:
        LOG.info("build %s: %s: %s", build_id, target.name, error)
    except (*targets.ERRORS, NotYet) as error:
        postpone(build, target, error)
    except Exception as error:
        LOG.exception("build %s: %s: a fault of ours", build_id, target.name)
        # It may come every time, and the build is to end all the same.
        postpone(build, target, error)


def check(build: builds.Build, target: targets.Target) -> None:
    """Compare what the target has with what was built.

    :raises Mismatch: they differ.
    """
    keep = _Keeper(build, target)
    for staged in release.images(build, target.name):
        image = target.inspect(staged.image_id, going_on=keep)
        if image is None:
            raise Mismatch(
                "staged-image-lost",
                f"image {staged.image_id} is no longer there",
                image_id=staged.image_id,
            )
        if image.status != "active":
            raise Mismatch(
                "staged-image-not-active",
                f"image {staged.image_id} is {image.status}",
                image_id=staged.image_id,
            )
        _compare(staged, image)


class _Keeper:
    """Called again and again, it keeps the others from doing our work."""

    def __init__(self, build: builds.Build, target: targets.Target) -> None:
        self._build = build
        self._target = target
        self._seconds = cfg.CONF.conductor.publish_lock_seconds / 3
        self._kept_at = time.monotonic()

    def __call__(self) -> None:
        if time.monotonic() - self._kept_at > self._seconds:
            release.keep(self._build, self._target.name)
            self._kept_at = time.monotonic()


def decide(build: builds.Build, target: targets.Target) -> None:
    """The point of no return.

    :raises StateConflict: the build was cancelled.
    """
    release.decide(build, target.name)
    LOG.info("build %s: release in %s decided", build.id, target.name)


def hand_over(build: builds.Build, target: targets.Target) -> None:
    """Give the images to who asked for them, until the target agrees.

    All of them are theirs before the first can be seen, and what is linked
    to can be seen before what links to it.

    :raises NotYet: the target does not agree.
    """
    audience = _audience(build)
    for staged in _releasing(build, target):
        image = target.get(staged.image_id)
        if image is None:
            _gone(build, staged)
        elif not target.shows(image, audience):
            target.give(image, audience)
    for staged in _releasing(build, target):
        image = target.get(staged.image_id)
        if image is not None and not target.shows(image, audience):
            target.show(image, audience)
            image = target.get(staged.image_id)
        if image is None:
            _gone(build, staged)
        elif not target.shows(image, audience):
            raise NotYet(f"image {image.id} is still {image}")


def finish(build: builds.Build, target: targets.Target) -> None:
    """All is done there."""
    release.finish(
        build,
        target.name,
        {
            staged.image_id: target.location(staged.image_id)
            for staged in _releasing(build, target)
        },
    )
    LOG.info("build %s: published in %s", build.id, target.name)


def refuse(
    build: builds.Build, target: targets.Target, problem: Mismatch
) -> None:
    """Fail the publication and delete what is staged of it.

    :raises StateConflict: the build was cancelled.
    """
    LOG.error("build %s: %s: %s", build.id, target.name, problem)
    staged = release.images(build, target.name)
    release.refuse(build, target.name, problem.fault)
    _delete(build, target, staged)


def postpone(
    build: builds.Build, target: targets.Target, error: Exception
) -> None:
    """Have it published later, or not at all when that took too long.

    :raises StateConflict: the build has ended meanwhile.
    """
    seconds = release.postpone(build, target.name)
    if seconds is not None:
        LOG.warning(
            "build %s: %s: %s; again in %.0f s",
            *(build.id, target.name, error, seconds),
        )
        return
    LOG.error("build %s: %s: given up: %s", build.id, target.name, error)
    fault = {
        "code": "publish-timeout",
        "turn": "operator",
        # The error itself may have addresses, and this is told to who asked.
        "message": "the target has not let the images be published in all "
        f"the time there was ({type(error).__name__})",
    }
    staged = release.images(build, target.name)
    release.refuse(build, target.name, fault, before=release.DUE)
    # Some of it may be theirs by now. Nothing will link to it, and nobody
    # was told of it.
    _delete(build, target, staged)


def _delete(
    build: builds.Build,
    target: targets.Target,
    images: Sequence[release.Staged],
) -> None:
    # What links goes before what is linked to.
    for staged in reversed(images):
        try:
            target.delete(staged.image_id)
        except targets.ERRORS as error:
            LOG.warning(
                "build %s: image %s is left to the sweeper: %s",
                *(build.id, staged.image_id, error),
            )


def _undecided(build: builds.Build, target: targets.Target) -> bool:
    return any(
        staged.state == "uploaded"
        for staged in release.images(build, target.name)
    )


def _releasing(
    build: builds.Build, target: targets.Target
) -> list[release.Staged]:
    return [
        staged
        for staged in release.images(build, target.name)
        if staged.state == "releasing"
    ]


def _audience(build: builds.Build) -> targets.Audience:
    return targets.Audience(
        owner=build.project_id,
        visibility=build.wanted.visibility,
        members=build.wanted.members,
        protected=build.wanted.protected,
    )


def _gone(build: builds.Build, staged: release.Staged) -> None:
    # Its owner has it, and does not want it: nothing to repeat.
    LOG.warning(
        "build %s: image %s was deleted while it was released",
        *(build.id, staged.image_id),
    )
    release.gone(staged.image_id)


def _compare(staged: release.Staged, image: targets.Image) -> None:
    if image.hash_algorithm != "sha512":
        raise Mismatch(
            "glance-hash",
            f"Glance hashes with {image.hash_algorithm}; sha512 is needed to "
            "compare its images with what was built",
            image_id=image.id,
        )
    if image.hash_value != staged.sha512:
        raise Mismatch(
            "image-differs",
            f"image {image.id} has sha512 {image.hash_value} there and "
            f"had {staged.sha512} on the builder",
            image_id=image.id,
            glance_sha512=image.hash_value,
            built_sha512=staged.sha512,
        )
    if image.size != staged.size:
        raise Mismatch(
            "image-differs",
            f"image {image.id} has {image.size} bytes there and had "
            f"{staged.size} on the builder",
            image_id=image.id,
        )
