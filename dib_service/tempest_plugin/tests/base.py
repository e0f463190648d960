"""What every test of builds needs: clients, a build, and its end."""

import contextlib
import time
from typing import Any

from tempest import config, test
from tempest.lib import exceptions
from tempest.lib.common.utils import data_utils, test_utils

CONF = config.CONF

ENDED = ("complete", "failed", "cancelled")


class BaseImageBuildTest(test.BaseTestCase):
    """A user with the role that may ask for builds."""

    credentials: tuple[str, ...] = ("primary",)

    @classmethod
    def skip_checks(cls) -> None:
        super().skip_checks()
        if not CONF.service_available.image_build:
            raise cls.skipException("dib-service is not in this cloud")
        if not CONF.service_available.glance:
            raise cls.skipException("Glance is not in this cloud")

    @classmethod
    def setup_credentials(cls) -> None:
        # No network, subnet or router for a user who only builds images.
        cls.set_network_resources()
        super().setup_credentials()

    @classmethod
    def setup_clients(cls) -> None:
        super().setup_clients()
        cls.builds = cls.os_primary.image_build_v1.BuildsClient()
        cls.elements = cls.os_primary.image_build_v1.ElementsClient()
        cls.images = cls.os_primary.image_client_v2

    @classmethod
    def wanted(cls, **changes: Any) -> dict[str, Any]:
        """The image that tempest.conf says can be built here."""
        options = CONF.image_build
        wanted = {
            "name": data_utils.rand_name(
                cls.__name__, prefix=CONF.resource_name_prefix
            ),
            "elements": list(options.elements),
            "skip_base": options.skip_base,
            **changes,
        }
        if not options.boot_test:
            wanted["boot_test"] = False
        return wanted

    @classmethod
    def create_build(cls, **changes: Any) -> dict[str, Any]:
        """A new build, which ends and is forgotten with the class."""
        build: dict[str, Any] = cls.builds.create_build(
            **cls.wanted(**changes)
        )["build"]
        cls.addClassResourceCleanup(cls.forget_build, build["id"])
        return build

    @classmethod
    def forget_build(cls, build_id: str) -> None:
        """No trace of the build is left, nor of its images."""
        gone = test_utils.call_and_ignore_notfound_exc
        # It may have ended, or the test may have forgotten it.
        with contextlib.suppress(exceptions.Conflict, exceptions.NotFound):
            cls.builds.cancel_build(build_id)
        try:
            build = cls.wait_for_end(build_id)
        except exceptions.NotFound:
            return
        for image_id in build["image_ids"]:
            gone(cls.images.delete_image, image_id)
        gone(cls.builds.delete_build, build_id)

    @classmethod
    def wait_for_end(cls, build_id: str) -> dict[str, Any]:
        """The build, once it has ended in whatever way.

        :raises TimeoutException: it does not in ``build_timeout``.
        """
        deadline = time.monotonic() + CONF.image_build.build_timeout
        while True:
            build: dict[str, Any] = cls.builds.show_build(build_id)["build"]
            if build["state"] in ENDED:
                return build
            if time.monotonic() > deadline:
                raise exceptions.TimeoutException(
                    f"build {build_id} is still {build['state']} (phase "
                    f"{build['phase']}) after "
                    f"{CONF.image_build.build_timeout} s"
                )
            time.sleep(CONF.image_build.build_interval)

    @classmethod
    def wait_until_complete(cls, build_id: str) -> dict[str, Any]:
        """The build, once it is complete.

        :raises TempestException: it ended in another way.
        """
        build = cls.wait_for_end(build_id)
        if build["state"] != "complete":
            raise exceptions.TempestException(
                f"build {build_id} is {build['state']}: {build['fault']}\n"
                + cls.read_whole_log(build_id)
            )
        return build

    @classmethod
    def read_whole_log(cls, build_id: str) -> str:
        """All that the build has said."""
        text, offset, complete = "", 0, False
        while not complete:
            piece, offset, complete = cls.builds.read_log(build_id, offset)
            if not piece:
                break
            text += piece
        return text
