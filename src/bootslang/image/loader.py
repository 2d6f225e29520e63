"""The loader's bytes: stage 1 with its options for this disk, and the loader slot with stages 2 to 4."""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

import lz4.block

from bootslang.errors import FormatInvalid, ImageInvalid, UsageError
from bootslang.image import format as disk
from bootslang.image.medium import Medium
from bootslang.image.partitions import CODE_BYTES

BOOT_SECTOR: Final = 0x7C00
STAGE2: Final = 0x8000
"""Where stages 1 and 2 run: see bootslang.boot.layout, against which a test holds these numbers."""
STAGE3_ROOM: Final = 0x8000
STAGE4_ROOM: Final = 0x3_8000
"""What memory there is for the later stages."""
STAGE2_READ_BYTES: Final = 0x8000
"""What stage 1 reads of a slot, whatever stage 2's size: all that fits its place in memory (0x8000 to 0x10000).

It is a constant so that a boot sector of yesterday still reads the whole of today's stage 2: between the writing of the
slots and that of sector 0 the power may go.
"""
OPTIONS_SYMBOL: Final = "bootslang.boot.bios.boot_sector.options"
LZ4_LEVEL: Final = 12
"""The library's best."""
OPTIONS: Final = struct.Struct("<IIH")
"""BootSectorOptions: logical_lba, slot_sectors, stage2_sectors."""


class LinkedStage(Protocol):
    """What `bootslang.slang.link` makes of a unit."""

    @property
    def data(self) -> bytes: ...
    @property
    def base(self) -> int: ...
    @property
    def memory_bytes(self) -> int: ...
    @property
    def symbols(self) -> Mapping[str, int]: ...


class Stages(Protocol):
    """The linked rocket, as `bootslang.rocket.stages` returns it. A lift that is None is not put on the disk."""

    @property
    def stage1(self) -> LinkedStage: ...
    @property
    def stage2(self) -> LinkedStage: ...
    @property
    def stage3(self) -> LinkedStage: ...
    @property
    def lift64(self) -> LinkedStage | None: ...
    @property
    def lift32(self) -> LinkedStage | None: ...


@dataclass(frozen=True)
class StageSize:
    """How much of its room a stage takes, in bytes."""

    name: str
    size: int
    limit: int
    packed: int | None = None
    """What it takes on the disk, if that is less."""

    @property
    def on_disk(self) -> int:
        """What it takes on the disk."""
        return self.size if self.packed is None else self.packed

    def __str__(self) -> str:
        text = f"{self.name}: {self.size} of {self.limit} bytes"
        return text if self.packed is None else f"{text}, {self.packed} packed"


@dataclass(frozen=True)
class LoaderOptions:
    """What the machine is told at build time."""

    sector_size: int
    partition_bytes: int
    verbose: bool = False
    framebuffer: tuple[int, int, int] | None = None
    logical_lba: int = 0
    """Where the boot partition starts if it is a logical one, which stage 1 cannot find by itself; else 0."""


@dataclass(frozen=True)
class Loader:
    """The bytes to install."""

    boot_code: bytes
    """440 bytes for sector 0."""
    slot: bytes
    """256 KiB, for both slots."""
    sizes: tuple[StageSize, ...]


def make_loader(stages: Stages, options: LoaderOptions) -> Loader:
    """Put the stages together for one disk."""
    slot, sizes = _slot(stages, options)
    code = _boot_code(stages.stage1, options)
    return Loader(code, slot, (StageSize("stage 1", len(stages.stage1.data), CODE_BYTES), *sizes))


def _boot_code(stage1: LinkedStage, options: LoaderOptions) -> bytes:
    if len(stage1.data) > CODE_BYTES:
        raise ImageInvalid(f"Stage 1 has {len(stage1.data)} bytes; the boot sector has room for {CODE_BYTES}.")
    code = bytearray(stage1.data.ljust(CODE_BYTES, b"\0"))
    place = stage1.symbols[OPTIONS_SYMBOL] - stage1.base
    OPTIONS.pack_into(
        code,
        place,
        options.logical_lba,
        disk.LOADER_SLOT_BYTES // options.sector_size,
        STAGE2_READ_BYTES // options.sector_size,
    )
    return bytes(code)


