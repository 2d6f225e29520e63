"""The structures of a boot partition as the host reads and writes them: the twin of `bootslang.boot.disk`.

The builder encodes them, `inspect` and `verify` decode them, and nothing that is decoded is believed: a `FormatInvalid`
names the structure, the offset of the field and what is wrong with it. Fields called `reserved` and `spare` are written
as zero and not looked at. `docs/image-format.md` tells the whole story.
"""

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, Self

from xxhash import xxh64_intdigest

from bootslang.errors import FormatInvalid

LOADER_SLOT_BYTES: Final = 0x4_0000
"""A loader slot: stages 2 to 4. There are two, with equal contents, at 0 and at this."""
LOADER_SLOTS: Final = 2
MANIFEST_SLOT_BYTES: Final = 0x1000
MANIFEST_SLOTS: Final = 2
MANIFEST_OFFSET: Final = LOADER_SLOTS * LOADER_SLOT_BYTES
DATA_OFFSET: Final = 0x9_0000
"""Chunks and chunk tables may lie from here on."""
BUNDLE_DATA_OFFSET: Final = MANIFEST_SLOT_BYTES
"""The same in a bundle."""
ALIGNMENT: Final = 0x1000
"""Every stage, chunk and chunk table starts at a multiple of this: a whole sector on every disk."""
CHUNK_BYTES: Final = 0x10_0000
"""The most that a chunk holds, packed or unpacked."""
MAX_BLOBS: Final = 48
MAX_CHUNKS: Final = 0x8_0000
"""In a blob: 512 GiB of full chunks. It bounds what a reader of a damaged manifest asks memory for."""

LOADER_MAGIC: Final = 0x4C53_544F_4F42_1A32
MANIFEST_MAGIC: Final = 0x4D53_544F_4F42_1A32
LOADER_VERSION: Final = 1
MANIFEST_VERSION: Final = 1
ENTRY: Final = 128
"""Where stage 1 enters stage 2, from its start."""

FLAG_VERBOSE: Final = 1

KERNEL_ELF: Final = 1
KERNEL_BZIMAGE: Final = 2
INITRD: Final = 3
COMMAND_LINE: Final = 4
KERNEL_HANDOFF: Final = 5
BLOB_ALLOW_WX: Final = 1
BLOB_RANDOMISE: Final = 2
HANDOFF_FLAGS: Final = BLOB_ALLOW_WX | BLOB_RANDOMISE
NAME_BYTES: Final = 20
"""What a blob record keeps of a name."""
KIND_NAMES: Final[Mapping[int, str]] = {
    KERNEL_ELF: "kernel (ELF)",
    KERNEL_BZIMAGE: "kernel (bzImage)",
    INITRD: "initrd",
    COMMAND_LINE: "command line",
    KERNEL_HANDOFF: "kernel (hand-off)",
}
KERNEL_KINDS: Final = frozenset({KERNEL_ELF, KERNEL_BZIMAGE, KERNEL_HANDOFF})

CODEC_NONE: Final = 0
CODEC_BZIP2: Final = 1
CODEC_DEFLATE: Final = 2
CODEC_GZIP: Final = 3
CODEC_XZ: Final = 4
CODEC_LZMA: Final = 5
CODEC_LZ4: Final = 6
CODEC_ZSTD: Final = 7
CODEC_NUMBERS: Final = frozenset(
    {CODEC_NONE, CODEC_BZIP2, CODEC_DEFLATE, CODEC_GZIP, CODEC_XZ, CODEC_LZMA, CODEC_LZ4, CODEC_ZSTD}
)

STAGE_SURVEY: Final = 0
STAGE_LIFT64: Final = 1
STAGE_LIFT32: Final = 2
STAGES: Final = 3
STAGE_NAMES: Final = ("stage 3", "stage 4 (64-bit)", "stage 4 (32-bit)")

LAST_SEQUENCE: Final = 0xFFFF_FFFF_FFFF_FFFF


