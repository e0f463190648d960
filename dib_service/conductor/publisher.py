"""From uploaded to complete: check, decide, hand over, finish.

Any conductor may go on where another one died: each step reads what it needs
from the database and from Glance, and may be repeated.
"""

from typing import Any

from oslo_log import log

from dib_service import exception
from dib_service.objects import build as builds
from dib_service.objects import release
from dib_service.publish import images

LOG = log.getLogger(__name__)

TARGET = "glance"
BATCH = 20


class Mismatch(Exception):
    """Glance does not hold what was built; ``fault`` says the difference."""

    def __init__(self, code: str, message: str, **facts: Any) -> None:
        super().__init__(message)
        self.fault = {
            "code": code,
            "turn": "operator",
            "message": message,
            **facts,
        }


class NotYet(Exception):
    """Glance took the change and does not show it."""


def publish_due(glance: images.Images) -> None:
    """Publish what is uploaded; one build's trouble is not another's."""
    for build_id in release.due(BATCH):
        try:
            publish(build_id, glance)
        except Exception:
            LOG.exception("build %s: not published this time", build_id)


def publish(build_id: str, glance: images.Images) -> None:
    """Take the build as far as Glance lets us, if it is due."""
    build = release.lock(build_id)
    if build is None:
        return
    try:
        if not build.release_decided:
            try:
                check(build, glance)
            except Mismatch as problem:
                refuse(build, glance, problem)
                return
            decide(build)
        hand_over(build, glance)
        finish(build)
    except exception.StateConflict:
        LOG.info("build %s: cancelled before its release", build_id)
    except (*images.ERRORS, NotYet) as error:
        seconds = release.postpone(build)
        LOG.warning(
            "build %s: Glance: %s; again in %.0f s", build_id, error, seconds
        )


def check(build: builds.Build, glance: images.Images) -> None:
    """Compare what Glance has with what was built.

    :raises Mismatch: they differ.
    """
    for staged in release.images(build):
        image = glance.get(staged.image_id)
        if image is None:
            raise Mismatch(
                "staged-image-lost",
                f"image {staged.image_id} is no longer in Glance",
                image_id=staged.image_id,
            )
        if image.status != "active":
            raise Mismatch(
                "staged-image-not-active",
                f"image {staged.image_id} is {image.status} in Glance",
                image_id=staged.image_id,
            )
        _compare(staged, image)


def decide(build: builds.Build) -> None:
    """The point of no return.

    :raises StateConflict: the build was cancelled.
    """
    release.decide(build)
    LOG.info("build %s: release decided", build.id)


def hand_over(build: builds.Build, glance: images.Images) -> None:
    """Give each image to who asked for it, until Glance agrees.

    :raises NotYet: Glance does not agree.
    """
    for staged in release.images(build):
        if staged.state not in release.STAGING:
            continue
        image = glance.get(staged.image_id)
        if image is not None and not _handed_over(build, image):
            glance.release(
                staged.image_id,
                owner=build.project_id,
                visibility=build.wanted.visibility,
            )
            image = glance.get(staged.image_id)
        if image is None:
            # Its owner has it, and does not want it: nothing to repeat.
            LOG.warning(
                "build %s: image %s was deleted while it was released",
                build.id,
                staged.image_id,
            )
            release.mark(staged.image_id, "deleted")
        elif _handed_over(build, image):
            release.mark(staged.image_id, "published")
        else:
            raise NotYet(f"image {image.id} is still {image}")


def finish(build: builds.Build) -> None:
    """All is done."""
    release.finish(build)
    LOG.info("build %s: complete", build.id)


def refuse(
    build: builds.Build, glance: images.Images, problem: Mismatch
) -> None:
    """Fail the build and delete what is staged of it.

    :raises StateConflict: the build was cancelled.
    """
    LOG.error("build %s: %s", build.id, problem)
    release.refuse(build, problem.fault)
    for staged in release.images(build):
        try:
            glance.delete(staged.image_id)
            release.mark(staged.image_id, "deleted")
        except images.ERRORS as error:
            LOG.warning(
                "build %s: image %s is left to the sweeper: %s",
                build.id,
                staged.image_id,
                error,
            )


def _compare(staged: release.Staged, image: images.Image) -> None:
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
            f"image {image.id} has sha512 {image.hash_value} in Glance and "
            f"had {staged.sha512} on the builder",
            image_id=image.id,
            glance_sha512=image.hash_value,
            built_sha512=staged.sha512,
        )
    if image.size != staged.size:
        raise Mismatch(
            "image-differs",
            f"image {image.id} has {image.size} bytes in Glance and had "
            f"{staged.size} on the builder",
            image_id=image.id,
        )


def _handed_over(build: builds.Build, image: images.Image) -> bool:
    return (
        image.owner == build.project_id
        and image.visibility == build.wanted.visibility
        and not image.hidden
    )
