"""What the loader says on a CPU without long mode, where none of its slang runs: entered from `entry`, 32-bit code.

It goes to COM1 and to port 0xE9, on which debuggers listen. A screen is left alone: whether there is one, only slang
finds out.
"""

from typing import Final

from bootslang.boot.lib.console import DEBUG_PORT
from bootslang.boot.lib.serial import (
    DATA,
    DIVISOR_LATCH,
    EIGHT_BITS_NO_PARITY,
    HOLDING_EMPTY,
    INTERRUPT_ENABLE,
    LINE_CONTROL,
    LINE_STATUS,
)
from bootslang.slang import asm, compile_for, fn

compile_for("long64")

MESSAGE: Final = "This CPU has no long mode (64 bits), which Bootslang needs. Boot stopped."
TRIES: Final = 100_000
"""Reads of the line status until a byte is sent all the same."""


@fn(naked=True)
def no_long_mode() -> None:
    """Write MESSAGE byte by byte, and stop. There is a stack."""
    asm(f"""
        .code32
        mov dx, {LINE_CONTROL}
        mov al, {DIVISOR_LATCH}
        out dx, al
        mov dx, {DATA}
        mov al, 1
        out dx, al
        mov dx, {INTERRUPT_ENABLE}
        xor eax, eax
        out dx, al
        mov dx, {LINE_CONTROL}
        mov al, {EIGHT_BITS_NO_PARITY}
        out dx, al
        call narrow_here
        .asciz "{MESSAGE}\\r\\n"
    narrow_here:
        pop esi
    narrow_next:
        mov dx, {LINE_STATUS}
        mov ecx, {TRIES}
    narrow_wait:
        in al, dx
        test al, {HOLDING_EMPTY}
        loopz narrow_wait
        lodsb
        test al, al
        jz narrow_stop
        mov dx, {DATA}
        out dx, al
        out {DEBUG_PORT}, al
        jmp narrow_next
    narrow_stop:
        hlt
        jmp narrow_stop
        .code64
    """)
