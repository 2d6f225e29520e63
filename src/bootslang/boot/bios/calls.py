"""BIOS calls from 32-bit slang in stages 2 and 3: fill a GateRequest, name the memory it is about, read it again.

The request is a local of the caller: these stages run on the low stack, so it lies below 64 KiB as the gate wants it.
Each stage sets `gate_entry` first. On the host the FakeMachine in force gets the call.
"""

from typing import Final

from bootslang.boot.context import GateRequest
from bootslang.slang import address, asm, compile_for, fn, target, u8, u16, u32, usize

compile_for("protected32")

CARRY: Final = 1
VIDEO: Final = 0x10
LOW_MEMORY: Final = 0x12
DISK: Final = 0x13
SYSTEM: Final = 0x15
KEYBOARD: Final = 0x16

gate_entry: u32 = 0


@fn
def call_bios(interrupt: u8, request: GateRequest, memory: usize) -> bool:
    """Make the call; DS:SI and ES:DI point at `memory` (below 1 MiB, 0 if there is none). Return the carry flag."""
    request.interrupt = interrupt
    request.ds = u16(memory >> 4)
    request.es = u16(memory >> 4)
    request.esi = u32(memory & 15)
    request.edi = u32(memory & 15)
    if target.host:
        asm("BIOS call", rax=address(request), rdx=memory, clobbers="memory")
    else:
        asm("call ecx", eax=address(request), ecx=gate_entry, clobbers="edx memory")
    return request.flags & CARRY != 0