class Layout:
    """A packed little-endian structure, told as fields of `struct` formats: `Layout(size="I", spare="16s")`."""

    def __init__(self, **fields: str) -> None:
        self.fields = fields
        self._struct = struct.Struct("<" + "".join(fields.values()))
        self.size = self._struct.size

    def offset(self, field: str) -> int:
        """How far into the structure `field` begins, in bytes."""
        names = list(self.fields)
        return struct.calcsize("<" + "".join(self.fields[name] for name in names[: names.index(field)]))

    def pack(self, **values: int | bytes) -> bytes:
        """The bytes; fields that are not given are zero."""
        zeros = {name: b"" if form.endswith("s") else 0 for name, form in self.fields.items()}
        return self._struct.pack(*(values.get(name, zero) for name, zero in zeros.items()))

    def unpack(self, data: bytes) -> dict[str, int]:
        """All integer fields of the structure at the start of `data`, which has to be long enough."""
        values = zip(self.fields, self._struct.unpack_from(data), strict=True)
        return {name: value for name, value in values if isinstance(value, int)}


STAGE_LAYOUT: Final = Layout(offset="I", packed="I", size="I", address="I", memory="I", checksum="Q")
LOADER_LAYOUT: Final = Layout(
    magic="Q",
    sum="I",
    size="I",
    version="H",
    flags="H",
    sector_size="I",
    framebuffer_width="H",
    framebuffer_height="H",
    framebuffer_depth="H",
    reserved="H",
    partition_bytes="Q",
    stages=f"{STAGES * STAGE_LAYOUT.size}s",
    spare="4s",
)
CHUNK_LAYOUT: Final = Layout(offset="Q", packed="I", unpacked="I", checksum="Q", codec="H", reserved="H", reserved2="I")
BLOB_LAYOUT: Final = Layout(
    kind="I",
    flags="I",
    size="Q",
    checksum="Q",
    table="Q",
    table_checksum="Q",
    chunks="I",
    name=f"{NAME_BYTES}s",
)
MANIFEST_LAYOUT: Final = Layout(
    magic="Q",
    checksum="Q",
    size="I",
    version="H",
    reserved="H",
    sequence="Q",
    blob_count="I",
    signature_size="I",
    signature="Q",
    spare="16s",
)


@dataclass(frozen=True)
class Extent:
    """A stretch of the boot partition, in bytes from its start."""

    offset: int
    size: int

    @property
    def end(self) -> int:
        """The first byte after it."""
        return self.offset + self.size


