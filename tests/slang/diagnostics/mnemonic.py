"""A mistake that only the assembler sees."""

from bootslang.slang import asm, compile_for, fn

compile_for("real16")


@fn
def entry() -> None:
    asm("""
        mov ax, 5
        mvo bx, 6
    """)
