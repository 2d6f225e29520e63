"""Stages 3 and 4: which of the two stage 4 fits the machine, and bringing them into memory, whole.

Stage 2 calls it, in 32-bit protected mode, once the drive is open. What is damaged in one loader slot comes from the
other. They lie packed; the bounce buffer, which nobody else needs yet, holds what is to be unpacked.
"""

from bootslang.boot.bios.cpu import has_long_mode
from bootslang.boot.bios.drive import drive, try_sectors
from bootslang.boot.context import FLAG_LONG_MODE, BootContext
from bootslang.boot.disk import (
    LOADER_SLOT_BYTES,
    LOADER_SLOTS,
    STAGE_LIFT32,
    STAGE_LIFT64,
    STAGE_SURVEY,
    LoaderHeader,
)
from bootslang.boot.layout import BOUNCE, BOUNCE_END
from bootslang.boot.lib import console
from bootslang.boot.lib.lz4 import unpack_lz4
from bootslang.boot.lib.xxh64 import xxh64
from bootslang.slang import BootError, compile_for, fn, span, u8, u32, u64, usize

compile_for("protected32")


@fn
def choose_lift(header: LoaderHeader, context: BootContext) -> usize:
    """Take the 64-bit stage 4 where processor and disk have it, else the 32-bit one.

    A disk with a 64-bit kernel has the 64-bit one alone: nothing else could start it.
    """
    if has_long_mode():
        context.flags |= FLAG_LONG_MODE
        if header.stages[STAGE_LIFT64].packed != 0:
            return STAGE_LIFT64
    elif header.stages[STAGE_LIFT32].packed == 0:
        raise BootError("this processor has no long mode (64 bits), but this disk's kernel is a 64-bit one")
    return STAGE_LIFT32


@fn
def load_stage(header: LoaderHeader, index: usize, partition_lba: u32, start: u32, end: u32) -> None:
    """Read a stage to [start, end) from the first slot that has it whole, and clear its .bss."""
    record = header.stages[index]
    number = 3 if index == STAGE_SURVEY else 4
    fits = 0 < record.size <= record.memory <= end - start and 0 < record.packed <= BOUNCE_END - BOUNCE
    lies = record.offset < LOADER_SLOT_BYTES and record.offset % drive.sector_size == 0
    if record.address != start or not fits or not lies:
        raise BootError(
            f"stage {number}: {record.size} bytes for {record.address:#x} cannot be: the disk needs a new build"
        )
    sectors = (record.packed + drive.sector_size - 1) // drive.sector_size
    error: u8 = 0
    for slot in range(LOADER_SLOTS):
        lba = u64(partition_lba) + (u32(slot) * LOADER_SLOT_BYTES + record.offset) // drive.sector_size
        error, _ = try_sectors(lba, sectors, BOUNCE)
        packed = span[u8](BOUNCE, record.packed)
        if error == 0 and xxh64(packed) == record.checksum:
            unpack_lz4(packed, span[u8](start, record.size))
            span[u8](start + record.size, record.memory - record.size).fill(0)
            if console.verbose:
                print(f"stage 2: stage {number}, {record.size} bytes, from slot {slot}")
            return
    if error != 0:
        raise BootError(f"stage {number} cannot be read from drive {drive.number:#04x} (BIOS error {error:#04x})")
    raise BootError(f"stage {number} is damaged in both loader slots: install it again")
