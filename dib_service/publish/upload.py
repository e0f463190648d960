"""The builder's side of Glance: an artefact's bytes into staging.

Plain HTTP and not the SDK, for one reason: the socket is ours, and a build
that is cancelled in the middle of ten gigabytes, or while Glance thinks
about them, ends at once.
"""

import abc
from collections.abc import Generator, Iterator, Mapping
import contextlib
import dataclasses
import hashlib
import http.client
import json
import os
import pathlib
import socket
import ssl
import stat
import threading
import time
from typing import Any, BinaryIO
import urllib.parse

CONNECT_SECONDS = 5.0
# Glance answers an upload when its store has taken all of it.
ANSWER_SECONDS = 600.0
CHUNK_BYTES = 1024 * 1024
ANSWER_BYTES = 1024 * 1024

# What Glance is at work on, or somebody who has died was.
BUSY = frozenset({"saving", "importing", "uploading"})
STUCK_TICK_SECONDS = 2.0

# There is such an image already; there is none any more.
MEANT = frozenset({("POST", 409), ("GET", 404)})

# What asking again with the same words cannot mend.
FINAL_STATUSES = frozenset({400, 405, 411, 415})


class Trouble(Exception):
    """Glance did not do it this time; asking again later may help."""


class Refused(Exception):
    """Glance will never take this upload; ``code`` is a stable word."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Lost(Exception):
    """That image id is of no use any more, and another one may be."""

    def __init__(self, code: str, image_id: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.image_id = image_id
        self.message = message


class Changed(Exception):
    """The artefact on this host's disk is not what the engine made."""


@dataclasses.dataclass(frozen=True)
class Image:
    """The image to make in the staging project.

    ``min_disk`` in GiB, ``min_ram`` in MiB.
    """

    id: str
    name: str
    disk_format: str
    container_format: str
    properties: Mapping[str, str]
    min_disk: int
    min_ram: int = 0
    tags: tuple[str, ...] = ()
    format: str = ""


@dataclasses.dataclass(frozen=True)
class Source:
    """The file whose bytes go there, as the engine described it."""

    path: pathlib.Path
    size: int
    sha512: str


class Staging(abc.ABC):
    """Where images are staged, for as long as a grant lasts."""

    @abc.abstractmethod
    def upload(self, image: Image, source: Source) -> None:
        """Image and bytes are there, checked; repeating is harmless.

        :raises Trouble: not this time.
        :raises Refused: not ever.
        :raises Lost: not under that id.
        :raises Changed: the file is not what it was.
        """

    @abc.abstractmethod
    def close(self) -> None:
        """End whatever is under way; may be called from any thread."""


