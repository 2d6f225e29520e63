"""Stage 1: the boot sector. Finds the boot partition, loads stage 2, checks it, jumps.

A BIOS puts it at 0x7C00 and jumps there in 16-bit real mode: DL = the drive, all else unknown. It has 440 bytes: the
disk signature and the partition table behind them belong to the disk. Stage 2 gets CS = DS = ES = SS = 0, SP = 0x7C00,
IF = 1, DF = 0, DL = the drive, EBX = the first LBA of the boot partition.

What goes wrong is a letter, on the screen and on COM1, which docs/errors.md explains; then a key, then INT 18h, which
lets the BIOS try its next device.

Some BIOSes write a FAT parameter block into bytes 0x0B to 0x59 of what they take for a floppy's boot sector. There is
no room to leave these free.
"""

from typing import Final, NoReturn

from bootslang.boot.disk import ENTRY, LOADER_MAGIC, LoaderHeader
from bootslang.boot.layout import BOOT_SECTOR, LOW_STACK_TOP, STAGE2, STAGE2_END
from bootslang.slang import (
    Struct,
    array,
    asm,
    compile_for,
    fn,
    halt,
    length,
    offsetof,
    rotate_left,
    span,
    u8,
    u16,
    u32,
    volatile,
)

compile_for("real16")

DRIVE: Final = BOOT_SECTOR + 512
"""Where the drive's number is kept: behind the sector, where it costs no byte of it."""
PARTITION_TABLE: Final = BOOT_SECTOR + 446
PARTITIONS: Final = 4
ACTIVE: Final = 0x80
ATTEMPTS: Final = 4
SUMMED_FROM: Final = offsetof(LoaderHeader, "size")
MOST_WORDS: Final = (STAGE2_END - STAGE2 - SUMMED_FROM) // 4


class PartitionEntry(Struct):
    status: u8
    first_chs: array[u8] = length(3)
    type: u8
    last_chs: array[u8] = length(3)
    first_lba: u32
    sectors: u32


class BootSectorOptions(Struct):
    """What `build` writes into the sector: volatile, because the compiler does not see it."""

    logical_lba: volatile[u32]
    """Where the boot partition starts if no primary one is active: an active logical one; 0 if there is none."""
    slot_sectors: volatile[u32]
    """From loader slot A to slot B."""
    stage2_sectors: volatile[u16]
    """At most as many as lie between STAGE2 and STAGE2_END."""


class Drive(Struct):
    number: u8


options: BootSectorOptions = BootSectorOptions(logical_lba=0, slot_sectors=512, stage2_sectors=1)


@fn(naked=True, section=".start")
def start() -> None:
    """Bring the segments, the stack and the flags into a known state; keep DL."""
    asm(f"""
        .byte 0xEA                  # jmp 0:2f, for the BIOSes that come by 07C0:0000
        .word 2f
        .word 0
    2:  xor ax, ax
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov sp, {LOW_STACK_TOP}
        sti
        cld
        mov [{DRIVE}], dl
        jmp {main}
    """)


@fn
def main() -> NoReturn:
    """Load stage 2 from slot A, else from slot B, and enter it."""
    partition_lba = boot_partition()
    lba = partition_lba
    while True:
        letter: u8 = ord("R")
        if read(lba):
            letter = ord("S")
            if is_whole(LoaderHeader.at(STAGE2)):
                asm("jmp cx", cx=STAGE2 + ENTRY, dl=Drive.at(DRIVE).number, ebx=partition_lba)
        if lba != partition_lba:
            fail(letter)
        lba += options.slot_sectors


@fn
def boot_partition() -> u32:
    """The first LBA of the active partition."""
    for entry in span[PartitionEntry](PARTITION_TABLE, PARTITIONS):
        if entry.status & ACTIVE:
            return entry.first_lba
    lba = options.logical_lba
    if lba == 0:
        fail(ord("P"))
    return lba


@fn
def read(lba: u32) -> bool:
    """Fill memory from STAGE2 on: by one packet or, from a drive without packets, sector by sector up to STAGE2_END.

    Assembly, the arithmetic too, because of the 440 bytes: in 16-bit code the compiler has a prefix for almost every
    instruction, and what lives across a BIOS call goes to the stack and back.
    """
    after = asm(
        f"""
        push 0                      # an address packet: LBA, segment and offset, count, size
        push 0
        push eax
        push 0
        push bx
        push cx
        push 16
        mov si, sp
        mov di, cx
        push dx
        mov ah, 0x41                # does the drive take packets?
        mov bx, 0x55AA
        int 0x13
        pop dx
        jc 2f
        cmp bx, 0xAA55
        jne 2f
        shr cx, 1
        jnc 2f
        mov ah, 0x42
        pushad
        jmp 4f

    2:  push dx                     # it does not: cylinders, heads and sectors
        push es
        mov ah, 0x08
        int 0x13
        pop es
        movzx edi, dh
        inc di                      # heads
        pop dx
        jc 9f
        and ecx, 63                 # sectors a track
        jz 9f
        mov bx, {STAGE2}
    3:  pushad
        mov bp, dx
        mov eax, [si + 8]
        xor edx, edx
        div ecx
        mov cl, dl
        inc cx                      # CL: sector, from 1
        xor dx, dx
        div edi
        mov ch, al                  # CH, CL: cylinder
        shl ah, 6
        or cl, ah
        xchg dx, bp                 # DH: head
        mov ax, bp
        mov dh, al
        mov ax, 0x0201

    4:  mov bp, {ATTEMPTS}
    5:  mov [si + 2], di            # a call that failed has written into the packet's count
        pusha
        int 0x13
        popa
        jnc 6f
        pusha
        mov ah, 0                   # reset, and again
        int 0x13
        popa
        dec bp
        jnz 5b
        stc
    6:  popad
        jc 9f
        test ah, 0x40
        jnz 9f                      # the packet has read it all
        inc dword ptr [si + 8]
        inc bh                      # 512 bytes on, up to STAGE2_END
        inc bh
        jnz 3b
    9:  lea sp, [si + 16]
        """,
        eax=lba,
        bx=STAGE2,
        cx=options.stage2_sectors,
        dl=Drive.at(DRIVE).number,
        clobbers="ebx ecx esi edi memory",
    )
    return not after.carry


@fn
def is_whole(header: LoaderHeader) -> bool:
    """Whether what was read is a stage 2 with the right sum."""
    magic = span[u32](STAGE2, 2)
    if magic[0] != LOADER_MAGIC % 2**32 or magic[1] != LOADER_MAGIC >> 32:
        return False
    words = (header.size - SUMMED_FROM) // 4
    if words > MOST_WORDS:
        return False
    total: u32 = 0
    for word in span[u32](STAGE2 + SUMMED_FROM, words):
        total = rotate_left(total, 1) + word
    return total == header.sum


@fn(provides="raise")
def fail(letter: u8) -> NoReturn:
    """Show the letter on COM1 (9600 baud, 8N1) and on the screen, wait for a key, let the BIOS go on."""
    asm(
        """
        push ax
        mov ax, 0x00E3
        xor dx, dx
        int 0x14
        pop ax
        mov ah, 0x01
        int 0x14
        mov ah, 0x0E
        mov bx, 7
        int 0x10
        xor ax, ax
        int 0x16
        int 0x18
        """,
        al=letter,
        clobbers="bx dx",
    )
    halt()
