"""The ``openstack`` command's door to the image build service."""

import argparse
import re
from typing import Any

from osc_lib import exceptions, utils

from dib_service.client import sdk

DEFAULT_API_VERSION = "1"
API_VERSION_OPTION = "os_image_build_api_version"
API_NAME = "image_build"
API_VERSIONS = ("1",)


def make_client(instance: Any) -> sdk.Proxy:
    """The SDK's proxy for the service, on the connection that OSC made."""
    _choose_version(
        instance.sdk_connection.config, instance._api_version[API_NAME]
    )
    instance.sdk_connection.add_service(sdk.service())
    client: sdk.Proxy = instance.sdk_connection.image_build
    return client


def client_of(command: Any) -> sdk.Proxy:
    """The proxy for a command of ours; OSC adds it by API_NAME."""
    client: sdk.Proxy = command.app.client_manager.image_build
    return client


def build_option_parser(
    parser: argparse.ArgumentParser,
) -> argparse.ArgumentParser:
    """Add the global option of this service."""
    parser.add_argument(
        "--os-image-build-api-version",
        metavar="<image-build-api-version>",
        default=utils.env("OS_IMAGE_BUILD_API_VERSION"),
        help=(
            "Image build API version: 1 for the newest that client and "
            f"service know, or 1.Y; default {DEFAULT_API_VERSION} "
            "(Env: OS_IMAGE_BUILD_API_VERSION)"
        ),
    )
    return parser


def check_api_version(version: str) -> bool:
    """True: the version is one that we know how to ask for.

    :raises CommandError: it is none.
    """
    if not re.fullmatch(r"1(\.\d+)?", version):
        raise exceptions.CommandError(
            f"Image build API version {version!r} is not known: "
            "use 1 or 1.Y, for example 1.0"
        )
    return True


def _choose_version(config: Any, version: str) -> None:
    # The SDK finds an endpoint by the major version and would look in vain
    # for one of version 1.Y; the microversion travels in a header.
    if "." in version:
        config.config["image_build_default_microversion"] = version
    config.config["image_build_api_version"] = DEFAULT_API_VERSION