class Glance(Staging):
    """One Glance, spoken to with one token.

    An image that is busy for longer than ``stuck_seconds`` while nobody
    sends anything will be so for ever: whoever was at work has died.
    """

    def __init__(
        self,
        endpoint: str,
        token: str,
        *,
        cafile: str | None = None,
        stuck_seconds: float = 30.0,
    ) -> None:
        self._url = urllib.parse.urlsplit(endpoint)
        self._token = token
        self._cafile = cafile
        self._lock = threading.Lock()
        self._stuck_seconds = stuck_seconds
        self._closed = threading.Event()
        self._socket: socket.socket | None = None

    def upload(self, image: Image, source: Source) -> None:
        """Image and bytes are in Glance, checked; repeating is harmless."""
        state = self._settled(image, self._create(image))
        if state["status"] == "queued":
            self._put(image, source)
            state = self._settled(image, self._show(image))
        if state["status"] == "queued":
            raise Trouble(f"image {image.id} is {state['status']}")
        if state["status"] != "active":
            raise Lost(
                "glance-image-lost",
                image.id,
                f"image {image.id} is {state['status']} in Glance, and an "
                "image id cannot be used twice",
            )
        _check(image, state, source)

    def close(self) -> None:
        """End whatever is under way."""
        self._closed.set()
        with self._lock:
            if self._socket is not None:
                # Not SSLSocket's own, which would pull the TLS state from
                # under the thread that is reading.
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def _create(self, image: Image) -> Mapping[str, Any]:
        """The image as Glance has it, made if it was not there yet."""
        status, state = self._ask(
            "POST",
            "/v2/images",
            json.dumps(
                {
                    **image.properties,
                    "id": image.id,
                    "name": image.name,
                    "disk_format": image.disk_format,
                    "container_format": image.container_format,
                    "min_disk": image.min_disk,
                    "min_ram": image.min_ram,
                    "tags": list(image.tags),
                    "visibility": "private",
                    "os_hidden": True,
                }
            ).encode(),
        )
        # An earlier try of ours: nobody else knows the id.
        return self._show(image) if status == 409 else _image_in(state)

    def _settled(
        self, image: Image, state: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """The image once Glance is no longer at work on it.

        :raises Lost: it never will be.
        """
        deadline = time.monotonic() + self._stuck_seconds
        while state["status"] in BUSY:
            if time.monotonic() > deadline:
                raise Lost(
                    "glance-image-stuck",
                    image.id,
                    f"image {image.id} has been {state['status']} in Glance "
                    f"for {self._stuck_seconds:.0f} s, and nobody sends it "
                    "anything",
                )
            if self._closed.wait(min(STUCK_TICK_SECONDS, self._stuck_seconds)):
                raise Trouble("the upload has been ended")
            state = self._show(image)
        return state

    def _show(self, image: Image) -> Mapping[str, Any]:
        status, state = self._ask("GET", f"/v2/images/{image.id}")
        if status == 404:
            raise Lost(
                "glance-image-lost",
                image.id,
                f"image {image.id} has been deleted from Glance, and an "
                "image id cannot be used twice",
            )
        return _image_in(state)

    def _put(self, image: Image, source: Source) -> None:
        with contextlib.closing(pieces_of(source)) as pieces:
            self._ask(
                "PUT",
                f"/v2/images/{image.id}/file",
                pieces,
                {
                    "Content-Type": "application/octet-stream",
                    "Content-Length": str(source.size),
                },
            )

    def _ask(
        self,
        method: str,
        path: str,
        body: bytes | Iterator[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, Mapping[str, Any]]:
        """Status and JSON of an answer that is fine, or has a meaning here.

        :raises Trouble: no answer, or one that may change.
        :raises Refused: an answer that will not.
        """
        try:
            with self._connected() as connection:
                status, data = self._exchange(
                    connection, method, path, body, headers or {}
                )
        except (OSError, http.client.HTTPException) as exc:
            raise Trouble(
                f"{method} {path}: {type(exc).__name__}: {exc}"
            ) from exc
        if (method, status) in MEANT:
            return status, {}
        if status >= 300:
            said = f"{method} {path} was answered {status}: {_said(data)}"
            if status in FINAL_STATUSES:
                raise Refused("glance-refused", said)
            raise Trouble(said)
        try:
            return status, json.loads(data) if data else {}
        except ValueError as exc:
            raise Trouble(f"{method} {path}: not JSON: {data[:80]!r}") from exc

    def _exchange(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        body: bytes | Iterator[bytes] | None,
        headers: Mapping[str, str],
    ) -> tuple[int, bytes]:
        credential = {"X-Auth-Token": self._token} if self._token else {}
        # A Glance that refuses (413) answers before it has read it all, and
        # hangs up: the answer is there all the same.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.request(
                method,
                self._url.path.rstrip("/").removesuffix("/v2") + path,
                body,
                {
                    "Content-Type": "application/json",
                    "Accept": "application/json",
                    "Connection": "close",
                    **credential,
                    **headers,
                },
            )
        answer = connection.getresponse()
        return answer.status, answer.read(ANSWER_BYTES)

    @contextlib.contextmanager
    def _connected(self) -> Iterator[http.client.HTTPConnection]:
        connection = self._connection()
        try:
            connection.connect()
            connection.sock.settimeout(ANSWER_SECONDS)
            with self._lock:
                if self._closed.is_set():
                    raise Trouble("the upload has been ended")
                self._socket = connection.sock
            yield connection
        finally:
            with self._lock:
                self._socket = None
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        host = self._url.hostname or ""
        if self._url.scheme == "https":
            return http.client.HTTPSConnection(
                host,
                self._url.port,
                timeout=CONNECT_SECONDS,
                context=ssl.create_default_context(cafile=self._cafile),
            )
        return http.client.HTTPConnection(
            host, self._url.port, timeout=CONNECT_SECONDS
        )


@contextlib.contextmanager
def _opened(source: Source) -> Iterator[BinaryIO]:
    """The file, if it is a file: strangers' code has been where it lies."""
    try:
        descriptor = os.open(
            source.path,
            os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK,
        )
    except OSError as exc:
        raise Changed(str(exc)) from exc
    with os.fdopen(descriptor, "rb") as stream:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size != source.size:
            raise Changed(f"{source.path.name} is not {source.size} bytes")
        yield stream


def pieces_of(source: Source) -> Generator[bytes]:
    """The bytes; the last of them only when all are the right ones.

    So nobody ever holds an image that differs from what was built.

    :raises Changed: they are not.
    """
    with _opened(source) as stream:
        yield from _pieces(stream, source)


def _pieces(stream: BinaryIO, source: Source) -> Iterator[bytes]:
    digest = hashlib.sha512()
    left = source.size
    while left:
        piece = stream.read(min(CHUNK_BYTES, left))
        digest.update(piece)
        left -= len(piece)
        if not piece or (not left and digest.hexdigest() != source.sha512):
            raise Changed(f"{source.path.name} has other bytes than before")
        yield piece


def _check(image: Image, state: Mapping[str, Any], source: Source) -> None:
    """Compare with what Glance says it holds.

    :raises Lost: it holds something else.
    """
    wrong = state.get("size") != source.size
    if state.get("os_hash_algo") == "sha512":
        wrong = wrong or state.get("os_hash_value") != source.sha512
    if wrong:
        raise Lost(
            "glance-wrong-bytes",
            image.id,
            f"image {image.id} in Glance has other bytes than were sent",
        )


def _image_in(state: object) -> Mapping[str, Any]:
    """The answer, if it is an image.

    :raises Trouble: something else than Glance has answered.
    """
    if not isinstance(state, dict) or "status" not in state:
        raise Trouble("what answers in Glance's place shows no image")
    return state


def _said(data: bytes) -> str:
    """The human part of an error's body, on one line."""
    text = data[:400].decode(errors="replace")
    return " ".join(text.split()) or "(nothing more)"
