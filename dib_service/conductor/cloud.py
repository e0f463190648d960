"""The conductor's ways to the targets that ``[publish]`` names."""

from collections.abc import Callable, Sequence
import threading

from keystoneauth1 import adapter, loading
from keystoneauth1 import session as ksa_session
from openstack import exceptions as sdk_exc
import openstack.config
from oslo_config import cfg
from oslo_log import log

from dib_service.conf import glance as glance_conf
from dib_service.conf import publish as publish_conf
from dib_service.publish import directory, glance, metadefs
from dib_service.publish import target as targets

LOG = log.getLogger(__name__)


# A target that takes a question and never answers must not keep a thread of
# the conductor; clouds.yaml has no limit of its own.
TIMEOUT_SECONDS = 30.0


class Unknown(targets.Misconfigured):
    """No target has that name, or its section is not complete."""


class Cloud:
    """The targets, made when they are first asked for."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._conf = conf
        self._lock = threading.Lock()
        self._targets: dict[str, targets.Target] = {}

    def names(self) -> Sequence[str]:
        """The names of all targets."""
        names: Sequence[str] = self._conf.publish.targets
        return names

    def target(self, name: str) -> targets.Target:
        """The target of that name.

        :raises Unknown: the configuration has none.
        """
        with self._lock:
            if name not in self._targets:
                self._targets[name] = self._make(name)
            return self._targets[name]

    def metadefs(self) -> metadefs.Metadefs:
        """What Glance knows of properties, as the publisher sees it.

        :raises keystoneauth1.exceptions.ClientException: options are wrong.
        """
        return metadefs.Metadefs(self._adapter(glance_conf.GROUP))

    def _make(self, name: str) -> targets.Target:
        if name not in self.names():
            raise Unknown(f"[publish] targets has no {name}")
        if name == publish_conf.THIS_CLOUD:
            return self._this_cloud()
        options = publish_conf.options_of(self._conf, name)
        if options.kind == "directory":
            if not options.path:
                raise Unknown(f"[publish:{name}] has no path")
            return directory.Directory(name, options.path, url=options.url)
        if not (options.cloud and options.upload_cloud):
            raise Unknown(f"[publish:{name}] lacks cloud or upload_cloud")
        if not options.owner_project_id:
            raise Unknown(f"[publish:{name}] has no owner_project_id")
        return _other_cloud(name, options)

    def _this_cloud(self) -> targets.Target:
        return glance.Glance(
            publish_conf.THIS_CLOUD,
            lambda: self._adapter(glance_conf.GROUP),
            lambda: self._adapter(glance_conf.UPLOAD_GROUP),
            glance.Rules(
                bare_metal=self._conf.publish.bare_metal_project_id,
                staging_project=self._conf.glance.staging_project_id,
            ),
        )

    def _adapter(self, group: str) -> adapter.Adapter:
        """A session of its own for whom that group of options names."""
        auth = loading.load_auth_from_conf_options(self._conf, group)
        session: ksa_session.Session = loading.load_session_from_conf_options(
            self._conf, group, auth=auth
        )
        made: adapter.Adapter = loading.load_adapter_from_conf_options(
            self._conf, group, session=session
        )
        return made


def _other_cloud(
    name: str, options: cfg.ConfigOpts.GroupAttr
) -> targets.Target:
    return glance.Glance(
        name,
        _of_clouds_yaml(options, options.cloud),
        _of_clouds_yaml(options, options.upload_cloud),
        glance.Rules(
            owner=options.owner_project_id,
            visibility=options.visibility,
            bare_metal=options.bare_metal_project_id,
            foreign=True,
        ),
    )


def _of_clouds_yaml(
    options: cfg.ConfigOpts.GroupAttr, entry: str
) -> Callable[[], adapter.Adapter]:
    """What makes a new session for that entry of clouds.yaml."""

    def connect() -> adapter.Adapter:
        files = [options.clouds_file] if options.clouds_file else None
        try:
            # Nothing of this process's own environment: its OS_… are not
            # meant.
            config = openstack.config.OpenStackConfig(
                config_files=files, load_envvars=False
            )
            region = config.get_one(cloud=entry, region_name=options.region)
            session = region.get_session()
        except sdk_exc.SDKException as error:
            raise targets.Misconfigured(f"clouds.yaml: {error}") from error
        if session.timeout is None:
            session.timeout = TIMEOUT_SECONDS
        # Not the SDK's own adapter, for which an error is an answer.
        return adapter.Adapter(
            session,
            service_type="image",
            interface=region.get_interface("image"),
            region_name=region.get_region_name("image"),
            endpoint_override=region.get_endpoint("image"),
        )

    return connect
