"""Is a processor that is too old told so by name, before anything is used that it does not have?"""

from __future__ import annotations

import pytest

from bootslang.boot.bios.cpu import has_long_mode, require_pentium
from bootslang.slang import BootError
from support.bios import FakeBios

TSC, CX8 = 1 << 4, 1 << 8
LONG_MODE = 1 << 29


class Processor(FakeBios):
    """A processor: `leaves` is what CPUID answers; None is one without CPUID."""

    def __init__(self, leaves: dict[int, tuple[int, int, int, int]] | None) -> None:
        super().__init__()
        self.leaves = leaves

    def assembly(self, code: str, registers: dict[str, int]) -> dict[str, int]:
        """Answer the change of EFLAGS.ID, and CPUID."""
        if "popfd" in code:
            return {"eax": 0 if self.leaves is None else 1 << 21}
        if "cpuid" in code:
            assert self.leaves is not None
            return dict(zip(("eax", "ebx", "ecx", "edx"), self.leaves.get(registers["eax"], (0,) * 4), strict=True))
        return super().assembly(code, registers)


def test_a_pentium_will_do() -> None:
    """Is the least processor that we promise accepted?"""
    with Processor({1: (0x543, 0, 0, TSC | CX8)}):
        require_pentium()


@pytest.mark.parametrize(
    ("leaves", "message"),
    [
        (None, r"this processor has no CPUID \(an 80386 or 80486\): Bootslang needs a Pentium or later"),
        ({1: (0x480, 0, 0, 0)}, "this processor is an 80486: Bootslang needs a Pentium or later"),
        ({1: (0x543, 0, 0, CX8)}, "this processor has no time stamp counter: Bootslang needs a Pentium or later"),
        ({1: (0x543, 0, 0, TSC)}, "this processor has no CMPXCHG8B: Bootslang needs a Pentium or later"),
    ],
    ids=["no CPUID", "a 486 with CPUID", "no TSC", "no CMPXCHG8B"],
)
def test_older_ones_are_named(leaves: dict[int, tuple[int, int, int, int]] | None, message: str) -> None:
    """What does an older processor's user read?"""
    with Processor(leaves), pytest.raises(BootError, match=message):
        require_pentium()


@pytest.mark.parametrize(
    ("leaves", "answer"),
    [
        ({0x80000000: (0x80000008, 0, 0, 0), 0x80000001: (0, 0, 0, LONG_MODE)}, True),
        ({0x80000000: (0x80000008, 0, 0, 0), 0x80000001: (0, 0, 0, 0)}, False),
        ({0x80000000: (0, 0, 0, 0), 0x80000001: (0, 0, 0, LONG_MODE)}, False),
        ({0x80000000: (3, 0, 0, 0), 0x80000001: (0, 0, 0, LONG_MODE)}, False),
    ],
)
def test_long_mode(leaves: dict[int, tuple[int, int, int, int]], answer: bool) -> None:  # noqa: FBT001
    """Is the long mode bit read only where the processor has its leaf?"""
    with Processor(leaves):
        assert has_long_mode() is answer
