"""memcpy, memmove, memset and memcmp: what the compiler's copies and fills of unknown length become.

The compiler adds them to each unit that needs them, in 16, 32 and 64 bits; segments are flat (in real mode 0) and the
direction flag is clear. On the host the C library's are used. All but `memcmp` are string instructions, for two
reasons: they move a word a step, also where a CPU has no fast byte moves, and the optimiser cannot take them for a loop
that it had better replace by a call of themselves.
"""

from __future__ import annotations

from bootslang.slang import asm, compile_for, fn, i32, ptr, target, u8, u32, u64, usize

compile_for("real16", "protected32", "long64")


@fn(symbol="memcpy")
def memcpy(into: ptr[u8], source: ptr[u8], count: usize) -> ptr[u8]:
    """Copy `count` bytes upwards: also right where the two overlap and `into` is the lower one."""
    if target.bits == 64:
        asm(
            """
            rep movsq
            mov ecx, edx
            rep movsb
            """,
            rdi=into.address,
            rsi=source.address,
            rcx=count >> 3,
            edx=u32(count) & 7,
            clobbers="memory",
        )
    else:
        asm(
            """
            rep movsd dword ptr es:[edi], dword ptr [esi]
            mov ecx, edx
            rep movsb byte ptr es:[edi], byte ptr [esi]
            """,
            edi=into.address,
            esi=source.address,
            ecx=count >> 2,
            edx=count & 3,
            clobbers="memory",
        )
    return into


@fn(symbol="memmove")
def memmove(into: ptr[u8], source: ptr[u8], count: usize) -> ptr[u8]:
    """Copy `count` bytes that may overlap."""
    if into.address - source.address >= count:
        return memcpy(into, source, count)
    return copy_down(into, source, count)


@fn
def copy_down(into: ptr[u8], source: ptr[u8], count: usize) -> ptr[u8]:
    """Copy from the last byte to the first: the odd bytes at the end, then words."""
    if target.bits == 64:
        asm(
            """
            std
            rep movsb
            mov rcx, rdx
            sub rsi, 7
            sub rdi, 7
            rep movsq
            cld
            """,
            rdi=into.address + count - 1,
            rsi=source.address + count - 1,
            rcx=count & 7,
            rdx=count >> 3,
            clobbers="memory",
        )
    else:
        asm(
            """
            std
            rep movsb byte ptr es:[edi], byte ptr [esi]
            mov ecx, edx
            sub esi, 3
            sub edi, 3
            rep movsd dword ptr es:[edi], dword ptr [esi]
            cld
            """,
            edi=into.address + count - 1,
            esi=source.address + count - 1,
            ecx=count & 3,
            edx=count >> 2,
            clobbers="memory",
        )
    return into


@fn(symbol="memset")
def memset(into: ptr[u8], value: i32, count: usize) -> ptr[u8]:
    """Fill `count` bytes with the low byte of `value`."""
    if target.bits == 64:
        asm(
            """
            rep stosq
            mov ecx, edx
            rep stosb
            """,
            rdi=into.address,
            rax=u8(value) * u64(0x0101_0101_0101_0101),
            rcx=count >> 3,
            edx=u32(count) & 7,
            clobbers="memory",
        )
    else:
        asm(
            """
            rep stosd dword ptr es:[edi], eax
            mov ecx, edx
            rep stosb byte ptr es:[edi], al
            """,
            edi=into.address,
            eax=u8(value) * u32(0x0101_0101),
            ecx=count >> 2,
            edx=count & 3,
            clobbers="memory",
        )
    return into


@fn(symbol="memcmp")
def memcmp(first: ptr[u8], second: ptr[u8], count: usize) -> i32:
    """Compare bytes: the difference of the first two that are not equal, else 0."""
    for index in range(count):
        if first[index] != second[index]:
            return i32(first[index]) - i32(second[index])
    return 0
