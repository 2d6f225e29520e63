"""What the processor is: stage 2 asks before it uses CPUID, the time stamp counter or long mode. 32-bit protected mode.

The least processor is a Pentium: CPUID, a time stamp counter and CMPXCHG8B. What is older is told so by name, as far as
32-bit code gets that far (80386 and later).
"""

from typing import Final

from bootslang.slang import BootError, asm, compile_for, cpuid, fn

compile_for("protected32")

ID_FLAG: Final = 0x20_0000
"""EFLAGS.ID: a processor with CPUID lets it be changed."""
FEATURES: Final = 1
TIME_STAMP_COUNTER: Final = 1 << 4
CMPXCHG8B: Final = 1 << 8
HIGHEST_EXTENDED: Final = 0x8000_0000
EXTENDED_FEATURES: Final = 0x8000_0001
LONG_MODE: Final = 1 << 29
PENTIUM_FAMILY: Final = 5


@fn
def require_pentium() -> None:
    """Raise an error that names the processor if it is older than a Pentium."""
    if not has_cpuid():
        raise BootError("this processor has no CPUID (an 80386 or 80486): Bootslang needs a Pentium or later")
    signature, _, _, features = cpuid(FEATURES)
    family = signature >> 8 & 15
    if family < PENTIUM_FAMILY:
        raise BootError(f"this processor is an 80{family}86: Bootslang needs a Pentium or later")
    if not features & TIME_STAMP_COUNTER:
        raise BootError("this processor has no time stamp counter: Bootslang needs a Pentium or later")
    if not features & CMPXCHG8B:
        raise BootError("this processor has no CMPXCHG8B: Bootslang needs a Pentium or later")


@fn
def has_cpuid() -> bool:
    """Whether EFLAGS.ID can be changed."""
    after = asm(
        """
        pushfd
        pop eax
        mov ecx, eax
        xor eax, 0x200000
        push eax
        popfd
        pushfd
        pop eax
        push ecx
        popfd
        xor eax, ecx
    """,
        clobbers="ecx",
    )
    return after.eax & ID_FLAG != 0


@fn
def has_long_mode() -> bool:
    """Whether the processor, which has CPUID, can run 64-bit code."""
    highest, _, _, _ = cpuid(HIGHEST_EXTENDED)
    if highest < EXTENDED_FEATURES:
        return False
    _, _, _, features = cpuid(EXTENDED_FEATURES)
    return features & LONG_MODE != 0
