"""Do the fixed places below 1 MiB keep clear of one another, and does what goes there fit?"""

from itertools import pairwise

from bootslang.boot import layout
from bootslang.boot.bios.boot_sector import DRIVE
from bootslang.boot.context import BootContext, GateRequest
from bootslang.slang.memory import size_of

BIOS_DATA_END = 0x500
PLACES = [
    (layout.LOW_STACK_BOTTOM, layout.LOW_STACK_TOP),
    (layout.BOOT_SECTOR, DRIVE + 1),
    (layout.STAGE2, layout.STAGE2_END),
    (layout.STAGE3, layout.STAGE3_END),
    (layout.CONTEXT, layout.CONTEXT_END),
    (layout.STAGE4, layout.STAGE4_END),
    (layout.STAGE4_STACK_BOTTOM, layout.STAGE4_STACK_TOP),
    (layout.BOUNCE, layout.BOUNCE_END),
    (layout.PAGE_TABLES, layout.PAGE_TABLES_END),
]


def test_no_two_places_overlap() -> None:
    assert PLACES[0][0] >= BIOS_DATA_END
    for (start, end), (following, _) in pairwise(PLACES):
        assert start < end <= following


def test_all_of_it_lies_in_the_memory_that_stage_2_asks_for() -> None:
    assert PLACES[-1][1] == layout.LEAST_LOW_MEMORY


def test_boot_context_fits_its_place() -> None:
    assert size_of(BootContext) <= layout.CONTEXT_END - layout.CONTEXT


def test_what_real_mode_touches_is_within_its_reach() -> None:
    """Stage 2 holds the gate and its request, which real mode reaches with segment 0."""
    assert layout.STAGE2_END <= 0x10000
    assert size_of(GateRequest) < 0x100


def test_the_bounce_buffer_crosses_no_boundary_that_dma_wraps_at() -> None:
    assert layout.BOUNCE >> 16 == (layout.BOUNCE_END - 1) >> 16


def test_what_stage_1_reads_crosses_no_such_boundary() -> None:
    assert layout.STAGE2 >> 16 == (layout.STAGE2_END - 1) >> 16
