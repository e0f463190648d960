"""Staging holds what is being published, and nothing else for long."""

from oslo_config import cfg
from oslo_log import log

from dib_service.objects import release
from dib_service.publish import images

LOG = log.getLogger(__name__)

BATCH = 100


def sweep(glance: images.Images, staging_project: str | None) -> None:
    """Delete the images of staging that no build will publish.

    Never one that was found by a property: a tenant can write any property.
    """
    _sweep_known(glance, staging_project)
    if staging_project is not None:
        _sweep_unknown(glance, staging_project)


def _sweep_known(glance: images.Images, staging_project: str | None) -> None:
    """What our rows say is abandoned; the only way without Keystone."""
    for image in release.abandoned(BATCH):
        try:
            found = _deleted(glance, image.image_id, staging_project)
        except images.ERRORS as error:
            LOG.warning("image %s: not deleted: %s", image.image_id, error)
            continue
        # One that is not there may still come: a builder that nobody hears
        # of any more has a token, and starts its upload.
        if found or image.age_seconds > cfg.CONF.conductor.sweep_grace:
            release.discarded(image)


def _sweep_unknown(glance: images.Images, staging_project: str) -> None:
    found = list(glance.of_owner(staging_project))
    # Rows come before images, so what has none by now never had a build, or
    # has outlived it.
    for image_id in sorted(set(found) - release.live(found)):
        try:
            _deleted(glance, image_id, staging_project)
        except images.ERRORS as error:
            LOG.warning("image %s: not deleted: %s", image_id, error)


def _deleted(
    glance: images.Images, image_id: str, staging_project: str | None
) -> bool:
    """Whether there was such an image; what has left staging stays.

    Asked once more, after the rows: the build may have been released, and
    forgotten, since Glance was asked first.
    """
    image = glance.get(image_id)
    if image is None:
        return False
    if staging_project is not None and image.owner != staging_project:
        LOG.warning("image %s has left staging: it stays", image_id)
        return True
    if glance.delete(image_id):
        LOG.info("staged image %s of no live build deleted", image_id)
    return True
