"""The place that a disk is written to: what it is, whether it may be written, and how a new image comes to be.

A new image is written beside its final name and renamed, so that nobody ever sees half of one. An existing image or
device is opened for installing only if nothing on this host uses it.
"""

import contextlib
import errno
import io
import os
import secrets
import stat
import sys
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Final

from bootslang.errors import BootslangError, ImageInvalid, NoRoom, TargetRefused
from bootslang.image import in_use
from bootslang.image.medium import FileMedium

_NO_SPACE: Final = frozenset({errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)})
_BLKSSZGET: Final = 0x1268
"""ioctl of Linux: the logical sector size of a block device, in bytes."""


class Kind(Enum):
    """What stands at the path of a disk."""

    NEW = "new image"
    IMAGE = "image"
    DEVICE = "block device"


def classify(path: Path) -> Kind:
    """Tell what `path` names.

    Raises:
        TargetRefused: If it is nothing that a disk can be.

    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        _check_new(path)
        return Kind.NEW
    except (OSError, ValueError) as error:
        raise _unusable(path, error) from error
    if stat.S_ISREG(mode):
        return Kind.IMAGE
    if stat.S_ISBLK(mode):
        return Kind.DEVICE
    what = "a directory" if stat.S_ISDIR(mode) else "neither a file nor a block device"
    raise TargetRefused(f"{path} is {what}.", hint="Name an image file, existing or not, or a block device.")


def _check_new(path: Path) -> None:
    if path.is_symlink():
        raise TargetRefused(
            f"{path} is a symbolic link to {path.readlink()}, which does not exist.", hint="Name the file itself."
        )
    if not path.parent.is_dir():
        raise TargetRefused(f"{path} cannot be made: {path.parent} is no directory.", hint="Make the directory first.")


def _unusable(path: Path, error: OSError | ValueError) -> BootslangError:
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return TargetRefused(f"{path} cannot be used: {reason}.")


@contextlib.contextmanager
def new_image(path: Path) -> Iterator[tuple[io.FileIO, Path]]:
    """A file beside `path` to write to, and its name; at the end it is flushed and renamed, on any error removed.

    Raises:
        NoRoom: When the host's disk is full.

    """
    beside = path.with_name(f".bootslang-{secrets.token_hex(8)}.tmp")
    try:
        descriptor = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    except OSError as error:
        raise _unusable(path, error) from error
    try:
        with _named_errors(path), io.FileIO(descriptor, "r+") as file:
            yield file, beside
            os.fsync(descriptor)
        with _named_errors(path):
            beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def new_file(path: Path, size: int) -> Iterator[FileMedium]:
    """A file of `size` bytes that is no disk, to be written; one that is there is replaced, when all is written.

    Raises:
        TargetRefused: If something else than a file is there.

    """
    if classify(path) is Kind.DEVICE:
        raise TargetRefused(f"{path} is a block device.", hint="Name a file, existing or not.")
    with new_image(path) as (file, _beside):
        file.truncate(size)
        yield FileMedium(file, size, name=path, fresh=True)


@contextlib.contextmanager
def existing_disk(path: Path, kind: Kind, sector_size: int | None) -> Iterator[tuple[FileMedium, int | None]]:
    """Open an image or device for installing, and tell its sector size where that is known.

    Raises:
        TargetRefused: When it is in use or cannot be written.

    """
    in_use.refuse_if_used(path)
    exclusive = os.O_EXCL if kind is Kind.DEVICE else 0
    try:
        descriptor = os.open(path, os.O_RDWR | exclusive | getattr(os, "O_BINARY", 0))
    except OSError as error:
        if error.errno == errno.EBUSY:
            raise TargetRefused(
                f"{path} is in use.", hint="Unmount its file systems, and stop what uses it."
            ) from error
        raise _unusable(path, error) from error
    with _named_errors(path), io.FileIO(descriptor, "r+") as file:
        _lock(file, path)
        size = file.seek(0, os.SEEK_END)
        if kind is Kind.DEVICE:
            actual = device_sector_size(file)
            if sector_size not in {None, actual}:
                raise TargetRefused(f"{path} has sectors of {actual} bytes, not of {sector_size}.")
            sector_size = actual
        yield FileMedium(file, size, name=path, device=kind is Kind.DEVICE), sector_size


def device_sector_size(file: io.FileIO) -> int:
    """The logical sector size of a block device, in bytes; 512 where it cannot be asked for."""
    if sys.platform != "linux":
        return 512
    import fcntl

    answer = fcntl.ioctl(file.fileno(), _BLKSSZGET, bytes(4))
    return int.from_bytes(answer, sys.byteorder)


def _lock(file: io.FileIO, path: Path) -> None:
    """Keep a second `build` (and udev's probing, on a device) away while this one writes."""
    if sys.platform == "win32":
        return
    import fcntl

    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise TargetRefused(f"{path} is being written by another program.", hint="Wait until it is done.") from error


@contextlib.contextmanager
def _named_errors(path: Path) -> Iterator[None]:
    """Turn what the operating system refuses into our errors."""
    try:
        yield
    except OSError as error:
        if error.errno in _NO_SPACE:
            raise NoRoom(
                f"{path} cannot be written: {error.strerror}.", hint="Make room on the host's disk, and try again."
            ) from error
        raise ImageInvalid(f"{path}: {error.strerror or error}.") from error
