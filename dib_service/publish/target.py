"""What a place where images are published can do; one file for each kind.

What goes there is staged first, where nobody sees it, by a builder with a
right of its own. Only a conductor shows it, and each of its steps may be
repeated by another one.
"""

import abc
from collections.abc import Callable, Iterator
import dataclasses

from keystoneauth1 import exceptions as ksa_exc


class Misconfigured(Exception):
    """The operator's options for a target lead nowhere."""


# What is said when the target or the way to it is down, and when it is up
# and says something else than what was asked for.
ERRORS = (ksa_exc.ClientException, OSError, Misconfigured)

# The member of an image that stands for the bare-metal service's project.
BARE_METAL = "baremetal"


@dataclasses.dataclass(frozen=True)
class Image:
    """An image as its target has it."""

    id: str
    status: str
    owner: str | None
    visibility: str
    hidden: bool
    protected: bool
    size: int | None
    hash_algorithm: str | None
    hash_value: str | None


def with_hash(image: Image, algorithm: str, value: str) -> Image:
    """The image, once its bytes were read."""
    return dataclasses.replace(
        image, hash_algorithm=algorithm, hash_value=value
    )


@dataclasses.dataclass(frozen=True)
class Audience:
    """Whom an image is for; ``owner`` is the project that asked for it."""

    owner: str
    visibility: str
    members: tuple[str, ...] = ()
    protected: bool = False


@dataclasses.dataclass(frozen=True)
class Right:
    """What a builder needs to stage an image, for a while.

    ``kind`` says what the endpoint is: ``glance`` or ``directory``.
    """

    kind: str
    endpoint: str
    token: str
    expires_at: float


class Target(abc.ABC):
    """One place; every method may raise one of ERRORS."""

    def __init__(self, name: str) -> None:
        self.name = name

    @abc.abstractmethod
    def right(self) -> Right:
        """A new right to stage images."""

    @abc.abstractmethod
    def revoke(self, token: str) -> None:
        """End a right before its time, if that can be done."""

    @abc.abstractmethod
    def get(self, image_id: str) -> Image | None:
        """The image, staged or shown; None when there is none."""

    def inspect(
        self, image_id: str, *, going_on: Callable[[], None] = lambda: None
    ) -> Image | None:
        """The same, with the hash of its bytes; may take long.

        Where it does, it calls ``going_on`` again and again.
        """
        return self.get(image_id)

    @abc.abstractmethod
    def give(self, image: Image, audience: Audience) -> None:
        """Make it theirs whom it is for, and still show it to nobody."""

    @abc.abstractmethod
    def show(self, image: Image, audience: Audience) -> None:
        """Let them see it."""

    @abc.abstractmethod
    def shows(self, image: Image, audience: Audience) -> bool:
        """Whether they have it, as it was asked for."""

    @abc.abstractmethod
    def delete(self, image_id: str) -> bool:
        """Delete it, whoever has it; False when there was none."""

    @abc.abstractmethod
    def in_staging(self, image: Image) -> bool:
        """Whether nobody has got it yet."""

    @abc.abstractmethod
    def staged(self) -> Iterator[str]:
        """The ids of all that is in staging, whoever has put it there."""

    def location(self, image_id: str) -> str | None:
        """Where the image that is shown can be had; None: by its id."""
        return None
