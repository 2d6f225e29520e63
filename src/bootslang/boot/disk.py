"""The structures in a boot partition: the loader slots, the manifest, its blobs and their chunks.

`docs/image-format.md` tells the whole story; `bootslang.image.format` is the host's twin of this file, and a test holds
the two together. All offsets are bytes from the start of the boot partition unless a field says otherwise.
"""

from typing import Final

from bootslang.slang import Struct, array, length, u8, u16, u32, u64

LOADER_SLOT_BYTES: Final = 0x4_0000
"""A loader slot: stages 2 to 4. There are two, with equal contents, so that an update never leaves none."""
LOADER_SLOTS: Final = 2
MANIFEST_SLOT_BYTES: Final = 0x1000
MANIFEST_OFFSET: Final = LOADER_SLOTS * LOADER_SLOT_BYTES
"""The two manifest slots follow the loader slots."""
DATA_OFFSET: Final = 0x9_0000
"""Blobs and chunk tables may lie from here on."""
ALIGNMENT: Final = 0x1000
"""Every chunk and chunk table starts at a multiple of this: a whole sector on every disk."""
CHUNK_BYTES: Final = 0x10_0000
"""The most that a chunk holds, packed or unpacked."""

LOADER_MAGIC: Final = 0x4C53_544F_4F42_1A32
MANIFEST_MAGIC: Final = 0x4D53_544F_4F42_1A32
LOADER_VERSION: Final = 1
MANIFEST_VERSION: Final = 1

BUNDLE_DATA_OFFSET: Final = MANIFEST_SLOT_BYTES
"""In a bundle, which is one manifest slot and its data, tables and chunks may lie from here on."""

FLAG_VERBOSE: Final = 1

KERNEL_ELF: Final = 1
KERNEL_BZIMAGE: Final = 2
INITRD: Final = 3
COMMAND_LINE: Final = 4
KERNEL_HANDOFF: Final = 5
"""A 64-bit ELF kernel that is started by the hand-off protocol (docs/handoff.md)."""

BLOB_ALLOW_WX: Final = 1
BLOB_RANDOMISE: Final = 2
"""Bits of BlobRecord.flags of a KERNEL_HANDOFF: segments may be writable and executable; an ET_DYN at a random base."""

CODEC_NONE: Final = 0
CODEC_BZIP2: Final = 1
CODEC_DEFLATE: Final = 2
CODEC_GZIP: Final = 3
CODEC_XZ: Final = 4
CODEC_LZMA: Final = 5
CODEC_LZ4: Final = 6
CODEC_ZSTD: Final = 7

NAME_BYTES: Final = 20

STAGE_SURVEY: Final = 0
STAGE_LIFT64: Final = 1
STAGE_LIFT32: Final = 2
STAGES: Final = 3
MAX_BLOBS: Final = 48


class StageRecord(Struct):
    offset: u32
    """From the start of the loader slot; a multiple of ALIGNMENT."""
    packed: u32
    """Exact, in bytes, as it lies here: an LZ4 block; 0 if the stage is not on this disk."""
    size: u32
    """Exact, in bytes, unpacked."""
    address: u32
    """Where it is linked to run."""
    memory: u32
    """What it takes there in all, with what has no bytes on the disk (.bss)."""
    checksum: u64
    """XXH64 of its packed bytes."""


class LoaderHeader(Struct):
    """The first bytes of stage 2, at the start of each loader slot; `build` fills it in. Code follows at `ENTRY`."""

    magic: u64
    sum: u32
    """Over all dwords of stage 2 after this one: sum = rotate_left(sum, 1) + dword, from 0."""
    size: u32
    """Of stage 2 in bytes, this header included; a multiple of 4."""
    version: u16
    flags: u16
    sector_size: u32
    """That the host laid this disk out for: 512 or 4096."""
    framebuffer_width: u16
    framebuffer_height: u16
    framebuffer_depth: u16
    """All zero: text mode."""
    reserved: u16
    partition_bytes: u64
    stages: array[StageRecord] = length(STAGES)
    spare: array[u8] = length(4)


ENTRY: Final = 128
"""Where stage 1 enters stage 2, from its start."""


class ChunkRecord(Struct):
    offset: u64
    packed: u32
    unpacked: u32
    checksum: u64
    """XXH64 of the packed bytes."""
    codec: u16
    reserved: u16
    reserved2: u32


class BlobRecord(Struct):
    kind: u32
    flags: u32
    size: u64
    """Unpacked, in bytes: the sum over its chunks."""
    checksum: u64
    """XXH64 of the unpacked whole: the host's, for `verify`."""
    table: u64
    """Where its chunk records are."""
    table_checksum: u64
    """XXH64 of the chunk records."""
    chunks: u32
    name: array[u8] = length(NAME_BYTES)
    """Of an initrd: its file's name, or the beginning of that, padded with zeros."""


class Manifest(Struct):
    """One generation of what this disk boots."""

    magic: u64
    checksum: u64
    """XXH64 of the first `size` bytes with this field zero."""
    size: u32
    """Of the manifest in bytes, its blob records included."""
    version: u16
    reserved: u16
    sequence: u64
    """The newer of two valid generations boots."""
    blob_count: u32
    signature_size: u32
    signature: u64
    """Room for a signature: where it is; none yet."""
    spare: array[u8] = length(16)
    blobs: array[BlobRecord] = length(MAX_BLOBS)
