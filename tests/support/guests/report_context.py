"""A stage 4 for tests: it prints what stages 1 to 3 have left in BootContext, reads through the gate, and ends.

32-bit protected mode, at STAGE4. Lines are `name value…` in hexadecimal, on COM1; the exit code of QEMU's
isa-debug-exit is 33.
"""

from typing import Final, NoReturn

from bootslang.boot.context import GATE_READ, BootContext, GateRequest
from bootslang.boot.layout import STAGE4_STACK_TOP
from bootslang.boot.lib import console
from bootslang.boot.lib.bios_data import bios_data
from bootslang.boot.lib.screen import COLOUR_MEMORY
from bootslang.slang import array, asm, compile_for, fn, halt, outb, ptr, read_tsc, span, u8, u16, u32, usize, volatile

compile_for("protected32")

FAR_LBA: Final = 2**32 + 5
"""Beyond what 32 bits count; a test may have put a sector there."""


@fn(naked=True, section=".start")
def start() -> None:
    """Take a stack of our own, as stage 4 does: the gate has to switch."""
    asm(f"""
        mov esp, {STAGE4_STACK_TOP}
        call {main}
    """)


@fn
def main(context_address: u32) -> NoReturn:
    """Print everything."""
    arrived = read_tsc()
    context = BootContext.at(context_address)
    console.start(context.log, tell_all=False)
    print(f"door {context.door:x} flags {context.flags:x} drive {context.drive:x}")
    print(f"sector {context.sector_size:x} call {context.sectors_per_call:x} partition {context.partition_lba:x}")
    print(f"bytes {context.partition_bytes:x}")
    for index in range(context.memory_count):
        line = context.memory[index]
        print(f"memory {line.base:x} {line.size:x} {line.kind:x}")
    for index in range(context.reservation_count):
        line = context.reservations[index]
        print(f"reserved {line.base:x} {line.size:x} {line.kind:x}")
    print(f"older {context.alt_mem_k:x} {context.ext_mem_k:x}")
    print(f"tables {context.rsdp:x} {context.smbios:x} {context.smbios3:x}")
    print(f"edd {context.edd_count:x} device {context.edd[0].device:x} signatures {context.mbr_signature_count:x}")
    print(f"signature {context.mbr_signatures[0]:x} {context.mbr_signatures[1]:x}")
    text_mode = context.text_mode
    print(f"text {text_mode.mode:x} {text_mode.columns:x} {text_mode.rows:x} {text_mode.is_vga:x}")
    framebuffer = context.framebuffer
    print(f"framebuffer {framebuffer.width:x} {framebuffer.height:x} {framebuffer.depth:x} {framebuffer.pitch:x}")
    print(f"took {context.stamps[3] - context.stamps[2]:x} {arrived - context.stamps[3]:x}")
    print(f"stamps {context.stamps[2] != 0} {context.stamps[3] > context.stamps[2]} {read_tsc() > context.stamps[3]}")
    print_screen()
    read_sectors(context)
    switch_a20_off(context)
    outb(0xF4, 0x10)
    halt()


@fn
def print_screen() -> None:
    """Tell what stands on the screen, in the line above the cursor."""
    row = usize(bios_data().cursor >> 8) - 1
    cells = span[volatile[u16]](COLOUR_MEMORY + row * 160, 80)
    line = array[u8](80)
    for column in range(80):
        line[column] = u8(cells[column])
    print(f"screen {line}")


@fn
def read_sectors(context: BootContext) -> None:
    """GATE_READ of the first sector and of one that no disk has."""
    request = GateRequest.at(context.gate_request)
    request.interrupt = GATE_READ
    request.ecx = 1
    request.esi = 0
    request.edi = 0
    call_gate(context.gate, context.gate_request)
    sector = span[u8](context.bounce, 512)
    print(f"read {request.flags:x} {sector[510]:x} {sector[511]:x}")
    request.esi = FAR_LBA & 0xFFFF_FFFF
    request.edi = FAR_LBA >> 32
    request.ecx = 1
    call_gate(context.gate, context.gate_request)
    print(f"far {request.flags:x} {sector[0]:x} {sector[511]:x}")
    request.esi = 0xFFFF_FFF0
    request.edi = 0xFFFF
    request.ecx = 1
    call_gate(context.gate, context.gate_request)
    print(f"beyond {request.flags:x}")


@fn
def switch_a20_off(context: BootContext) -> None:
    """Let the BIOS do what the gate has to undo: INT 15h AX=2400h."""
    request = GateRequest.at(context.gate_request)
    request.interrupt = 0x15
    request.eax = 0x2400
    call_gate(context.gate, context.gate_request)
    low = ptr[volatile[u32]](0x500)
    high = ptr[volatile[u32]](0x10_0500)
    low[0] = 0x1234_5678
    high[0] = 0x8765_4321
    print(f"a20 {request.flags & 1:x} {low[0] == 0x1234_5678}")


@fn
def call_gate(gate: u32, request: u32) -> None:
    """Check that the gate keeps what it promises to keep."""
    after = asm(
        """
        push ebp
        mov ebp, 0x12345678
        mov ebx, 0x9ABCDEF0
        call ecx
        cmp ebx, 0x9ABCDEF0
        jne 2f
        cmp ebp, 0x12345678
    2:  pop ebp
        """,
        eax=request,
        ecx=gate,
        clobbers="ebx edx esi edi memory",
    )
    print(f"kept {after.zero}")
