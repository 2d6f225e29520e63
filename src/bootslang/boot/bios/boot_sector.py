"""Stage 1: the boot sector. Finds the boot partition, loads stage 2, checks it, jumps.

A BIOS puts it at 0x7C00 and jumps there in 16-bit real mode: DL = the drive, all else unknown. It has 440 bytes: the
disk signature and the partition table behind them belong to the disk. Stage 2 gets CS = DS = ES = SS = 0, SP = 0x7C00,
IF = 1, DF = 0, DL = the drive, EBX = the first LBA of the boot partition.

What goes wrong is a letter, on the screen and on COM1, which docs/errors.md explains; then a key, then INT 18h, which
lets the BIOS try its next device.
"""

from typing import Final, NoReturn

from bootslang.boot.disk import ENTRY, LOADER_MAGIC, LOADER_SLOTS, LoaderHeader
from bootslang.boot.layout import BOOT_SECTOR, LOW_STACK_TOP, STAGE2, STAGE2_END
from bootslang.slang import (
    BootError,
    Struct,
    array,
    asm,
    compile_for,
    fn,
    halt,
    length,
    offset,
    offsetof,
    outb,
    rotate_left,
    span,
    u8,
    u16,
    u32,
    u64,
)

compile_for("real16")

PARAMETER_BLOCK: Final = 0x0B
PARAMETER_BLOCK_END: Final = 0x5A
"""Some BIOSes take the sector for a floppy's and write a FAT parameter block into these bytes: no code stands there."""
PARTITION_TABLE: Final = BOOT_SECTOR + 446
PARTITIONS: Final = 4
ACTIVE: Final = 0x80
ATTEMPTS: Final = 4
PACKETS_SUPPORTED: Final = 1
READ_PACKET: Final = 0x4200
READ_ONE_SECTOR: Final = 0x0201
SUMMED_FROM: Final = offsetof(LoaderHeader, "size")
MOST_WORDS: Final = (STAGE2_END - STAGE2 - SUMMED_FROM) // 4

COM1: Final = 0x3F8
COM1_LINE_CONTROL: Final = 0x3FB


class PartitionEntry(Struct):
    status: u8
    first_chs: array[u8] = length(3)
    type: u8
    last_chs: array[u8] = length(3)
    first_lba: u32
    sectors: u32


class AddressPacket(Struct):
    """The disk address packet of INT 13h AH=42h."""

    size: u8 = 16
    reserved: u8 = 0
    count: u16
    offset: u16
    segment: u16
    lba: u64


class BootSectorOptions(Struct):
    """What `build` writes into the sector."""

    logical_lba: u32
    """Where the boot partition starts if no primary one is active: an active logical one; 0 if there is none."""
    slot_sectors: u32
    """From loader slot A to slot B."""
    stage2_sectors: u16
    """At most 64 KiB less what lies below stage 2."""


options: BootSectorOptions = BootSectorOptions(logical_lba=0, slot_sectors=512, stage2_sectors=1)


@fn(naked=True, section=".start")
def start() -> None:
    """Bring the segments, the stack and the flags into a known state; DL goes on to `main`."""
    asm(f"""
        jmp 1f
        .zero {PARAMETER_BLOCK_END - 2}
    1:  .byte 0xEA                  # jmp 0:2f, for the BIOSes that come by 07C0:0000
        .word 2f
        .word 0
    2:  xor ax, ax
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov sp, {LOW_STACK_TOP}
        sti
        cld
        movzx eax, dl
        jmp {main}
    """)


@fn
def main(drive: u8) -> NoReturn:
    """Load stage 2 from slot A, else from slot B, and enter it."""
    partition_lba = boot_partition()
    track_sectors, heads = geometry(drive)
    lba = partition_lba
    letter: u8 = 0
    for _ in range(LOADER_SLOTS):
        letter = load(drive, lba, track_sectors, heads)
        if letter == 0:
            asm("jmp ecx", dl=drive, ebx=partition_lba, ecx=STAGE2 + ENTRY)
        lba += options.slot_sectors
    fail(letter)


@fn
def boot_partition() -> u32:
    """The first LBA of the active partition."""
    for entry in span[PartitionEntry](PARTITION_TABLE, PARTITIONS):
        if entry.status & ACTIVE:
            return entry.first_lba
    if options.logical_lba == 0:
        raise BootError("P")
    return options.logical_lba


@fn
def geometry(drive: u8) -> tuple[u32, u32]:
    """Sectors a track and heads, for a drive that takes no packets; (0, 0) for one that does."""
    packets = asm("int 0x13", ah=0x41, bx=0x55AA, dl=drive)
    if not packets.carry and packets.bx == 0xAA55 and packets.cx & PACKETS_SUPPORTED:
        return 0, 0
    tracks = asm(
        """
        push es
        int 0x13
        pop es
        """,
        ah=0x08,
        dl=drive,
        clobbers="bx di",
    )
    return tracks.cl & 63, u32(tracks.dh) + 1


@fn
def load(drive: u8, lba: u32, track_sectors: u32, heads: u32) -> u8:
    """Read a copy of stage 2, in one packet or sector by sector, and check it; return 0 or a letter."""
    packet = AddressPacket(count=options.stage2_sectors, offset=STAGE2, segment=0, lba=lba)
    left = options.stage2_sectors
    target: u16 = STAGE2
    while left != 0:
        function: u16 = READ_PACKET
        place: u16 = 0
        head: u32 = 0
        if track_sectors != 0:
            function = READ_ONE_SECTOR
            track = lba // track_sectors
            cylinder = track // heads
            head = track % heads
            place = u16(cylinder << 8 | cylinder >> 2 & 0xC0 | lba % track_sectors + 1)
            left -= 1
        else:
            left = 0
        for _ in range(ATTEMPTS):
            read = asm(
                "int 0x13",
                ax=function,
                bx=target,
                cx=place,
                dx=u16(head << 8 | drive),
                si=offset(packet),
                clobbers="memory",
            )
            if not read.carry:
                break
            asm("int 0x13", ah=0, dl=drive)
        else:
            return ord("R")
        target += 512
        lba += 1
    return 0 if is_whole(LoaderHeader.at(STAGE2)) else ord("S")


@fn
def is_whole(header: LoaderHeader) -> bool:
    """Whether what was read is a stage 2 with the right sum."""
    words = (header.size - SUMMED_FROM) // 4
    if header.magic != LOADER_MAGIC or words > MOST_WORDS:
        return False
    total: u32 = 0
    for word in span[u32](STAGE2 + SUMMED_FROM, words):
        total = rotate_left(total, 1) + word
    return total == header.sum


@fn(provides="raise")
def fail(letter: u8) -> NoReturn:
    """Show the letter on COM1 (115200 baud, 8N1) and on the screen, wait for a key, let the BIOS go on."""
    outb(COM1_LINE_CONTROL, 0x80)
    outb(COM1 + 1, 0)
    outb(COM1, 1)
    outb(COM1_LINE_CONTROL, 3)
    outb(COM1, letter)
    asm("int 0x10", ah=0x0E, al=letter, bx=7)
    asm("int 0x16", ah=0)
    asm("int 0x18")
    halt()
