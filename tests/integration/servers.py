"""Servers of a tenant, for tests of Nova on bare metal."""

import time

from openstack.baremetal.v1.node import Node
from openstack.compute.v2.server import Server
import openstack.connection

from tools.lab.compute import Compute

ENDED = ("ACTIVE", "ERROR")


def ended(
    cloud: openstack.connection.Connection, server_id: str, *, seconds: float
) -> Server:
    """The server once it is active or failed.

    :raises AssertionError: it is neither in all that time.
    """
    deadline = time.monotonic() + seconds
    while True:
        server: Server = cloud.compute.get_server(server_id)
        if server.status in ENDED:
            return server
        if time.monotonic() > deadline:
            raise AssertionError(
                f"still {server.status} {server.task_state} after {seconds} s"
            )
        time.sleep(1)


def delete(
    cloud: openstack.connection.Connection,
    server_id: str,
    compute: Compute,
    node: Node,
) -> None:
    """Delete the server, and return once its node is free again."""
    cloud.compute.delete_server(server_id)
    cloud.compute.wait_for_delete(Server(id=server_id), wait=300)
    compute.wait_for(node)
