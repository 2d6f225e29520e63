"""Does stage 2 choose the right stage 4, and refuse a machine with too little low memory?"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from bootslang.boot.bios.later_stages import choose_lift
from bootslang.boot.bios.low_memory import require_low_memory
from bootslang.boot.context import FLAG_LONG_MODE, BootContext
from bootslang.boot.disk import STAGE_LIFT32, STAGE_LIFT64, LoaderHeader
from bootslang.slang import BootError
from support.bios import FakeBios

if TYPE_CHECKING:
    from bootslang.boot.context import GateRequest


class Computer(FakeBios):
    """A machine with so much low memory, with or without long mode."""

    def __init__(self, *, kib: int = 639, long_mode: bool = True) -> None:
        super().__init__()
        self.kib, self.long_mode = kib, long_mode

    def int12(self, request: GateRequest, memory: int) -> bool:
        """Tell the low memory."""
        del memory
        request.eax = self.kib
        return False

    def assembly(self, code: str, registers: dict[str, int]) -> dict[str, int]:
        """Answer CPUID."""
        if "cpuid" in code:
            highest = registers["eax"] == 0x8000_0000
            eax = 0x8000_0008 if highest else 0
            return {"eax": eax, "ebx": 0, "ecx": 0, "edx": 0 if highest else self.long_mode << 29}
        return super().assembly(code, registers)


def header_with(*indices: int) -> LoaderHeader:
    header = LoaderHeader.zeroed()
    for index in indices:
        header.stages[index].packed = 1
    return header


@pytest.mark.parametrize(
    ("long_mode", "stages", "chosen"),
    [
        (True, (STAGE_LIFT64, STAGE_LIFT32), STAGE_LIFT64),
        (True, (STAGE_LIFT64,), STAGE_LIFT64),
        (True, (STAGE_LIFT32,), STAGE_LIFT32),
        (False, (STAGE_LIFT64, STAGE_LIFT32), STAGE_LIFT32),
        (False, (STAGE_LIFT32,), STAGE_LIFT32),
    ],
)
def test_the_stage_4_of_the_processor(long_mode: bool, stages: tuple[int, ...], chosen: int) -> None:  # noqa: FBT001
    """Is the 64-bit stage 4 taken where processor and disk have it, and long mode noted down?"""
    context = BootContext.zeroed()
    with Computer(long_mode=long_mode):
        assert choose_lift(header_with(*stages), context) == chosen
    assert bool(context.flags & FLAG_LONG_MODE) == long_mode


def test_a_disk_without_the_processors_stage_4() -> None:
    """Is a disk with a 64-bit kernel an error on a 32-bit machine?"""
    message = "this processor has no long mode (64 bits), but this disk's kernel is a 64-bit one"
    with Computer(long_mode=False), pytest.raises(BootError, match=re.escape(message)):
        choose_lift(header_with(STAGE_LIFT64), BootContext.zeroed())


def test_low_memory() -> None:
    """Are 512 KiB of low memory enough, and 511 an error that says how much is needed?"""
    with Computer(kib=512):
        require_low_memory()
    message = "511 KiB of memory below 1 MiB are too few: 512 KiB are needed"
    with Computer(kib=511), pytest.raises(BootError, match=message):
        require_low_memory()
