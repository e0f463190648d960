"""The builder's side of a directory: an artefact's bytes into staging."""

import contextlib
import os
import pathlib
import shutil
import threading

from dib_service.publish import directory
from dib_service.publish.upload import (
    Image,
    Source,
    Staging,
    Trouble,
    pieces_of,
)


class Directory(Staging):
    """The staging folder of one directory."""

    def __init__(self, staging: str) -> None:
        self._staging = pathlib.Path(staging)
        self._closed = threading.Event()

    def upload(self, image: Image, source: Source) -> None:
        """The image's folder is there, whole; repeating is harmless.

        :raises Trouble: not this time.
        :raises Changed: the file is not what it was.
        """
        place = self._staging / image.id
        partial = self._staging / f"{image.id}{directory.PARTIAL}"
        try:
            if place.exists():
                # It got its name when it was whole.
                return
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(mode=0o700)
            name = directory.file_name(image.name, image.format)
            self._copy(source, partial / name)
            directory.write_metadata(partial, _metadata(image, source, name))
            directory.hand_over(partial, self._staging)
            partial.rename(place)
        except OSError as exc:
            # Its name may be nobody's business but the operator's.
            raise Trouble(
                f"{type(exc).__name__}: {os.strerror(exc.errno or 0)}"
            ) from exc

    def close(self) -> None:
        """End it; may be called from any thread."""
        self._closed.set()

    def _copy(self, source: Source, file: pathlib.Path) -> None:
        with (
            contextlib.closing(pieces_of(source)) as pieces,
            file.open("xb") as stream,
        ):
            for piece in pieces:
                if self._closed.is_set():
                    raise Trouble("the upload has been ended")
                stream.write(piece)
            stream.flush()
            os.fsync(stream.fileno())


def _metadata(image: Image, source: Source, name: str) -> dict[str, object]:
    """What Glance would say of it, in Glance's words."""
    return {
        **image.properties,
        "id": image.id,
        "name": image.name,
        "file": name,
        "disk_format": image.disk_format,
        "container_format": image.container_format,
        "min_disk": image.min_disk,
        "min_ram": image.min_ram,
        "tags": list(image.tags),
        "size": source.size,
        "os_hash_algo": "sha512",
        "os_hash_value": source.sha512,
    }
