"""One Debian machine image, built and published once for all tests.

It takes the service's whole way: asked for by a user without admin rights
through the real ``openstack`` command, downloaded back from Glance.
"""

from collections.abc import Iterator, Mapping
import contextlib
import dataclasses
import functools
import hashlib
import os
import pathlib
from typing import Any

from tests import lab
from tests.integration import service_case
from tools.lab.quickstart import Tenant
from tools.lab.service import Service

ELEMENTS = ("debian", "vm")


@dataclasses.dataclass(frozen=True)
class Published:
    """The image as who asked for it has it; ``path`` is a qcow2 file."""

    path: pathlib.Path
    sha512: str
    build: Mapping[str, Any]
    project_id: str


def debian_image() -> pathlib.Path:
    """A qcow2 file of ``debian`` and ``vm``, not to be written to.

    DIB_TEST_IMAGE may name one that is there already.
    """
    given = os.environ.get("DIB_TEST_IMAGE")
    return pathlib.Path(given) if given else debian().path


@functools.cache
def debian() -> Published:
    """Build it, wait for it, download it."""
    with service() as running:
        cloud = running.cloud
        user = Tenant(
            cloud.account("demo"),
            service_case.BIN,
            log=running.all_in_one.log,
        )
        words = [word for name in ELEMENTS for word in ("--element", name)]
        build = user.ask("image", "build", "create", *words, "--wait")
        path = cloud.state.path / "debian.qcow2"
        with cloud.account("demo").connect() as demo:
            (image_id,) = build["image_ids"]
            demo.image.download_image(image_id, output=str(path), stream=True)
            return Published(
                path=path,
                sha512=_sha512(path),
                build=build,
                project_id=str(demo.current_project_id),
            )


@contextlib.contextmanager
def service() -> Iterator[Service]:
    """The service that published it, with all that it knows."""
    running = Service(lab.cloud(), service_case.BIN, name="published")
    running.prepare()
    process = running.all_in_one
    process.start()
    try:
        running.wait_until_ready(process)
        service_case.wait_for_elements(running.cloud, *ELEMENTS)
        yield running
    finally:
        process.stop()


def _sha512(path: pathlib.Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha512").hexdigest()
