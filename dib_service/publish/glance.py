"""A Glance as a target: this cloud's, or that of another cloud or region."""

from collections.abc import Callable, Iterator
import dataclasses
import time

from keystoneauth1 import adapter
from keystoneauth1 import exceptions as ksa_exc
from oslo_log import log

from dib_service.publish import images, target

LOG = log.getLogger(__name__)

# What a "token" is good for where there is no Keystone.
WITHOUT_KEYSTONE_SECONDS = 3600.0


@dataclasses.dataclass(frozen=True)
class Rules:
    """What is so in that cloud, whoever asks.

    ``owner`` and ``visibility`` are those of the request where they are
    None. ``bare_metal`` is the project that may deploy what is shared with
    it; ``foreign``: the projects that a request names are not of this cloud.
    """

    owner: str | None = None
    visibility: str | None = None
    bare_metal: str | None = None
    staging_project: str | None = None
    foreign: bool = False


class Glance(target.Target):
    """Images that become visible by a change of their owner.

    ``publisher`` may make that change; ``uploader`` is a member of the
    staging project and of nothing else. Both are asked for when they are
    needed: a cloud that is down stops nobody from starting.
    """

    def __init__(
        self,
        name: str,
        publisher: Callable[[], adapter.Adapter],
        uploader: Callable[[], adapter.Adapter],
        rules: Rules = Rules(),
    ) -> None:
        super().__init__(name)
        self._publisher = publisher
        self._uploader = uploader
        self._rules = rules
        self._known: images.Images | None = None
        self._staging: str | None = rules.staging_project

    def right(self) -> target.Right:
        """A token of the uploader, as young as it can be."""
        self._check_owner()
        # A session of its own each time: a large upload takes long.
        glance = self._uploader()
        endpoint = images.base_url(glance)
        token, expires_at = _token(glance)
        return target.Right("glance", endpoint, token, expires_at)

    def revoke(self, token: str) -> None:
        """End the token; where that fails, time does."""
        session = self._uploader().session
        keystone = getattr(session.auth, "auth_url", None)
        if not token or not keystone:
            return
        try:
            # The token itself has the right to that: no new one is made.
            session.delete(
                keystone.rstrip("/").removesuffix("/v3") + "/v3/auth/tokens",
                authenticated=False,
                headers={"X-Auth-Token": token, "X-Subject-Token": token},
            )
        except ksa_exc.ClientException as error:
            LOG.warning("an upload token stays until its end: %s", error)

    def get(self, image_id: str) -> target.Image | None:
        """The image as Glance has it."""
        return self._images().get(image_id)

    def give(self, image: target.Image, audience: target.Audience) -> None:
        """Change its owner, and let its members have it."""
        owner, visibility = self._whose(audience)
        if (image.owner, image.visibility) != (owner, visibility):
            self._images().change(image.id, owner=owner, visibility=visibility)
        members = self._members(audience)
        known = self._images().members(image.id) if members else {}
        for project in members:
            if project not in known:
                self._images().add_member(image.id, project)
            if project == self._rules.bare_metal:
                self._accept(image.id, known.get(project), project)

    def show(self, image: target.Image, audience: target.Audience) -> None:
        """Have it in the lists, and let nobody delete it unawares."""
        self._images().change(
            image.id, os_hidden=False, protected=audience.protected
        )

    def shows(self, image: target.Image, audience: target.Audience) -> bool:
        """Whether it is theirs and in the lists."""
        return (
            (image.owner, image.visibility) == self._whose(audience)
            and not image.hidden
            and image.protected == audience.protected
        )

    def delete(self, image_id: str) -> bool:
        """Delete it, protected or not."""
        return self._images().delete(image_id)

    def in_staging(self, image: target.Image) -> bool:
        """Whether the staging project has it; so it may be, without one."""
        return self._staging_project() in (None, image.owner)

    def staged(self) -> Iterator[str]:
        """What the staging project has; nothing where there is none."""
        self._check_owner()
        project = self._staging_project()
        if project is not None:
            yield from self._images().of_owner(project)

    def _images(self) -> images.Images:
        if self._known is None:
            self._known = images.Images(self._publisher())
        return self._known

    def _staging_project(self) -> str | None:
        if self._staging is None:
            session = self._uploader().session
            self._staging = session.get_project_id() if session.auth else None
        return self._staging

    def _check_owner(self) -> None:
        """Stop where what is published would count as staged, and be swept.

        :raises Misconfigured: images end in the project that they start in.
        """
        owner = self._rules.owner
        if owner is not None and owner == self._staging_project():
            raise target.Misconfigured(
                f"owner_project_id {owner} is the project that the user of "
                "upload_cloud stages images in: give that user another one"
            )

    def _whose(self, audience: target.Audience) -> tuple[str, str]:
        return (
            self._rules.owner or audience.owner,
            self._rules.visibility or audience.visibility,
        )

    def _members(self, audience: target.Audience) -> list[str]:
        """The ids of the projects that it is shown to, if it is shared."""
        if self._whose(audience)[1] != "shared":
            return []
        found = []
        for member in audience.members:
            if member == target.BARE_METAL:
                if self._rules.bare_metal:
                    found.append(self._rules.bare_metal)
            elif not self._rules.foreign:
                found.append(member)
        return found

    def _accept(self, image_id: str, status: str | None, project: str) -> None:
        if status == "accepted":
            return
        try:
            self._images().accept(image_id, project)
        except (ksa_exc.Forbidden, ksa_exc.NotFound) as error:
            # It may be used by its id all the same.
            LOG.warning(
                "image %s is shared with project %s and not accepted: %s",
                image_id,
                project,
                error,
            )


def _token(glance: adapter.Adapter) -> tuple[str, float]:
    """A token and when it ends; an empty one where there is no Keystone."""
    session = glance.session
    get_access = getattr(session.auth, "get_access", None)
    if get_access is None:
        return "", time.time() + WITHOUT_KEYSTONE_SECONDS
    access = get_access(session)
    return access.auth_token, access.expires.timestamp()