def _slot(stages: Stages, options: LoaderOptions) -> tuple[bytes, list[StageSize]]:
    stage2 = stages.stage2.data
    if len(stage2) > STAGE2_READ_BYTES:
        raise ImageInvalid(f"Stage 2 has {len(stage2)} bytes; its place in memory has {STAGE2_READ_BYTES}.")
    sizes = [StageSize("stage 2", len(stage2), STAGE2_READ_BYTES)]
    size = -(-len(stage2) // 4) * 4
    records: list[disk.StageRecord] = []
    bodies: list[bytes] = []
    cursor = disk.aligned(size)
    rooms = (STAGE3_ROOM, STAGE4_ROOM, STAGE4_ROOM)
    for name, room, stage in zip(disk.STAGE_NAMES, rooms, (stages.stage3, stages.lift64, stages.lift32), strict=True):
        if stage is None:
            records.append(disk.StageRecord())
            continue
        packed = pack_stage(stage.data)
        records.append(
            disk.StageRecord(cursor, len(packed), len(stage.data), stage.base, stage.memory_bytes, disk.xxh64(packed))
        )
        bodies.append(packed.ljust(disk.aligned(len(packed)), b"\0"))
        cursor += len(bodies[-1])
        sizes.append(StageSize(name, len(stage.data), room, len(packed)))
    if cursor > disk.LOADER_SLOT_BYTES:
        raise ImageInvalid(f"Stages 2 to 4 have {cursor} bytes; a loader slot has {disk.LOADER_SLOT_BYTES}.")
    header = disk.LoaderHeader(
        size=size,
        sector_size=options.sector_size,
        partition_bytes=options.partition_bytes,
        stages=tuple(records),
        flags=disk.FLAG_VERBOSE if options.verbose else 0,
        framebuffer=options.framebuffer,
    )
    sealed = header.seal(stage2).ljust(disk.aligned(size), b"\0")
    return (sealed + b"".join(bodies)).ljust(disk.LOADER_SLOT_BYTES, b"\0"), sizes


def pack_stage(data: bytes) -> bytes:
    """A stage as it lies on the disk: an LZ4 block, which stage 2 unpacks."""
    return bytes(lz4.block.compress(data, mode="high_compression", compression=LZ4_LEVEL, store_size=False))


def read_slot(boot: Medium, index: int) -> bytes:
    """The bytes of loader slot 0 (A) or 1 (B)."""
    return boot.read(index * disk.LOADER_SLOT_BYTES, disk.LOADER_SLOT_BYTES)


def check_slot(slot: bytes) -> disk.LoaderHeader:
    """Check all of a loader slot, stage by stage.

    Raises:
        FormatInvalid: For the first stage that is damaged.

    """
    header = disk.LoaderHeader.decode(slot)
    for name, record in zip(disk.STAGE_NAMES, header.stages, strict=True):
        if disk.xxh64(slot[record.offset : record.offset + record.packed]) != record.checksum and record.packed:
            raise FormatInvalid(f"{name} at {record.offset:#x} of the loader slot: its checksum is wrong")
    return header


def slot_is_whole(slot: bytes) -> bool:
    """Whether a machine could start from this slot alone."""
    try:
        check_slot(slot)
    except FormatInvalid:
        return False
    return True


def parse_framebuffer(text: str) -> tuple[int, int, int]:
    """`1024x768x32` as (width, height, bits per pixel)."""
    parts = text.lower().split("x")
    if len(parts) != 3 or not all(part.isascii() and part.isdigit() for part in parts):
        raise UsageError(f"{text!r} is no video mode.", hint="Write width, height and bits per pixel: 1024x768x32.")
    width, height, depth = (int(part) for part in parts)
    check_framebuffer((width, height, depth))
    return width, height, depth


def check_framebuffer(mode: tuple[int, int, int]) -> None:
    """Refuse a video mode that no VBE can have."""
    width, height, depth = mode
    if not (320 <= width <= 0xFFFF and 200 <= height <= 0xFFFF and depth in {8, 15, 16, 24, 32}):
        raise UsageError(
            f"{width}x{height}x{depth} is no video mode.",
            hint="Write width, height and bits per pixel (8, 15, 16, 24 or 32): 1024x768x32.",
        )
