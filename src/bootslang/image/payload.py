"""What goes on a disk: kernel, initrds and command line, packed into chunks and waiting to be placed.

The builder packs first and places afterwards, because whether everything fits is to be known before the first byte is
written. Packed chunks wait in a spool: memory, or a temporary file for much. What is stored as it is, is read twice.
"""

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from types import TracebackType
from typing import IO, Final, Self

from xxhash import xxh64

from bootslang.errors import ImageInvalid, NoRoom
from bootslang.image import format as disk
from bootslang.image.codecs import Codec, pack_chunks

SPOOL_IN_MEMORY_BYTES: Final = 256 << 20

Advance = Callable[[int], None]
"""Told how many unpacked bytes are done."""


@dataclass(frozen=True)
class Content:
    """A blob before it is packed."""

    kind: int
    name: str
    """For people: a file's name."""
    pieces: Callable[[], Iterable[bytes]]
    """Gives the bytes, as often as it is called: at most 1 MiB each, none of them empty; each becomes a chunk."""
    flags: int = 0
    """BLOB_ bits of its record."""


@dataclass(frozen=True)
class PackedBlob:
    """A blob with its chunks, not yet on the disk."""

    content: Content
    size: int
    checksum: int
    chunks: tuple[disk.ChunkRecord, ...]
    """The offset is that in the spool, if there."""
    spooled: bool

    @property
    def kind(self) -> int:
        """As its record says."""
        return self.content.kind

    @property
    def name(self) -> str:
        """For people."""
        return self.content.name

    @property
    def packed_bytes(self) -> int:
        """Without the alignment of chunks."""
        return sum(chunk.packed for chunk in self.chunks)

    @property
    def room(self) -> int:
        """What it takes on the disk, its chunk table included."""
        table = disk.aligned(len(self.chunks) * disk.CHUNK_LAYOUT.size)
        return table + sum(chunk.extent.size for chunk in self.chunks)


class Payload:
    """All blobs of a generation, and the spool with their packed bytes. Close it when it has been written."""

    def __init__(self) -> None:
        self.blobs: list[PackedBlob] = []
        self._spool: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=SPOOL_IN_MEMORY_BYTES)  # noqa: SIM115 - __exit__ closes it

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._spool.close()

    def add(self, content: Content, codec: Codec, advance: Advance) -> None:
        """Pack a blob into the spool."""
        chunks: list[disk.ChunkRecord] = []
        whole = xxh64()
        size = 0

        def seen(pieces: Iterable[bytes]) -> Iterator[bytes]:
            for piece in pieces:
                whole.update(piece)
                yield piece

        spooled = codec.number != disk.CODEC_NONE
        for packed in pack_chunks(codec, seen(content.pieces())):
            chunks.append(
                disk.ChunkRecord(
                    offset=self._spool.tell(),
                    packed=len(packed.data),
                    unpacked=packed.unpacked,
                    checksum=disk.xxh64(packed.data),
                    codec=packed.codec.number,
                )
            )
            if spooled:
                self._spool.write(packed.data)
            size += packed.unpacked
            advance(packed.unpacked)
        self.blobs.append(PackedBlob(content, size, whole.intdigest(), tuple(chunks), spooled))

    @property
    def room(self) -> int:
        """What all blobs take in the data area, in bytes."""
        return sum(blob.room for blob in self.blobs)

    def read(self, blob: PackedBlob) -> Iterator[bytes]:
        """The packed bytes of a blob, chunk by chunk.

        Raises:
            ImageInvalid: If a file is no longer what it was when it was packed.

        """
        if blob.spooled:
            for chunk in blob.chunks:
                self._spool.seek(chunk.offset)
                yield self._spool.read(chunk.packed)
            return
        for piece, chunk in zip_longest(blob.content.pieces(), blob.chunks):
            if piece is None or chunk is None or disk.xxh64(piece) != chunk.checksum:
                raise ImageInvalid(f"{blob.name} was changed while the image was built.", hint="Build again.")
            yield piece


@dataclass(frozen=True)
class PlacedBlob:
    """A blob with its record and its chunks as they go onto the disk."""

    packed: PackedBlob
    record: disk.BlobRecord
    chunks: tuple[disk.ChunkRecord, ...]


class Room:
    """Free stretches of the data area, given away in the order of the disk. `start` is where that area begins."""

    def __init__(self, end: int, taken: Iterable[disk.Extent], *, start: int = disk.DATA_OFFSET) -> None:
        end = end // disk.ALIGNMENT * disk.ALIGNMENT
        self._free = list(_gaps(disk.Extent(start, max(0, end - start)), taken))

    @property
    def size(self) -> int:
        """All that is free, in bytes."""
        return sum(extent.size for extent in self._free)

    def settle(self, size: int) -> None:
        """Drop all but the smallest stretch that holds `size` bytes in one piece: reading is then sequential.

        Without such a stretch everything stays.
        """
        fitting = [extent for extent in self._free if extent.size >= size]
        if fitting:
            self._free = [min(fitting, key=lambda extent: (extent.size, extent.offset))]

    def take(self, size: int) -> int:
        """The offset of `size` free bytes; a multiple of the alignment."""
        for index, extent in enumerate(self._free):
            if extent.size >= size:
                used = disk.aligned(size)
                self._free[index] = disk.Extent(extent.offset + used, extent.size - used)
                return extent.offset
        raise NoRoom(f"There are no {size} bytes in one piece left in the boot partition.")


def _gaps(area: disk.Extent, taken: Iterable[disk.Extent]) -> Iterator[disk.Extent]:
    cursor = area.offset
    for extent in sorted(taken, key=lambda extent: extent.offset):
        if extent.offset > cursor:
            yield disk.Extent(cursor, min(extent.offset, area.end) - cursor)
        cursor = max(cursor, extent.end)
    if cursor < area.end:
        yield disk.Extent(cursor, area.end - cursor)


def place(blobs: Sequence[PackedBlob], room: Room) -> list[PlacedBlob]:
    """Find a place for every chunk and table, tables first.

    Raises:
        NoRoom: When there is none.

    """
    room.settle(sum(blob.room for blob in blobs))
    tables = [room.take(len(blob.chunks) * disk.CHUNK_LAYOUT.size) for blob in blobs]
    return [_place_blob(blob, table, room) for blob, table in zip(blobs, tables, strict=True)]


def _place_blob(blob: PackedBlob, table: int, room: Room) -> PlacedBlob:
    chunks = tuple(
        disk.ChunkRecord(room.take(chunk.packed), chunk.packed, chunk.unpacked, chunk.checksum, chunk.codec)
        for chunk in blob.chunks
    )
    name = disk.short_name(blob.name) if blob.kind == disk.INITRD else b""
    record = disk.BlobRecord(
        kind=blob.kind,
        size=blob.size,
        checksum=blob.checksum,
        table=table,
        table_checksum=disk.xxh64(disk.encode_table(chunks)),
        chunks=len(chunks),
        flags=blob.content.flags,
        name=name,
    )
    return PlacedBlob(blob, record, chunks)
