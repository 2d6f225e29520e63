"""From one stage of the BIOS door to the next, in 32-bit protected mode: nothing is gone back to."""

from typing import NoReturn

from bootslang.boot.layout import LOW_STACK_TOP
from bootslang.slang import asm, compile_for, fn, halt, u32

compile_for("protected32")


@fn
def enter(entry: u32, context: u32) -> NoReturn:
    """Jump to `entry` with EAX = `context` and an empty low stack."""
    asm(
        f"""
        mov esp, {LOW_STACK_TOP}
        jmp ecx
        """,
        eax=context,
        ecx=entry,
    )
    halt()
