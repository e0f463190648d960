"""One Debian machine image, and one deploy ramdisk, for all tests.

Each is built and published once, by whichever test asks first, the service's
whole way: asked for through the real ``openstack`` command, the disk image by
a user without admin rights, and that downloaded back from Glance.
"""

from collections.abc import Iterator, Mapping, Sequence
import contextlib
import dataclasses
import functools
import hashlib
import os
import pathlib
from typing import Any

from tests import lab
from tests.integration import agent, service_case
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
        return downloaded(running, built(running, ELEMENTS), "debian")


@functools.cache
def deploy_ramdisk() -> Mapping[str, Any]:
    """The build of a kernel and a ramdisk, which all may boot.

    The operator's, who is ``admin`` of a project, as tenants' are ``demo``'s.
    Ironic reads both with the token of who deploys, where there is one: what
    is shared with Ironic's own project alone is not there for a tenant.
    """
    own = lab.state().path / "elements"
    agent.add_element(own)
    shelf = (lab.CHECKOUT / "elements", agent.builders_elements(), own)
    with service(*shelf) as running:
        service_case.wait_for_elements(running.cloud, *agent.ELEMENTS)
        # It is started soon enough, and emulated that takes minutes.
        options = ("--visibility", "community", "--no-boot-test")
        return built(running, agent.ELEMENTS, *options, user="admin")


def image_ids(build: Mapping[str, Any]) -> Mapping[str, str]:
    """The ids of a build's images in Glance, by role."""
    return {made["role"]: made["image_id"] for made in build["publications"]}


def built(
    running: Service,
    elements: Sequence[str],
    *options: str,
    user: str = "demo",
) -> Mapping[str, Any]:
    """A build that the user asked for and waited for.

    :raises LabError: it did not become complete.
    """
    words = [word for name in elements for word in ("--element", name)]
    build: Mapping[str, Any] = tenant(running, user).ask(
        "image", "build", "create", *words, *options, "--wait"
    )
    return build


def downloaded(
    running: Service, build: Mapping[str, Any], name: str
) -> Published:
    """The one image of a build of ``demo``'s, as a file of this name."""
    cloud = running.cloud
    path = cloud.state.path / f"{name}.qcow2"
    with cloud.account("demo").connect() as demo:
        (image_id,) = build["image_ids"]
        demo.image.download_image(image_id, output=str(path), stream=True)
        return Published(
            path=path,
            sha512=_sha512(path),
            build=build,
            project_id=str(demo.current_project_id),
        )


def tenant(running: Service, user: str = "demo") -> Tenant:
    """That user of the service, with the real command."""
    return Tenant(
        running.cloud.account(user),
        service_case.BIN,
        log=running.all_in_one.log,
    )


@contextlib.contextmanager
def service(*shelf: pathlib.Path) -> Iterator[Service]:
    """The service that published them, with all that it knows.

    ``shelf``: where its builder has elements, in place of this checkout's.
    """
    cloud = lab.cloud()
    changes: dict[str, dict[str, object]] = {
        # Which is the project of Ironic's user, too.
        "publish": {"bare_metal_project_id": cloud.service_project_id()}
    }
    if shelf:
        path = ",".join(map(str, shelf))
        changes["builder"] = {"element_path": path}
    running = Service(
        cloud, service_case.BIN, name="published", changes=changes
    )
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
