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
    _sweep_known(glance)
    if staging_project is not None:
        _sweep_unknown(glance, staging_project)


def _sweep_known(glance: images.Images) -> None:
    """What our rows say is abandoned; the only way without Keystone."""
    for image in release.abandoned(BATCH):
        try:
            existed = glance.delete(image.image_id)
        except images.ERRORS as error:
            LOG.warning("image %s: not deleted: %s", image.image_id, error)
            continue
        if existed:
            LOG.info(
                "build %s: staged image %s deleted",
                image.build_id,
                image.image_id,
            )
        # One that is not there may still come: a builder that nobody hears
        # of any more has a token, and starts its upload.
        if existed or image.age_seconds > cfg.CONF.conductor.sweep_grace:
            release.discarded(image)


def _sweep_unknown(glance: images.Images, staging_project: str) -> None:
    found = list(glance.of_owner(staging_project))
    # Rows come before images, so what has none by now never had a build, or
    # has outlived it.
    for image_id in sorted(set(found) - release.live(found)):
        try:
            glance.delete(image_id)
            LOG.info("staged image %s of no build deleted", image_id)
        except images.ERRORS as error:
            LOG.warning("image %s: not deleted: %s", image_id, error)
