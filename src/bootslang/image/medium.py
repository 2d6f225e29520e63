"""Bytes that can be read, written and flushed: an image file, a block device, and a window into either.

Everything that the image tools do to a disk goes through a `Medium`, so that tests can cut the power at every write,
and a write outside of what was granted is an error before it reaches the disk.
"""

import io
import os
import sys
from pathlib import Path
from typing import Final, Protocol

from bootslang.errors import ImageInvalid

_ZERO_BLOCK: Final = bytes(4096)


class Medium(Protocol):
    """What can be read and written at byte offsets. A write is on the disk for certain after the next `flush` only."""

    @property
    def size(self) -> int:
        """In bytes."""

    def read(self, offset: int, size: int) -> bytes:
        """Exactly `size` bytes."""

    def write(self, offset: int, data: bytes) -> None:
        """Write all of `data`."""

    def flush(self) -> None:
        """Return when everything written so far would survive a power cut."""


class FileMedium:
    """An open file or block device.

    A `fresh` file reads as zeros where nothing was written, so blocks of zeros are left out and stay holes; and its
    flushes do nothing, because nobody sees it before it is complete. After a flush, a `device` is read from its medium
    again and not from the host's memory: what is read back then says something about the device.
    """

    def __init__(
        self, file: io.FileIO, size: int, *, name: Path | str, fresh: bool = False, device: bool = False
    ) -> None:
        self.size = size
        self.name = name
        self.file = file
        self._fresh = fresh
        self._device = device

    def read(self, offset: int, size: int) -> bytes:
        """Exactly `size` bytes; reading beyond the end is an error."""
        _check_bounds(self, "read", offset, size)
        self.file.seek(offset)
        data = bytearray()
        while len(data) < size:
            part = self.file.read(size - len(data))
            if not part:
                raise ImageInvalid(f"{self.name}: it ends at byte {offset + len(data)}, before its {self.size} bytes.")
            data += part
        return bytes(data)

    def write(self, offset: int, data: bytes) -> None:
        """Write all of `data`, in a fresh file without the blocks that are zero."""
        _check_bounds(self, "write", offset, len(data))
        if not self._fresh:
            self._write_all(offset, memoryview(data))
            return
        for start, end in _runs_with_content(data):
            self._write_all(offset + start, memoryview(data)[start:end])

    def _write_all(self, offset: int, data: memoryview) -> None:
        self.file.seek(offset)
        while data:
            written = self.file.write(data)
            data = data[written:]

    def flush(self) -> None:
        """`fsync`, unless the file is fresh."""
        if not self._fresh:
            os.fsync(self.file.fileno())
        if self._device and sys.platform == "linux":
            os.posix_fadvise(self.file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _runs_with_content(data: bytes) -> list[tuple[int, int]]:
    """The stretches of `data` between its blocks of zeros, as (start, end)."""
    runs: list[tuple[int, int]] = []
    for start in range(0, len(data), len(_ZERO_BLOCK)):
        block = data[start : start + len(_ZERO_BLOCK)]
        if block == _ZERO_BLOCK[: len(block)]:
            continue
        if runs and runs[-1][1] == start:
            runs[-1] = (runs[-1][0], start + len(block))
        else:
            runs.append((start, start + len(block)))
    return runs


class Region:
    """A window into a medium, a partition for one; offsets count from its start, and nothing outside can be reached."""

    def __init__(self, medium: Medium, offset: int, size: int) -> None:
        self.size = size
        self.offset = offset
        self.name = f"bytes {offset} to {offset + size}"
        self._medium = medium

    def read(self, offset: int, size: int) -> bytes:
        """Exactly `size` bytes."""
        _check_bounds(self, "read", offset, size)
        return self._medium.read(self.offset + offset, size)

    def write(self, offset: int, data: bytes) -> None:
        """Write all of `data`."""
        _check_bounds(self, "write", offset, len(data))
        self._medium.write(self.offset + offset, data)

    def flush(self) -> None:
        """Flush the medium as a whole."""
        self._medium.flush()


def _check_bounds(medium: FileMedium | Region, action: str, offset: int, size: int) -> None:
    if offset < 0 or size < 0 or offset + size > medium.size:
        raise ImageInvalid(
            f"{medium.name}: cannot {action} {size} bytes at {offset}: there are {medium.size} bytes in all."
        )
