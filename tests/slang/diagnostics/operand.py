"""A mistake in an operand that only the assembler sees."""

from bootslang.slang import asm, compile_for, fn

compile_for("long64")


@fn
def entry() -> None:
    asm("mov eax, bx")
