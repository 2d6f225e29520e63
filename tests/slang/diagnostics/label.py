"""A label that is nowhere."""

from bootslang.slang import asm, compile_for, fn

compile_for("protected32")


@fn
def entry() -> None:
    asm("jmp 7f")
