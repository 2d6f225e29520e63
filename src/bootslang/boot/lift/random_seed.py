"""Random bytes for the kernel's generator, from CPUs that make some (RDRAND)."""

from typing import Final

from bootslang.slang import asm, compile_for, cpuid, fn, span, target, u8, u32

compile_for("protected32", "long64")

SEED_BYTES: Final = 32
FEATURES: Final = 1
"""The CPUID leaf."""
RDRAND: Final = 1 << 30
"""In its ECX."""
TRIES: Final = 10
"""Intel's manual: a CPU that says no ten times in a row is broken."""


@fn
def cpu_has_generator() -> bool:
    if target.host:
        return False
    _, _, ecx, _ = cpuid(FEATURES)
    return ecx & RDRAND != 0


@fn
def fill_random(seed: span[u8]) -> bool:
    """Fill `seed`, a multiple of 4 bytes, with random bytes; False if the CPU's generator does not answer."""
    for word in range(len(seed) // 4):
        for _ in range(TRIES):
            value, valid = random_word()
            if valid:
                seed.cast(u32)[word] = value
                break
        else:
            return False
    return True


@fn
def random_word() -> tuple[u32, bool]:
    """32 random bits, and whether the CPU had some."""
    after = asm("rdrand eax")
    return after.eax, after.carry
