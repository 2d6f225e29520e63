"""`Bundle`: kernel, initrds and command line in one file, a module for the loader.

    Bundle(kernel="vmlinuz", initrds=["initrd.gz"], command_line="console=ttyS0").build("linux.bundle")

It has what a boot partition has, without the loader: a manifest slot, chunk tables, chunks (docs/image-format.md). The
loader (`bootslang.loader`) takes it as its first module, or has it sealed in. The command `bootslang bundle` is a thin
coat over this file.
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bootslang.image import format as disk
from bootslang.image.contents import Contents, Progress, advancing
from bootslang.image.medium import Medium
from bootslang.image.payload import Advance, Payload, Room, place
from bootslang.image.report import BlobSize, blob_sizes
from bootslang.image.target import new_file
from bootslang.kernel import Kernel

GENERATION = 1
"""The sequence number of the one generation that a bundle has."""


@dataclass(frozen=True)
class BundleReport:
    """What was written."""

    path: Path
    size: int
    codec: str
    blobs: tuple[BlobSize, ...]
    warnings: tuple[str, ...]

    def lines(self) -> Iterator[str]:
        """The report as text."""
        yield f"{self.path}: bundle, {self.size} bytes"
        yield from map(str, self.blobs)
        yield from (f"warning: {warning}" for warning in self.warnings)


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A bundle to be built; what the fields mean is as for an `Image`."""

    kernel: str | os.PathLike[str] | Kernel
    initrds: Iterable[str | os.PathLike[str]] = ()
    command_line: str = ""
    codec: str = "auto"
    protocol: str = "auto"
    allow_wx: bool = False
    randomise: bool = False

    def build(self, path: str | os.PathLike[str], progress: Progress | None = None) -> BundleReport:
        """Write the bundle to `path`. A file that is there is replaced when all is written, and not before.

        Raises:
            BootslangError: One of its subclasses; nothing is left half-done.

        """
        tell = progress or (lambda _what, _done, _total: None)
        contents = self.contents()
        with Payload() as payload:
            contents.pack(payload, tell)
            size = size_of(payload)
            with new_file(Path(path), size) as medium:
                write(payload, medium, 0, advancing(tell, "write", contents.size))
            return BundleReport(Path(path), size, contents.codec.name, blob_sizes(payload), contents.warnings)

    def contents(self) -> Contents:
        """What goes in: the files, looked at, and whether the kernel can take them."""
        return Contents.read(
            self.kernel,
            self.initrds,
            self.command_line,
            self.codec,
            protocol=self.protocol,
            allow_wx=self.allow_wx,
            randomise=self.randomise,
        )


def size_of(payload: Payload) -> int:
    """The bytes of the bundle with this payload."""
    return disk.BUNDLE_DATA_OFFSET + payload.room


def write(payload: Payload, medium: Medium, start: int, advance: Advance) -> None:
    """Write the bundle with this payload from `start` on."""
    for piece in pieces(payload, advance):
        medium.write(start, piece)
        start += len(piece)


def pieces(payload: Payload, advance: Advance) -> Iterator[bytes]:
    """The bundle's bytes from first to last, in whole alignment units: manifest slot, all chunk tables, all chunks."""
    blobs = place(payload.blobs, Room(size_of(payload), (), start=disk.BUNDLE_DATA_OFFSET))
    yield _padded(disk.Manifest(GENERATION, tuple(blob.record for blob in blobs)).encode())
    for blob in blobs:
        yield _padded(disk.encode_table(blob.chunks))
    for blob in blobs:
        for data, chunk in zip(payload.read(blob.packed), blob.chunks, strict=True):
            yield _padded(data)
            advance(chunk.unpacked)


def _padded(data: bytes) -> bytes:
    return data.ljust(disk.aligned(len(data)), b"\0")
