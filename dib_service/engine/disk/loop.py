"""Loop devices that end with whoever holds them, even by SIGKILL."""

from collections.abc import Iterator, Mapping
import contextlib
import ctypes
import dataclasses
import errno
import fcntl
import os
from pathlib import Path
import stat

from dib_service.engine import errors
from dib_service.engine.sizes import Span

# <linux/loop.h>
LOOP_CONFIGURE = 0x4C0A
LOOP_CTL_GET_FREE = 0x4C82
LO_FLAGS_AUTOCLEAR = 4
LO_FLAGS_PARTSCAN = 8
LOOP_MAJOR = 7

# <linux/fs.h>: forget what the kernel remembers of a block device.
BLKFLSBUF = 0x1261

# <linux/blkpg.h>: tell the kernel of a partition, whatever it can read.
BLKPG = 0x1269
BLKPG_ADD_PARTITION = 1
BLKPG_DEL_PARTITION = 2

# Between "this one is free" and taking it, another may be faster.
ATTEMPTS = 100


@dataclasses.dataclass(frozen=True)
class LoopDevice:
    """A part of a file as a block device, for as long as ``fd`` is open."""

    path: Path
    fd: int

    @property
    def size(self) -> int:
        """The bytes that it has."""
        return os.lseek(self.fd, 0, os.SEEK_END)

    def flush(self) -> None:
        """Write what is dirty and forget what is cached.

        Two loop devices over one file do not see through each other's
        cache: what was written to one is read from the other only after
        both were flushed.

        :raises OSError: the data did not reach the file.
        """
        os.fsync(self.fd)
        fcntl.ioctl(self.fd, BLKFLSBUF)


@contextlib.contextmanager
def loop_device(
    file: Path,
    *,
    offset: int = 0,
    size: int = 0,
    block_size: int = 512,
) -> Iterator[LoopDevice]:
    """``size`` bytes of ``file`` from ``offset`` on (0: to its end).

    The kernel takes the device down by itself when the last who has it
    open is gone: a mount and we, here. No clean-up has to run for that.

    :raises errors.LoopError: there is no loop device to be had.
    """
    backing = os.open(file, os.O_RDWR | os.O_CLOEXEC)
    try:
        device = _attached(backing, file, offset, size, block_size)
    finally:
        # The kernel holds the file by itself from here on.
        os.close(backing)
    try:
        yield device
    finally:
        os.close(device.fd)


@contextlib.contextmanager
def partitions(
    disk: LoopDevice,
    file: Path,
    parts: Mapping[str, Span],
    *,
    block_size: int = 512,
) -> Iterator[Mapping[str, LoopDevice]]:
    """A device for each part of the disk that ``file`` is.

    They are the disk's own partitions (/dev/loop0p1), by which a boot
    loader sees where it is; or, where the kernel makes none, loop devices
    over the same bytes. Either way they end as the disk does.

    :raises errors.LoopError: there is no device to be had.
    """
    with contextlib.ExitStack() as stack:
        try:
            found = {
                name: stack.enter_context(_partition(disk, part))
                for name, part in parts.items()
            }
        except OSError:
            # What cannot be had for one cannot for the others.
            stack.close()
            found = {
                name: stack.enter_context(
                    loop_device(
                        file,
                        offset=part.offset,
                        size=part.size,
                        block_size=block_size,
                    )
                )
                for name, part in parts.items()
            }
        yield found


@contextlib.contextmanager
def _partition(disk: LoopDevice, part: Span) -> Iterator[LoopDevice]:
    """One partition that the kernel knows, and its node.

    :raises OSError: this kernel, or this container, lets us make none.
    """
    _add(disk, part)
    try:
        path = _partition_node(disk, part.number)
        try:
            # For as long as it is open, nobody can have the kernel read the
            # table again, which is how it forgets its partitions.
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            try:
                yield LoopDevice(path, fd)
            finally:
                os.close(fd)
        finally:
            # devtmpfs forgets the name by itself, ours does not.
            with contextlib.suppress(OSError):
                path.unlink()
    finally:
        # Whoever still has it open keeps it; it goes with the disk then.
        with contextlib.suppress(OSError):
            _tell(disk, BLKPG_DEL_PARTITION, part)


def _add(disk: LoopDevice, part: Span) -> None:
    try:
        _tell(disk, BLKPG_ADD_PARTITION, part)
    except OSError as exc:
        if exc.errno != errno.EBUSY:
            raise
        # The partitioner had the kernel read its table; the host's udev may
        # be looking at what it found, and then it cannot be replaced.
        if not _is_there(disk, part):
            _tell(disk, BLKPG_DEL_PARTITION, part)
            _tell(disk, BLKPG_ADD_PARTITION, part)


