"""Where the running image lies, and how it is moved: the 64-bit lift and the loader, which are linked relocatable.

All rights change at pages: [image_start, text_end) is executed, [text_end, rodata_end) read, [rodata_end, bss_end)
written. The symbols are the linker's; code finds them by their distance, so that each call tells where it runs now. On
the host, the FakeMachine in force answers.
"""

from bootslang.slang import asm, compile_for, fn, ptr, span, u8, u32, u64, usize

compile_for("long64")


@fn
def image_start() -> usize:
    """The image's first byte; a multiple of 4096."""
    return usize(asm("lea rax, [rip + __image_start]").rax)


@fn
def text_end() -> usize:
    """The end of what is executed; a multiple of 4096."""
    return usize(asm("lea rax, [rip + __text_end]").rax)


@fn
def rodata_end() -> usize:
    """The end of the constants; a multiple of 4096."""
    return usize(asm("lea rax, [rip + __rodata_end]").rax)


@fn
def image_end() -> usize:
    """The end of what has bytes in the file."""
    return usize(asm("lea rax, [rip + __image_end]").rax)


@fn
def bss_end() -> usize:
    """The end of the image's memory; a multiple of 4096."""
    return usize(asm("lea rax, [rip + __bss_end]").rax)


@fn
def relocations() -> span[u32]:
    """Where in the image its addresses stand: offsets from its first byte, each of 8 bytes (slang/link/moving.py)."""
    start = usize(asm("lea rax, [rip + __relocations_start]").rax)
    end = usize(asm("lea rax, [rip + __relocations_end]").rax)
    return span[u32](start, (end - start) // 4)


@fn
def lines() -> span[u8]:
    """The table of source lines (slang/link/lines.py); empty if the image has none."""
    start = usize(asm("lea rax, [rip + __lines_start]").rax)
    end = usize(asm("lea rax, [rip + __lines_end]").rax)
    return span[u8](start, end - start)


@fn
def relocate(delta: u64) -> None:
    """Add `delta` to every address in the image: from then on they are right `delta` bytes above their present place.

    Code that runs at the old place still works while what is there stays mapped.
    """
    start = image_start()
    for offset in relocations():
        place = ptr[u64](start + offset)
        place[0] = place[0] + delta
