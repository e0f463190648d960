"""Clients of version 1 of the API, one for each noun."""

from dib_service.tempest_plugin.services.v1.builds_client import BuildsClient
from dib_service.tempest_plugin.services.v1.elements_client import (
    ElementsClient,
)

__all__ = ["BuildsClient", "ElementsClient"]
