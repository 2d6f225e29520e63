"""Where the running image lies, as the linker has laid it out and wherever it has been put since. 64-bit code."""

from bootslang.slang import asm, compile_for, fn, usize

compile_for("long64")


@fn
def image_start() -> usize:
    return usize(asm("lea rax, [rip + __image_start]").rax)


@fn
def bss_end() -> usize:
    """The address behind the image's last byte in memory."""
    return usize(asm("lea rax, [rip + __bss_end]").rax)
