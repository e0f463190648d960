"""What the service may answer: each error has its HTTP status and facts."""

from typing import Any, ClassVar


class DibServiceError(Exception):
    """The base of every error that may reach a caller of the API.

    ``code`` is the HTTP status, ``title`` its short name; keyword facts stay
    readable as ``facts``.
    """

    code: ClassVar[int] = 500
    title: ClassVar[str] = "Internal Server Error"

    def __init__(self, message: str, **facts: Any) -> None:
        super().__init__(message)
        self.message = message
        self.facts = facts


class BadRequest(DibServiceError):
    """The request itself is wrong."""

    code = 400
    title = "Bad Request"


class Unauthorized(DibServiceError):
    """Nobody is known to ask."""

    code = 401
    title = "Unauthorized"


class Forbidden(DibServiceError):
    """The policy says no."""

    code = 403
    title = "Forbidden"


class NotFound(DibServiceError):
    """There is no such thing, or none that the caller may see."""

    code = 404
    title = "Not Found"

    def __init__(self, noun: str, name: str) -> None:
        super().__init__(f"{noun} {name} not found", noun=noun, name=name)


class Conflict(DibServiceError):
    """The thing is not in a state that allows this."""

    code = 409
    title = "Conflict"


class BuildExists(Conflict):
    """The client's UUID already names a build."""

    def __init__(self, build_id: str) -> None:
        super().__init__(f"build {build_id} already exists", build_id=build_id)
        self.build_id = build_id


class StateConflict(Conflict):
    """Somebody else moved the build first."""

    def __init__(self, build_id: str, *, expected: str) -> None:
        super().__init__(
            f"build {build_id} is no longer {expected}",
            build_id=build_id,
            expected=expected,
        )


class StaleClaim(DibServiceError):
    """The lease, the epoch or the secret of a builder's call is not live."""

    code = 409
    title = "Conflict"


class Unavailable(DibServiceError):
    """Something that the answer needs cannot be reached now."""

    code = 503
    title = "Service Unavailable"
