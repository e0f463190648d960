"""A directory as a target: files that a web server shows.

    PATH/staging/IMAGE_ID/   what a builder has written, out of sight
    PATH/images/IMAGE_ID/    the file, image.json, SHA256SUMS, SHA512SUMS

A rename leads from the first to the second, so all files of an image can be
had at once or none of them. Conductors and builders have PATH in the same
place.
"""

from collections.abc import Callable, Iterator, Mapping
import contextlib
import hashlib
import json
import os
import pathlib
import re
import shutil
import stat
import time
from typing import Any

from dib_service.publish import target

STAGING = "staging"
IMAGES = "images"
METADATA = "image.json"
SUMS = {"sha256": "SHA256SUMS", "sha512": "SHA512SUMS"}

# A builder's work until it is whole, and what is on its way out.
PARTIAL = ".part"
GONE = ".gone"

READ_BYTES = 1024 * 1024
FOR_EVER_SECONDS = 10 * 365 * 24 * 3600.0

_ID = re.compile(r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}")


class Directory(target.Target):
    """Images that become visible by a rename."""

    def __init__(
        self, name: str, path: str | pathlib.Path, *, url: str | None = None
    ) -> None:
        super().__init__(name)
        self._staging = pathlib.Path(path, STAGING)
        self._images = pathlib.Path(path, IMAGES)
        self._url = url

    def right(self) -> target.Right:
        """Where to write; the file system knows who may."""
        self._staging.mkdir(parents=True, exist_ok=True, mode=0o750)
        if not self._images.is_dir():
            self._images.mkdir(exist_ok=True)
            # The web server is another user, which our umask may not let in.
            self._images.chmod(0o755)
        return target.Right(
            "directory", str(self._staging), "", time.time() + FOR_EVER_SECONDS
        )

    def revoke(self, token: str) -> None:
        """There is none."""

    def get(self, image_id: str) -> target.Image | None:
        """The image, without a look at its bytes."""
        # At the end once more where it began: it may have been moved there
        # by another conductor in between.
        for folder in (self._images, self._staging, self._images):
            place = folder / image_id
            with contextlib.suppress(FileNotFoundError):
                file = place / _file_name(place)
                return _image(image_id, file, shown=folder == self._images)
        if not self._staging.is_dir():
            # Nothing has been lost, it is only not to be seen from here.
            raise FileNotFoundError(f"{self._staging} is not mounted here")
        return None

    def inspect(
        self, image_id: str, *, going_on: Callable[[], None] = lambda: None
    ) -> target.Image | None:
        """The image with its hash; its checksums are written down."""
        image = self.get(image_id)
        if image is None or not image.hidden:
            return image
        place = self._staging / image_id
        name = _file_name(place)
        digests = _digests(place / name, going_on)
        for algorithm, sums in SUMS.items():
            _write(place / sums, f"{digests[algorithm]}  {name}\n")
        return target.with_hash(image, "sha512", digests["sha512"])

    def give(self, image: target.Image, audience: target.Audience) -> None:
        """Whoever reaches the web server has it; not yet."""

    def show(self, image: target.Image, audience: target.Audience) -> None:
        """Move it where the web server looks."""
        staged = self._staging / image.id
        for path in staged.iterdir():
            path.chmod(0o644, follow_symlinks=False)
        staged.chmod(0o755)
        staged.rename(self._images / image.id)
        _to_disk(self._images)

    def shows(self, image: target.Image, audience: target.Audience) -> bool:
        """Whether it is there."""
        return not image.hidden

    def delete(self, image_id: str) -> bool:
        """Delete it; what was shown is gone at once, as it came."""
        _check_id(image_id)
        gone = self._staging / f"{image_id}{GONE}"
        found = False
        for path in (
            self._images / image_id,
            self._staging / image_id,
            self._staging / f"{image_id}{PARTIAL}",
            gone,
        ):
            if path.exists():
                found = True
                if path != gone:
                    shutil.rmtree(gone, ignore_errors=True)
                    path.rename(gone)
                shutil.rmtree(gone)
        return found

    def in_staging(self, image: target.Image) -> bool:
        """Whether it is out of sight."""
        return image.hidden

    def staged(self) -> Iterator[str]:
        """All that builders have begun to write."""
        if not self._staging.is_dir():
            return
        names = {path.name for path in self._staging.iterdir()}
        for name in sorted({name.partition(".")[0] for name in names}):
            if _ID.fullmatch(name):
                yield name

    def location(self, image_id: str) -> str | None:
        """Its address, or its path where no address is known."""
        place = self._images / image_id
        with contextlib.suppress(FileNotFoundError):
            name = _file_name(place)
            if self._url:
                return f"{self._url.rstrip('/')}/{image_id}/{name}"
            return str(place / name)
        return None


def file_name(name: str, format_: str) -> str:
    """What a file is called whose image has that name."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip(".-") or "image"
    return f"{plain[:200]}.{format_}"


def write_metadata(place: pathlib.Path, metadata: Mapping[str, Any]) -> None:
    """Say beside an image what Glance would say of it."""
    _write(place / METADATA, json.dumps(metadata, indent=2) + "\n")


def hand_over(place: pathlib.Path, like: pathlib.Path) -> None:
    """Let a conductor, which ``like`` belongs to, rename and show it all."""
    owner = like.stat()
    mode = stat.S_IMODE(owner.st_mode)
    for path in (place, *place.iterdir()):
        if os.geteuid() == 0:
            os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
        path.chmod(mode if path == place else mode & 0o660 | 0o440)


def _image(image_id: str, file: pathlib.Path, *, shown: bool) -> target.Image:
    status = file.lstat()
    return target.Image(
        id=image_id,
        # A link could lead to what is nobody's to see.
        status="active" if stat.S_ISREG(status.st_mode) else "no file",
        owner=None,
        visibility="public",
        hidden=not shown,
        protected=False,
        size=status.st_size,
        hash_algorithm="sha512",
        hash_value=None,
    )


def _file_name(place: pathlib.Path) -> str:
    """The name of the image's file.

    :raises FileNotFoundError: there is no such image.
    """
    try:
        name = str(json.loads((place / METADATA).read_text())["file"])
    except (ValueError, KeyError, TypeError) as error:
        raise OSError(f"{place / METADATA} is damaged") from error
    if name != pathlib.Path(name).name or name in ("", ".", ".."):
        raise OSError(f"{place / METADATA} names no file beside it")
    return name


def _digests(
    path: pathlib.Path, going_on: Callable[[], None]
) -> dict[str, str]:
    digests = {algorithm: hashlib.new(algorithm) for algorithm in SUMS}
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as stream:
        while piece := stream.read(READ_BYTES):
            for digest in digests.values():
                digest.update(piece)
            going_on()
    return {name: digest.hexdigest() for name, digest in digests.items()}


def _write(path: pathlib.Path, text: str) -> None:
    """The file as a whole, on the disk, or as it was."""
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    with new.open("x") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    new.rename(path)


def _to_disk(folder: pathlib.Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _check_id(image_id: str) -> None:
    if not _ID.fullmatch(image_id):
        raise OSError(f"{image_id!r} is no image id")
