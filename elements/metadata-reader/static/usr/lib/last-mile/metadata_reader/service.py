"""The metadata service, which answers at a link-local address."""

from __future__ import annotations

from collections.abc import Callable
import http.client
import time
import urllib.error
import urllib.request

from metadata_reader import data

URL = "http://169.254.169.254/openstack/latest/"
SOURCE = "metadata-service"

ANSWER_SECONDS = 10.0
PAUSE_SECONDS = 2.0
# A service that is busy says so by these.
LATER = (408, 425, 429, 500, 502, 503, 504)


class Unanswered(Exception):
    """Nobody answers, or not yet."""


def read(
    seconds: float,
    tell: Callable[[str], object] = lambda line: None,
    url: str = URL,
) -> data.Metadata | None:
    """What the service says; nothing if none answers within so many seconds.

    :raises data.Unreadable: what it says is no use.
    """
    end = time.monotonic() + seconds
    last = ""
    while True:
        try:
            return data.gather(SOURCE, lambda name: file(url, name))
        except Unanswered as exc:
            if str(exc) != last:
                last = str(exc)
                tell(f"{url}: {last}")
        if time.monotonic() + PAUSE_SECONDS > end:
            return None
        time.sleep(PAUSE_SECONDS)


def file(url: str, name: str) -> bytes | None:
    """One file's content; nothing where the service has none.

    :raises Unanswered: it may be there later, as what is about this machine.
    """
    found = fetched(url + name)
    if found is None and name == "meta_data.json":
        # Neutron's proxy says so while it does not know the port yet.
        raise Unanswered("has nothing for this machine")
    return found


def fetched(url: str) -> bytes | None:
    """One file's content; nothing where the service has none.

    :raises Unanswered: it may be there later.
    :raises data.Unreadable: it is there and no use.
    """
    # Whatever proxy this machine has: it does not lead to a link's own host.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=ANSWER_SECONDS) as answer:
            found = whole(answer)
    except urllib.error.HTTPError as exc:
        if exc.code in LATER:
            raise Unanswered(f"answers {exc.code}") from None
        return None
    except (OSError, http.client.HTTPException) as exc:
        reason = getattr(exc, "reason", exc)
        raise Unanswered(data.shown(reason)) from None
    if len(found) > data.LONGEST:
        raise data.Unreadable(f"{url} is longer than anybody's")
    return found


def whole(answer: http.client.HTTPResponse) -> bytes:
    """All of an answer, or what is too long of it.

    :raises Unanswered: it does not come to its end.
    """
    # The socket's own deadline begins anew with each byte.
    end = time.monotonic() + ANSWER_SECONDS
    found = b""
    while len(found) <= data.LONGEST:
        piece = answer.read1(1 << 16)
        if not piece:
            break
        found += piece
        if time.monotonic() > end:
            raise Unanswered("is too slow")
    else:
        return found
    if answer.length:
        raise Unanswered("ends in the middle")
    return found
