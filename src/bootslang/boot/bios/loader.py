"""Stage 2: protected mode, A20, the BIOS gate; reads stages 3 and 4, checks them, and goes on in stage 3.

Stage 1 puts it at STAGE2 and jumps to its byte ENTRY, in real mode: CS = DS = ES = SS = 0, SP = LOW_STACK_TOP, IF = 1,
DF = 0, DL = the BIOS drive, EBX = the first LBA of the boot partition. It leaves stage 3 in 32-bit protected mode, flat
segments, interrupts off, EAX = BootContext, and stays in memory itself: the gate and its disk reading are here.
"""

from typing import Final, NoReturn

from bootslang.boot.bios import calls
from bootslang.boot.bios.a20 import ROUNDS, enable_a20
from bootslang.boot.bios.cpu import require_pentium
from bootslang.boot.bios.drive import drive, open_drive
from bootslang.boot.bios.gate import PROTECTED, gate, gdt
from bootslang.boot.bios.later_stages import choose_lift, load_stage
from bootslang.boot.bios.low_memory import require_low_memory
from bootslang.boot.bios.next_stage import enter
from bootslang.boot.context import (
    CONTEXT_MAGIC,
    CONTEXT_VERSION,
    DOOR_BIOS,
    FLAG_TSC,
    LOG_ALL,
    SOURCE_BIOS,
    BootContext,
    GateRequest,
)
from bootslang.boot.context import FLAG_VERBOSE as CONTEXT_VERBOSE
from bootslang.boot.disk import (
    FLAG_VERBOSE,
    STAGE_SURVEY,
    LoaderHeader,
)
from bootslang.boot.layout import (
    BOUNCE,
    BOUNCE_END,
    CODE32,
    CONTEXT,
    CONTEXT_END,
    DATA32,
    LOW_STACK_TOP,
    STAGE2,
    STAGE2_END,
    STAGE3,
    STAGE3_END,
    STAGE4,
    STAGE4_END,
)
from bootslang.boot.lib import console
from bootslang.slang import (
    address,
    asm,
    compile_for,
    fn,
    offsetof,
    read_tsc,
    sizeof,
    span,
    u8,
    u32,
)

compile_for("protected32")

HEADER_BYTES: Final = sizeof(LoaderHeader)
STAMP: Final = 2
SIZE: Final = STAGE2 + offsetof(LoaderHeader, "size")

request: GateRequest = GateRequest.zeroed()
"""For stage 4, whose own memory lies above 64 KiB."""


@fn(naked=True, section=".start")
def start() -> None:
    """Leave room for the LoaderHeader; behind it, enter protected mode, clear what follows the image, call `main`."""
    asm(f"""
        .zero {HEADER_BYTES}
        .code16
        cli
        lgdt [{gdt}]
        mov eax, cr0
        or al, {PROTECTED}
        mov cr0, eax
        .byte 0x66, 0xEA            # jmp CODE32:protected mode
        .long 1f
        .word {CODE32}
        .code32
    1:  mov ax, {DATA32}
        mov ds, ax
        mov es, ax
        mov fs, ax
        mov gs, ax
        mov ss, ax
        mov esp, {LOW_STACK_TOP}
        mov edi, [{SIZE}]
        add edi, {STAGE2}
        mov ecx, {STAGE2_END}
        sub ecx, edi
        xor eax, eax
        rep stosb
        movzx eax, dl
        mov edx, ebx
        call {main}
    """)


@fn
def main(drive_number: u32, partition_lba: u32) -> NoReturn:
    """Do what stage 2 has to do, in order."""
    header = LoaderHeader.at(STAGE2)
    context = begin_context(drive_number, partition_lba)
    console.start(context.log, header.flags & FLAG_VERBOSE != 0)
    require_pentium()
    context.stamps[STAMP] = read_tsc()
    context.flags |= FLAG_TSC

    require_low_memory()  # all that follows has its place below 512 KiB
    enable_a20(ROUNDS)  # and stage 4 works above 1 MiB
    open_drive(u8(drive_number), header.sector_size)  # packets or CHS, 512 or 4096 bytes
    describe_drive(context, header)  # for stage 4, which reads the same way
    load_stage(header, STAGE_SURVEY, partition_lba, STAGE3, STAGE3_END)
    load_stage(header, choose_lift(header, context), partition_lba, STAGE4, STAGE4_END)
    enter(STAGE3, CONTEXT)


@fn
def begin_context(drive_number: u32, partition_lba: u32) -> BootContext:
    """Make an empty BootContext that says where we come from and how the BIOS is called."""
    calls.gate_entry = u32(address(gate))
    span[u8](CONTEXT, CONTEXT_END - CONTEXT).fill(0)
    context = BootContext.at(CONTEXT)
    context.magic = CONTEXT_MAGIC
    context.version = CONTEXT_VERSION
    context.size = sizeof(BootContext)
    context.door = DOOR_BIOS
    context.source = SOURCE_BIOS
    context.log = LOG_ALL
    context.drive = drive_number
    context.partition_lba = partition_lba
    context.gate = u32(address(gate))
    context.gate_request = u32(address(request))
    context.bounce = BOUNCE
    context.bounce_size = BOUNCE_END - BOUNCE
    return context


@fn
def describe_drive(context: BootContext, header: LoaderHeader) -> None:
    """Tell stage 4 how the disk is read, and what the host asked for."""
    context.sector_size = drive.sector_size
    context.sectors_per_call = drive.per_call
    context.partition_bytes = header.partition_bytes
    if header.flags & FLAG_VERBOSE:
        context.flags |= CONTEXT_VERBOSE
    if console.verbose:
        print(f"stage 2: drive {drive.number:#04x}, {drive.sector_size}-byte sectors, {drive.per_call} a call")
        print(f"stage 2: packets: {drive.takes_packets}; boot partition at sector {context.partition_lba}")