def aligned(size: int) -> int:
    """`size` rounded up to whole alignment units."""
    return -(-size // ALIGNMENT) * ALIGNMENT


def xxh64(data: bytes | bytearray | memoryview) -> int:
    """The one checksum of everything but stage 2 (seed 0)."""
    return xxh64_intdigest(data)


def rotating_sum(data: bytes | bytearray) -> int:
    """What stage 1 computes over stage 2, in eight instructions: `sum = rotate_left(sum, 1) + dword`, from 0."""
    total = 0
    for (dword,) in struct.iter_unpack("<I", data):
        total = ((total << 1 | total >> 31) + dword) & 0xFFFF_FFFF
    return total


@dataclass(frozen=True)
class StageRecord:
    """Where a stage lies in its loader slot, and where it runs; all zero for a stage that this disk does without."""

    offset: int = 0
    packed: int = 0
    """As it lies there, an LZ4 block."""
    size: int = 0
    address: int = 0
    memory: int = 0
    checksum: int = 0
    """XXH64 of the packed bytes."""

    def encode(self) -> bytes:
        """Its 28 bytes."""
        return STAGE_LAYOUT.pack(**vars(self))


@dataclass(frozen=True)
class LoaderHeader:
    """The first 128 bytes of stage 2, at the start of each loader slot."""

    size: int
    """Of stage 2 in bytes, this header included; a multiple of 4."""
    sector_size: int
    partition_bytes: int
    stages: tuple[StageRecord, ...]
    flags: int = 0
    framebuffer: tuple[int, int, int] | None = None
    """Width, height, bits per pixel; None for text mode."""
    sum: int = 0

    SUM_START: ClassVar[int] = LOADER_LAYOUT.offset("size")
    """The sum covers stage 2 from here on."""

    def seal(self, stage2: bytes) -> bytes:
        """Stage 2 with this header filled in and its sum set."""
        width, height, depth = self.framebuffer or (0, 0, 0)
        header = bytearray(
            LOADER_LAYOUT.pack(
                magic=LOADER_MAGIC,
                size=self.size,
                version=LOADER_VERSION,
                flags=self.flags,
                sector_size=self.sector_size,
                framebuffer_width=width,
                framebuffer_height=height,
                framebuffer_depth=depth,
                partition_bytes=self.partition_bytes,
            )
        )
        place = LOADER_LAYOUT.offset("stages")
        records = b"".join(stage.encode() for stage in self.stages)
        header[place : place + len(records)] = records
        sealed = header + stage2[len(header) :].ljust(self.size - len(header), b"\0")
        struct.pack_into("<I", sealed, LOADER_LAYOUT.offset("sum"), rotating_sum(sealed[self.SUM_START :]))
        return bytes(sealed)

    @classmethod
    def decode(cls, slot: bytes) -> Self:
        """Read and check the header of a loader slot, and stage 2's sum; the other stages are `check_stage`'s."""
        if len(slot) < LOADER_LAYOUT.size:
            raise FormatInvalid(f"loader header: {len(slot)} bytes are too few")
        values = LOADER_LAYOUT.unpack(slot)
        check = _Checker("loader header", LOADER_LAYOUT, values)
        check.equal("magic", LOADER_MAGIC)
        check.equal("version", LOADER_VERSION)
        check.that("size", ENTRY < values["size"] <= min(len(slot), LOADER_SLOT_BYTES), "is not a stage 2's size")
        check.that("size", values["size"] % 4 == 0, "is no multiple of 4")
        check.equal("sum", rotating_sum(slot[cls.SUM_START : values["size"]]))
        check.that("sector_size", values["sector_size"] in {512, 4096}, "is neither 512 nor 4096")
        check.that("flags", values["flags"] & ~FLAG_VERBOSE == 0, "has unknown bits")
        framebuffer = (values["framebuffer_width"], values["framebuffer_height"], values["framebuffer_depth"])
        place = LOADER_LAYOUT.offset("stages")
        return cls(
            size=values["size"],
            sector_size=values["sector_size"],
            partition_bytes=values["partition_bytes"],
            stages=tuple(
                _stage_record(slot, place + index * STAGE_LAYOUT.size, values["size"]) for index in range(STAGES)
            ),
            flags=values["flags"],
            framebuffer=framebuffer if any(framebuffer) else None,
            sum=values["sum"],
        )


def _stage_record(slot: bytes, place: int, stage2_size: int) -> StageRecord:
    values = STAGE_LAYOUT.unpack(slot[place : place + STAGE_LAYOUT.size])
    record = StageRecord(**values)
    if record.packed:
        check = _Checker(f"stage record at {place:#x}", STAGE_LAYOUT, values)
        check.that("offset", record.offset % ALIGNMENT == 0, "is not aligned")
        check.that("offset", record.offset >= stage2_size, "lies in stage 2")
        check.that("packed", record.offset + record.packed <= LOADER_SLOT_BYTES, "leads beyond the loader slot")
        check.that("memory", record.memory >= record.size, "is less than the size")
    return record


@dataclass(frozen=True)
class ChunkRecord:
    """One chunk of a blob: at most 1 MiB, by itself packed and by itself checked."""

    offset: int
    packed: int
    unpacked: int
    checksum: int
    """XXH64 of the packed bytes."""
    codec: int

    def encode(self) -> bytes:
        """Its 32 bytes."""
        return CHUNK_LAYOUT.pack(**vars(self))

    @property
    def extent(self) -> Extent:
        """What it occupies, in whole alignment units."""
        return Extent(self.offset, aligned(self.packed))


@dataclass(frozen=True)
class BlobRecord:
    """A kernel, an initrd or the command line."""

    kind: int
    size: int
    checksum: int
    """XXH64 of the unpacked whole."""
    table: int
    table_checksum: int
    chunks: int
    """How many records the table has."""
    flags: int = 0
    """BLOB_ bits, of a KERNEL_HANDOFF."""
    name: bytes = b""
    """Of an initrd; see `short_name`."""

    def encode(self) -> bytes:
        """Its 64 bytes."""
        return BLOB_LAYOUT.pack(**vars(self))

    @property
    def table_bytes(self) -> int:
        """The size of its chunk table."""
        return self.chunks * CHUNK_LAYOUT.size

    @property
    def table_extent(self) -> Extent:
        """What its chunk table occupies, in whole alignment units."""
        return Extent(self.table, aligned(self.table_bytes))

    def decode_table(self, table: bytes, end: int, *, start: int = DATA_OFFSET) -> tuple[ChunkRecord, ...]:
        """Check and read the chunk table of this blob; chunks may lie between `start` and `end`."""
        if len(table) != self.table_bytes or xxh64(table) != self.table_checksum:
            raise FormatInvalid(f"chunk table at {self.table:#x}: its checksum is wrong")
        chunks = tuple(
            _chunk_record(table[place : place + CHUNK_LAYOUT.size], self.table + place, range(start, end))
            for place in range(0, len(table), CHUNK_LAYOUT.size)
        )
        total = sum(chunk.unpacked for chunk in chunks)
        if total != self.size:
            raise FormatInvalid(f"chunk table at {self.table:#x}: its chunks have {total} bytes, the blob {self.size}")
        return chunks


def short_name(name: str) -> bytes:
    """As much of a file's name as a blob record keeps, in UTF-8."""
    return name.encode("utf-8", "replace")[:NAME_BYTES].decode("utf-8", "ignore").encode()


def encode_table(chunks: Iterable[ChunkRecord]) -> bytes:
    """A chunk table's bytes."""
    return b"".join(chunk.encode() for chunk in chunks)


def _chunk_record(data: bytes, place: int, area: range) -> ChunkRecord:
    values = CHUNK_LAYOUT.unpack(data)
    check = _Checker(f"chunk record at {place:#x}", CHUNK_LAYOUT, values)
    check.that("packed", 0 < values["packed"] <= CHUNK_BYTES, "is no chunk's size")
    check.that("unpacked", values["packed"] <= values["unpacked"] <= CHUNK_BYTES, "is no chunk's size")
    check.place("offset", values["packed"], area)
    check.that("codec", values["codec"] in CODEC_NUMBERS, "is unknown")
    if values["codec"] == CODEC_NONE:
        check.that("packed", values["packed"] == values["unpacked"], "differs from the unpacked size without a codec")
    return ChunkRecord(
        offset=values["offset"],
        packed=values["packed"],
        unpacked=values["unpacked"],
        checksum=values["checksum"],
        codec=values["codec"],
    )


@dataclass(frozen=True)
class Manifest:
    """One generation of what a disk boots."""

    sequence: int
    blobs: tuple[BlobRecord, ...]
    signature: int = 0
    signature_size: int = 0

    CHECKSUM: ClassVar[slice] = slice(MANIFEST_LAYOUT.offset("checksum"), MANIFEST_LAYOUT.offset("size"))

    def encode(self) -> bytes:
        """Its bytes with the checksum set; a slot holds them and zeros."""
        data = bytearray(
            MANIFEST_LAYOUT.pack(
                magic=MANIFEST_MAGIC,
                size=MANIFEST_LAYOUT.size + len(self.blobs) * BLOB_LAYOUT.size,
                version=MANIFEST_VERSION,
                sequence=self.sequence,
                blob_count=len(self.blobs),
                signature=self.signature,
                signature_size=self.signature_size,
            )
            + b"".join(blob.encode() for blob in self.blobs)
        )
        data[self.CHECKSUM] = xxh64(data).to_bytes(8, "little")
        return bytes(data)

    @classmethod
    def decode(cls, slot: bytes, end: int, *, start: int = DATA_OFFSET) -> Self:
        """Read and check what a manifest slot holds; the chunk tables are `BlobRecord.decode_table`'s.

        All that it names may lie between `start` and `end`.
        """
        if len(slot) < MANIFEST_LAYOUT.size:
            raise FormatInvalid(f"manifest: {len(slot)} bytes are too few")
        values = MANIFEST_LAYOUT.unpack(slot)
        check = _Checker("manifest", MANIFEST_LAYOUT, values)
        check.equal("magic", MANIFEST_MAGIC)
        check.equal("version", MANIFEST_VERSION)
        check.that("blob_count", 0 < values["blob_count"] <= MAX_BLOBS, f"is not 1 to {MAX_BLOBS}")
        check.equal("size", MANIFEST_LAYOUT.size + values["blob_count"] * BLOB_LAYOUT.size)
        check.that("size", values["size"] <= len(slot), "leads beyond the slot")
        data = bytearray(slot[: values["size"]])
        data[cls.CHECKSUM] = bytes(8)
        check.equal("checksum", xxh64(data))
        if values["signature_size"]:
            check.place("signature", values["signature_size"], range(start, end))
        blobs = tuple(
            _blob_record(bytes(data[place : place + BLOB_LAYOUT.size]), place, range(start, end))
            for place in range(MANIFEST_LAYOUT.size, values["size"], BLOB_LAYOUT.size)
        )
        _check_kinds([blob.kind for blob in blobs])
        return cls(
            sequence=values["sequence"],
            blobs=blobs,
            signature=values["signature"],
            signature_size=values["signature_size"],
        )


def _blob_record(data: bytes, place: int, area: range) -> BlobRecord:
    values = BLOB_LAYOUT.unpack(data)
    check = _Checker(f"blob record at {place:#x}", BLOB_LAYOUT, values)
    check.that("kind", values["kind"] in KIND_NAMES, "is unknown")
    known = HANDOFF_FLAGS if values["kind"] == KERNEL_HANDOFF else 0
    check.that("flags", values["flags"] & ~known == 0, "has unknown bits")
    check.that("size", values["size"] > 0, "is zero")
    check.that("chunks", 0 < values["chunks"] <= MAX_CHUNKS, "is no number of chunks")
    check.that("chunks", values["chunks"] * CHUNK_BYTES >= values["size"], "is too small for the size")
    check.place("table", values["chunks"] * CHUNK_LAYOUT.size, area)
    return BlobRecord(
        kind=values["kind"],
        size=values["size"],
        checksum=values["checksum"],
        table=values["table"],
        table_checksum=values["table_checksum"],
        chunks=values["chunks"],
        flags=values["flags"],
        name=data[BLOB_LAYOUT.offset("name") :].rstrip(b"\0"),
    )


def _check_kinds(kinds: list[int]) -> None:
    if sum(kind in KERNEL_KINDS for kind in kinds) != 1:
        raise FormatInvalid(f"manifest: it has {sum(kind in KERNEL_KINDS for kind in kinds)} kernels instead of one")
    if kinds.count(COMMAND_LINE) > 1:
        raise FormatInvalid(f"manifest: it has {kinds.count(COMMAND_LINE)} command lines")


@dataclass(frozen=True)
class _Checker:
    """Says which field of which structure is wrong, and where it stands."""

    structure: str
    layout: Layout
    values: dict[str, int]

    def that(self, field: str, holds: bool, problem: str) -> None:  # noqa: FBT001 - reads as a sentence
        if not holds:
            raise FormatInvalid(
                f"{self.structure}: {field} at +{self.layout.offset(field)} ({self.values[field]:#x}) {problem}"
            )

    def equal(self, field: str, expected: int) -> None:
        self.that(field, self.values[field] == expected, f"should be {expected:#x}")

    def place(self, field: str, size: int, area: range) -> None:
        """Whether `size` bytes at the offset in `field` are aligned and lie in the data area."""
        offset = self.values[field]
        self.that(field, offset % ALIGNMENT == 0, "is not aligned")
        self.that(field, offset >= area.start, "lies before the data area")
        self.that(field, offset + size <= area.stop, "leads beyond the partition")
