"""A way to Glance on which uploads meet with accidents."""

from collections.abc import Callable, Iterator
import contextlib
import dataclasses
import json
import re
import socket
import struct
import threading
from typing import Any, Literal, Self

PIECE_BYTES = 16 * 1024
PATIENCE_SECONDS = 60.0

UPLOAD = re.compile(r"/v2/images/([^/]+)/file$")

REFUSAL = (
    b"HTTP/1.1 503 Service Unavailable\r\n"
    b"Content-Length: 9\r\nConnection: close\r\n\r\nnot today"
)

# Those that Glance outlives.
Harmless = Literal["cut", "refuse", "corrupt"]
Kind = Harmless | Literal["kill"]
Place = Literal["first", "middle", "last"]


@dataclasses.dataclass(frozen=True)
class Fault:
    """What happens to an upload when so much of it has gone through.

    cut: both sides lose their connection. refuse: Glance loses it, and the
    client is answered 503. corrupt: one byte becomes another. kill: Glance
    is killed, by the function that the proxy was given.
    """

    kind: Kind
    place: Place

    def offset(self, size: int) -> int:
        """How many bytes go through before it happens."""
        return {
            "first": min(PIECE_BYTES, size) // 2,
            "middle": size // 2,
            "last": size - 1,
        }[self.place]


@dataclasses.dataclass(frozen=True)
class Upload:
    """One upload as it came by; ``passed`` of ``size`` bytes went on."""

    name: str
    image_id: str
    fault: Fault | None
    passed: int
    size: int

    @property
    def meant(self) -> int:
        """How many bytes the fault lets through."""
        if self.fault is None or self.fault.kind == "corrupt":
            return self.size
        return self.fault.offset(self.size)


@dataclasses.dataclass(frozen=True)
class Request:
    """The beginning of a request; ``rest`` is what came of its body."""

    head: bytes
    rest: bytes
    method: str
    path: str
    length: int

    @classmethod
    def read(cls, client: socket.socket) -> Self:
        """The next one.

        :raises OSError: none came.
        """
        data = b""
        while b"\r\n\r\n" not in data:
            piece = client.recv(PIECE_BYTES)
            if not piece:
                raise ConnectionError("no request")
            data += piece
        head, rest = data.split(b"\r\n\r\n", 1)
        method, path, _ = head.split(b"\r\n")[0].decode().split(" ")
        length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
        return cls(
            head=head + b"\r\n\r\n",
            rest=rest,
            method=method,
            path=path,
            length=int(length[1]) if length else 0,
        )

    def body(self, client: socket.socket) -> Iterator[bytes]:
        """The body, as it comes."""
        piece, left = self.rest, self.length
        while left:
            piece = piece or client.recv(min(PIECE_BYTES, left))
            if not piece:
                raise ConnectionError("the client has gone")
            yield piece
            left -= len(piece)
            piece = b""


class Proxy:
    """Passes requests on to the Glance at ``port``; ``with`` runs it.

    ``faults`` has those of the images with that name: each upload takes the
    first that is left. ``kill`` is told the id of the image in whose upload
    Glance is to be killed.
    """

    def __init__(
        self, port: int, *, kill: Callable[[str], None] = lambda _: None
    ) -> None:
        self._port = port
        self._kill = kill
        self.faults: dict[str, list[Fault]] = {}
        self._uploads: list[Upload] = []
        self._names: dict[str, str] = {}
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        # Closing alone would not wake the thread that accepts.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def uploads_of(self, name: str) -> list[Upload]:
        """The uploads of images of that name, first to last."""
        with self._lock:
            return [each for each in self._uploads if each.name == name]

    def _listen(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(
                target=self._serve, args=(client,), daemon=True
            ).start()

    def _serve(self, client: socket.socket) -> None:
        """One request and its answer; then the connection is closed."""
        with client, contextlib.suppress(OSError):
            client.settimeout(PATIENCE_SECONDS)
            request = Request.read(client)
            with socket.create_connection(
                ("127.0.0.1", self._port), PATIENCE_SECONDS
            ) as glance:
                if self._pass_on(request, client, glance):
                    # The lab's servers close when they have answered.
                    while piece := glance.recv(PIECE_BYTES):
                        client.sendall(piece)

    def _pass_on(
        self, request: Request, client: socket.socket, glance: socket.socket
    ) -> bool:
        """Send the request on; False: there will be no answer to it."""
        glance.sendall(request.head)
        upload = UPLOAD.search(request.path)
        if request.method == "PUT" and upload:
            return self._upload(upload[1], request, client, glance)
        body = b"".join(request.body(client))
        if request.method == "POST" and request.path.endswith("/v2/images"):
            self._learn_name(body)
        glance.sendall(body)
        return True

    def _learn_name(self, body: bytes) -> None:
        image: dict[str, Any] = json.loads(body)
        with self._lock:
            self._names[image["id"]] = image["name"]

    def _upload(
        self,
        image_id: str,
        request: Request,
        client: socket.socket,
        glance: socket.socket,
    ) -> bool:
        name, fault = self._next_fault(image_id)
        passed = _send(request, client, glance, fault)
        with self._lock:
            self._uploads.append(
                Upload(name, image_id, fault, passed, request.length)
            )
        if fault is None or fault.kind == "corrupt":
            return True
        if fault.kind == "kill":
            self._kill(image_id)
        _break(glance)
        if fault.kind == "refuse":
            _refuse(client)
        else:
            _break(client)
        return False

    def _next_fault(self, image_id: str) -> tuple[str, Fault | None]:
        with self._lock:
            name = self._names.get(image_id, "")
            left = self.faults.get(name)
            return name, left.pop(0) if left else None


def _send(
    request: Request,
    client: socket.socket,
    glance: socket.socket,
    fault: Fault | None,
) -> int:
    """How many bytes of the body went on, as far as the fault let them."""
    end = fault.offset(request.length) if fault else request.length
    passed = 0
    # A Glance that takes no more has an answer for us all the same.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        for piece in request.body(client):
            if fault and passed <= end < passed + len(piece):
                at = end - passed
                if fault.kind != "corrupt":
                    glance.sendall(piece[:at])
                    return end
                other = bytes([piece[at] ^ 0xFF])
                piece = piece[:at] + other + piece[at + 1 :]
            glance.sendall(piece)
            passed += len(piece)
    return passed


def _break(side: socket.socket) -> None:
    """Close it as a network that fails does, with a reset."""
    side.setsockopt(
        socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
    )
    side.close()


def _refuse(client: socket.socket) -> None:
    client.sendall(REFUSAL)
    client.shutdown(socket.SHUT_WR)
    # With bytes left unread, closing would reset what we have just said.
    while client.recv(PIECE_BYTES):
        pass
