"""Staging holds what is being published, and nothing else for long."""

from oslo_config import cfg
from oslo_log import log

from dib_service.objects import staging
from dib_service.publish import target as targets

LOG = log.getLogger(__name__)

BATCH = 100


def sweep(target: targets.Target) -> None:
    """Delete what is staged in a target and no build will publish.

    Never one that was found by a property: a tenant can write any property.
    """
    _sweep_known(target)
    _sweep_unknown(target)


def _sweep_known(target: targets.Target) -> None:
    """What our rows say is abandoned; the only way without Keystone."""
    for image in staging.abandoned(target.name, BATCH):
        try:
            # One that has failed may have been theirs already: nobody was
            # told of it, and what it links to may be missing.
            found = _deleted(
                target, image.image_id, anywhere=image.state == "failed"
            )
        except targets.ERRORS as error:
            LOG.warning("image %s: not deleted: %s", image.image_id, error)
            continue
        # One that is not there may still come: a builder that nobody hears
        # of any more has a token, and starts its upload.
        if found or image.age_seconds > cfg.CONF.conductor.sweep_grace:
            staging.discarded(image)


def _sweep_unknown(target: targets.Target) -> None:
    try:
        found = list(target.staged())
    except targets.ERRORS as error:
        LOG.warning("staging of %s: not swept: %s", target.name, error)
        return
    # Rows come before images, so what has none by now never had a build, or
    # has outlived it.
    for image_id in sorted(set(found) - staging.live(found)):
        try:
            _deleted(target, image_id)
        except targets.ERRORS as error:
            LOG.warning("image %s: not deleted: %s", image_id, error)


def _deleted(
    target: targets.Target, image_id: str, *, anywhere: bool = False
) -> bool:
    """Whether there was such an image; what has left staging stays.

    Asked once more, after the rows: the build may have been released, and
    forgotten, since the target was asked first.
    """
    image = target.get(image_id)
    if image is None:
        # What is no image, or not yet, may still be in the way: half a copy.
        return target.delete(image_id)
    if not anywhere and not target.in_staging(image):
        LOG.warning("image %s has left staging: it stays", image_id)
        return True
    if target.delete(image_id):
        LOG.info("staged image %s of no live build deleted", image_id)
    return True
