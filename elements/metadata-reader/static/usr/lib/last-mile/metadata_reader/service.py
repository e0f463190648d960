"""The metadata service, which answers at a link-local address."""

from __future__ import annotations

from collections.abc import Callable
import functools
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


# It has no such file. Of any other answer nobody can say that.
NONE = (404, 410)


class Unanswered(Exception):
    """Nobody answers, or not yet."""


class Incomplete(Unanswered):
    """It knows this machine, and does not say all about it yet."""


def read(
    seconds: float,
    tell: Callable[[str], object] = lambda line: None,
    url: str = URL,
) -> data.Metadata | None:
    """What the service says; nothing if none answers within so many seconds.

    What else is said of a machine that is known may not come in that time:
    it is broken then.

    :raises data.Unreadable: what it says is no use.
    """
    end = time.monotonic() + seconds
    last = ""
    patient = True
    while True:
        fetch = functools.partial(file, url, patient=patient)
        try:
            return data.gather(SOURCE, fetch)
        except Unanswered as exc:
            patient = not isinstance(exc, Incomplete)
            if str(exc) != last:
                last = str(exc)
                tell(f"{url}: {last}")
        if time.monotonic() + PAUSE_SECONDS <= end:
            patient = True
            time.sleep(PAUSE_SECONDS)
        elif patient:
            return None


def file(url: str, name: str, *, patient: bool = True) -> bytes | None:
    """One file's content; nothing where the service has none.

    :raises Unanswered: it may be there later, as what is about this machine.
    :raises ValueError: it is there, and not for us; or nobody is patient.
    """
    try:
        found = fetched(url + name)
    except (Unanswered, ValueError) as exc:
        if name == data.MACHINE:
            raise Unanswered(str(exc)) from None
        if patient and isinstance(exc, Unanswered):
            raise Incomplete(f"{name} {exc}") from None
        raise ValueError(str(exc)) from None
    if found is None and name == data.MACHINE:
        # Neutron's proxy says so while it does not know the port yet.
        raise Unanswered("has nothing for this machine")
    return found


def fetched(url: str) -> bytes | None:
    """One file's content; nothing where the service has none.

    :raises Unanswered: it may be there later.
    :raises ValueError: it is there, and not for us.
    :raises data.Unreadable: it is there and no use.
    """
    # Whatever proxy this machine has: it does not lead to a link's own host.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=ANSWER_SECONDS) as answer:
            found = whole(answer)
    except urllib.error.HTTPError as exc:
        if exc.code in NONE:
            return None
        kind = Unanswered if exc.code in LATER else ValueError
        raise kind(f"answers {exc.code}") from None
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
