"""The conductor's two ways into the cloud: publisher and uploader."""

import dataclasses
import time

from keystoneauth1 import adapter, loading
from keystoneauth1 import exceptions as ksa_exc
from keystoneauth1 import session as ksa_session
from oslo_config import cfg
from oslo_log import log

from dib_service import exception
from dib_service.conf import glance as glance_conf
from dib_service.publish import images, metadefs

LOG = log.getLogger(__name__)

# What a "token" is good for where there is no Keystone.
WITHOUT_KEYSTONE_SECONDS = 3600.0


@dataclasses.dataclass(frozen=True)
class UploadRight:
    """A token for the staging project, and where to use it."""

    token: str
    endpoint: str
    expires_at: float


class Cloud:
    """Glance, as ``[glance]`` and ``[glance_upload]`` name it."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._conf = conf
        self._images: images.Images | None = None
        self._staging_project: str | None = None

    def images(self) -> images.Images:
        """The images as the publisher sees them.

        :raises keystoneauth1.exceptions.ClientException: options are wrong.
        """
        if self._images is None:
            session = self._session(glance_conf.GROUP)
            self._images = images.Images(
                self._adapter(glance_conf.GROUP, session)
            )
        return self._images

    def metadefs(self) -> metadefs.Metadefs:
        """What Glance knows of properties, as the publisher sees it.

        :raises keystoneauth1.exceptions.ClientException: options are wrong.
        """
        session = self._session(glance_conf.GROUP)
        return metadefs.Metadefs(self._adapter(glance_conf.GROUP, session))

    def upload_right(self) -> UploadRight:
        """A new right to upload into the staging project.

        :raises Unavailable: Keystone or the catalog does not give it.
        """
        try:
            # A session of its own, so that the token is as young as it can
            # be: a large upload takes long.
            session = self._session(glance_conf.UPLOAD_GROUP)
            endpoint = images.base_url(
                self._adapter(glance_conf.UPLOAD_GROUP, session)
            )
            token, expires_at = _token(session)
            return UploadRight(token, endpoint, expires_at)
        except ksa_exc.ClientException as error:
            # The text has addresses, and this is told to who asked.
            LOG.error("no right to upload can be had: %s", error)
            raise exception.Unavailable(
                "no right to upload into Glance can be had now"
            ) from error

    def revoke(self, token: str) -> None:
        """End the token of an upload right; where that fails, time does."""
        session = self._session(glance_conf.UPLOAD_GROUP)
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

    def staging_project(self) -> str | None:
        """The id of the staging project; None where there are no projects.

        :raises keystoneauth1.exceptions.ClientException: Keystone is away.
        """
        if self._staging_project is None:
            configured = self._conf.glance.staging_project_id
            session = self._session(glance_conf.UPLOAD_GROUP)
            found = session.get_project_id() if session.auth else None
            self._staging_project = configured or found
        return self._staging_project

    def _session(self, group: str) -> ksa_session.Session:
        auth = loading.load_auth_from_conf_options(self._conf, group)
        session: ksa_session.Session = loading.load_session_from_conf_options(
            self._conf, group, auth=auth
        )
        return session

    def _adapter(
        self, group: str, session: ksa_session.Session
    ) -> adapter.Adapter:
        made: adapter.Adapter = loading.load_adapter_from_conf_options(
            self._conf, group, session=session
        )
        return made


def _token(session: ksa_session.Session) -> tuple[str, float]:
    """A token and when it ends; an empty one where there is no Keystone."""
    get_access = getattr(session.auth, "get_access", None)
    if get_access is None:
        return "", time.time() + WITHOUT_KEYSTONE_SECONDS
    access = get_access(session)
    return access.auth_token, access.expires.timestamp()