def _is_there(disk: LoopDevice, part: Span) -> bool:
    place = _in_sysfs(disk, part.number)
    found = [int((place / name).read_text()) for name in ("start", "size")]
    # In sectors of 512, whatever the disk has.
    return found == [part.offset // 512, part.size // 512]


def _in_sysfs(disk: LoopDevice, number: int) -> Path:
    name = disk.path.name
    return Path(f"/sys/block/{name}/{name}p{number}")


def _tell(disk: LoopDevice, what: int, part: Span) -> None:
    """Add or remove a partition.

    :raises OSError: the kernel would not.
    """
    told = _BlkpgPartition(part.offset, part.size, part.number)
    fcntl.ioctl(
        disk.fd,
        BLKPG,
        _BlkpgArgument(what, 0, ctypes.sizeof(told), ctypes.addressof(told)),
    )


def _partition_node(disk: LoopDevice, number: int) -> Path:
    """The node of a partition, made where devtmpfs does not make it."""
    place = _in_sysfs(disk, number)
    major, _, minor = (place / "dev").read_text().strip().partition(":")
    device = os.makedev(int(major), int(minor))
    path = Path("/dev") / place.name
    with contextlib.suppress(FileNotFoundError):
        if path.stat().st_rdev == device:
            return path
        # Of a partition that is no more.
        path.unlink()
    os.mknod(path, stat.S_IFBLK | 0o660, device)
    return path


class _BlkpgPartition(ctypes.Structure):
    """``struct blkpg_partition``."""

    _fields_ = (
        ("start", ctypes.c_longlong),
        ("length", ctypes.c_longlong),
        ("pno", ctypes.c_int),
        ("devname", ctypes.c_char * 64),
        ("volname", ctypes.c_char * 64),
    )


class _BlkpgArgument(ctypes.Structure):
    """``struct blkpg_ioctl_arg``."""

    _fields_ = (
        ("op", ctypes.c_int),
        ("flags", ctypes.c_int),
        ("datalen", ctypes.c_int),
        ("data", ctypes.c_void_p),
    )


class _Info(ctypes.Structure):
    """``struct loop_info64``."""

    _fields_ = (
        ("lo_device", ctypes.c_uint64),
        ("lo_inode", ctypes.c_uint64),
        ("lo_rdevice", ctypes.c_uint64),
        ("lo_offset", ctypes.c_uint64),
        ("lo_sizelimit", ctypes.c_uint64),
        ("lo_number", ctypes.c_uint32),
        ("lo_encrypt_type", ctypes.c_uint32),
        ("lo_encrypt_key_size", ctypes.c_uint32),
        ("lo_flags", ctypes.c_uint32),
        ("lo_file_name", ctypes.c_char * 64),
        ("lo_crypt_name", ctypes.c_char * 64),
        ("lo_encrypt_key", ctypes.c_uint8 * 32),
        ("lo_init", ctypes.c_uint64 * 2),
    )


class _Config(ctypes.Structure):
    """``struct loop_config``."""

    _fields_ = (
        ("fd", ctypes.c_uint32),
        ("block_size", ctypes.c_uint32),
        ("info", _Info),
        ("reserved", ctypes.c_uint64 * 8),
    )


def _attached(
    backing: int, file: Path, offset: int, size: int, block_size: int
) -> LoopDevice:
    config = _Config(fd=backing, block_size=block_size)
    config.info.lo_offset = offset
    config.info.lo_sizelimit = size
    # Without the second the kernel takes no partition from us.
    config.info.lo_flags = LO_FLAGS_AUTOCLEAR | LO_FLAGS_PARTSCAN
    config.info.lo_file_name = os.fsencode(file)[:63]
    for _ in range(ATTEMPTS):
        path = _node(_free_number())
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            # One call that takes the device and marks it for its end: with
            # LOOP_SET_FD first and the flag after it, a kill between the
            # two would leave the device behind.
            fcntl.ioctl(fd, LOOP_CONFIGURE, config)
        except OSError as exc:
            os.close(fd)
            if exc.errno != errno.EBUSY:
                raise errors.LoopError(file, exc) from exc
        except BaseException:
            os.close(fd)
            raise
        else:
            return LoopDevice(path, fd)
    raise errors.LoopError(file, OSError(errno.EBUSY, "all were taken"))


def _free_number() -> int:
    try:
        control = os.open("/dev/loop-control", os.O_RDWR | os.O_CLOEXEC)
    except OSError as exc:
        raise errors.LoopError(Path("/dev/loop-control"), exc) from exc
    try:
        return fcntl.ioctl(control, LOOP_CTL_GET_FREE)
    except OSError as exc:
        raise errors.LoopError(Path("/dev/loop-control"), exc) from exc
    finally:
        os.close(control)


def _node(number: int) -> Path:
    """The device node of a loop device, made where nobody else makes it."""
    # In a container /dev is not devtmpfs and there is no udev: the kernel
    # adds the ninth device, and nobody adds its name.
    path = Path(f"/dev/loop{number}")
    with contextlib.suppress(FileExistsError):
        os.mknod(path, stat.S_IFBLK | 0o660, os.makedev(LOOP_MAJOR, number))
    return path
