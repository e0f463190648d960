"""Let two network namespaces have servers of each other's loopback.

doors.py PID --inside PORT… --outside PORT…

The namespace is that of process PID. A port that is named after --inside
can be reached there as it can be here; one after --outside the other way
round. The address of a server is then the same on both sides, as is needed
for one that stands in Keystone's catalog.

Imports nothing of ours.
"""

import argparse
from collections.abc import Iterator
import contextlib
import ctypes
import os
import socket
import threading

LOOPBACK = "127.0.0.1"
CLONE_NEWNET = 0x40000000
CHUNK = 1 << 20

libc = ctypes.CDLL(None, use_errno=True)


def main() -> None:
    """Serve until we are ended."""
    parser = argparse.ArgumentParser()
    parser.add_argument("pid", type=int)
    for side in ("--inside", "--outside"):
        parser.add_argument(side, type=int, nargs="*", default=[])
    asked = parser.parse_args()
    here = os.open("/proc/self/ns/net", os.O_RDONLY)
    there = os.open(f"/proc/{asked.pid}/ns/net", os.O_RDONLY)
    # All are open before the first one answers, which is what a caller on
    # this side can see.
    doors = [
        *((opened(port, there), port, here) for port in asked.inside),
        *((opened(port, here), port, there) for port in asked.outside),
    ]
    threads = [threading.Thread(target=serve, args=door) for door in doors]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def opened(port: int, namespace: int) -> socket.socket:
    """A socket that listens in that namespace, whoever accepts from it."""
    with entered(namespace):
        return socket.create_server((LOOPBACK, port), backlog=64)


def serve(listener: socket.socket, port: int, lives_in: int) -> None:
    """Take what comes to the port over to the other namespace."""
    while True:
        client, _ = listener.accept()
        threading.Thread(
            target=connect, args=(client, port, lives_in), daemon=True
        ).start()


def connect(client: socket.socket, port: int, namespace: int) -> None:
    """Join a connection to the server that it is meant for."""
    with client, contextlib.suppress(OSError):
        with entered(namespace):
            server = socket.create_connection((LOOPBACK, port))
        with server:
            back = threading.Thread(target=copy, args=(server, client))
            back.start()
            copy(client, server)
            back.join()


def copy(source: socket.socket, target: socket.socket) -> None:
    """Hand on all that comes, and then its end."""
    with contextlib.suppress(OSError):
        while data := source.recv(CHUNK):
            target.sendall(data)
    # The other direction may go on; a server that is gone can not.
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def entered(namespace: int) -> Iterator[None]:
    """Have this one thread in the namespace for as long as the block."""
    own = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        enter(namespace)
        try:
            yield
        finally:
            enter(own)
    finally:
        os.close(own)


def enter(namespace: int) -> None:
    """Move this thread to a network namespace, given as a descriptor.

    :raises OSError: the kernel refused.
    """
    # Python has no os.setns before 3.12.
    if libc.setns(namespace, CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


if __name__ == "__main__":
    main()
