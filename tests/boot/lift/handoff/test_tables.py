"""Do page tables map what they were asked to, with these rights and nothing else? They are walked as a CPU does it."""

from __future__ import annotations

import ctypes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bootslang.boot.lift.handoff import tables as maker
from bootslang.boot.lift.handoff.tables import CODE_RIGHTS, DATA_RIGHTS, LEVEL1, LEVEL2, PageTables
from bootslang.slang import BootError, span
from support.fuzzing import fuzzed
from support.own_kernels import READ, READ_EXECUTE, READ_WRITE, RELRO, Loaded, OwnKernel, Part
from support.page_walk import Page, pages, ranges

MIB, GIB = 1 << 20, 1 << 30
HIGH = 0xFFFF_FFFF_8000_0000
PAGE = 0x1000


class Tables:
    """Page tables in memory of this process."""

    def __init__(self, count: int, *, huge: bool = True) -> None:
        self.memory = bytearray(b"\xff" * (count + 1) * PAGE)
        address = span(self.memory).address
        self.place = -(-address // PAGE) * PAGE
        self.made = PageTables.zeroed()
        self.made.start(self.place, count * PAGE, huge)

    @property
    def used(self) -> int:
        return int(self.made.next - self.place) // PAGE

    @property
    def pages(self) -> list[Page]:
        return pages(self.made.root, ctypes.string_at)


def test_a_single_page_takes_a_table_of_each_level() -> None:
    tables = Tables(4)
    tables.made.map(HIGH + 0x3000, 0x5000, PAGE, CODE_RIGHTS)
    assert tables.pages == [Page(HIGH + 0x3000, 0x5000, PAGE, "r-x")]
    assert tables.used == 4


def test_the_largest_pages_that_fit_are_taken() -> None:
    tables = Tables(8)
    tables.made.map(GIB - 2 * MIB - PAGE, 3 * GIB - 2 * MIB - PAGE, GIB + 2 * MIB + 2 * PAGE, DATA_RIGHTS)
    assert [(page.virtual, page.size) for page in tables.pages] == [
        (GIB - 2 * MIB - PAGE, PAGE),
        (GIB - 2 * MIB, 2 * MIB),
        (GIB, GIB),
        (2 * GIB, PAGE),
    ]
    assert ranges(tables.pages) == [(GIB - 2 * MIB - PAGE, 3 * GIB - 2 * MIB - PAGE, GIB + 2 * MIB + 2 * PAGE, "rw-")]


def test_a_cpu_without_huge_pages_gets_large_ones() -> None:
    tables = Tables(8, huge=False)
    tables.made.map(0xFFFF_8000_0000_0000, 0, 4 * GIB, DATA_RIGHTS)
    assert {page.size for page in tables.pages} == {2 * MIB}
    assert ranges(tables.pages) == [(0xFFFF_8000_0000_0000, 0, 4 * GIB, "rw-")]
    assert tables.used == 6


def test_addresses_that_differ_by_less_than_a_large_page_make_small_ones() -> None:
    tables = Tables(8)
    tables.made.map(HIGH, 0x1000, 4 * MIB, DATA_RIGHTS)
    assert {page.size for page in tables.pages} == {PAGE}


def test_what_is_mapped_twice_is_an_error() -> None:
    tables = Tables(8)
    tables.made.map(HIGH, 0, 2 * MIB, DATA_RIGHTS)
    with pytest.raises(BootError, match="two things are to be mapped at 0xffffffff80000000"):
        tables.made.map(HIGH, 0, 2 * MIB, DATA_RIGHTS)
    with pytest.raises(BootError, match="a page is to be mapped inside of a larger one"):
        tables.made.map(HIGH + PAGE, 0, PAGE, DATA_RIGHTS)


def test_too_little_memory_is_an_error() -> None:
    with pytest.raises(BootError, match="the memory for the kernel's page tables has run out"):
        Tables(3).made.map(0, 0, PAGE, DATA_RIGHTS)


places = st.integers(0, (1 << 47) // PAGE - 1).map(lambda page: page * PAGE)
near = st.integers(0, 3 * 512 * 512).map(lambda page: page * PAGE)
sizes = st.one_of(st.integers(1, 3), st.integers(1, 600), st.sampled_from([512, 1024, 512 * 512 + 1])).map(
    lambda count: count * PAGE
)


@fuzzed
@given(virtual=st.one_of(places, near), physical=near, size=sizes, huge=st.booleans())
def test_any_range_is_mapped_as_asked_and_the_tables_are_enough(
    virtual: int, physical: int, size: int, *, huge: bool
) -> None:
    if size > 4 * MIB:  # in small pages, these would be too many to look at
        virtual, physical = virtual // (2 * MIB) * 2 * MIB, physical // (2 * MIB) * 2 * MIB
    size = min(size, (1 << 47) - virtual)
    tables = Tables(1 + maker.tables_for(virtual, size, LEVEL1), huge=huge)
    tables.made.map(virtual, physical, size, CODE_RIGHTS)
    assert ranges(tables.pages) == [(virtual, physical, size, "r-x")]


@fuzzed
@given(virtual=places, size=sizes)
def test_large_pages_need_as_many_tables_as_told(virtual: int, size: int) -> None:
    virtual, size = virtual // (2 * MIB) * 2 * MIB, -(-size // (2 * MIB)) * 2 * MIB
    size = min(size, (1 << 47) - virtual)
    tables = Tables(1 + maker.tables_for(virtual, size, LEVEL2), huge=False)
    tables.made.map(virtual, 0, size, CODE_RIGHTS)
    assert tables.used == 1 + maker.tables_for(virtual, size, LEVEL2)


def mapped(kernel: OwnKernel, *, shift: int = 0, place: int = 16 * MIB) -> list[Page]:
    found = Loaded(kernel).kernel
    found.shift, found.place = shift, place
    start, end = (found.low + shift) % (1 << 64), (found.end + shift) % (1 << 64)
    tables = Tables(1 + maker.tables_for(start, end - start, LEVEL1))
    maker.map_kernel(tables.made, found)
    return tables.pages


CODE = Part(HIGH, b"c" * PAGE, flags=READ_EXECUTE)
CONSTANTS = Part(HIGH + PAGE, b"r" * 100, flags=READ)
DATA = Part(HIGH + 2 * PAGE, b"d", memory=3 * PAGE + 1, flags=READ_WRITE)


def test_each_segment_has_its_own_rights_and_whole_pages() -> None:
    assert ranges(mapped(OwnKernel([CODE, CONSTANTS, DATA]))) == [
        (HIGH, 16 * MIB, PAGE, "r-x"),
        (HIGH + PAGE, 16 * MIB + PAGE, PAGE, "r--"),
        (HIGH + 2 * PAGE, 16 * MIB + 2 * PAGE, 4 * PAGE, "rw-"),
    ]


def test_a_shifted_kernel_is_mapped_where_it_was_shifted_to() -> None:
    moved = OwnKernel([Part(0x40, b"c"), Part(0x1000, b"d", flags=READ_WRITE)])
    assert ranges(mapped(moved, shift=HIGH)) == [
        (HIGH, 16 * MIB, PAGE, "r-x"),
        (HIGH + PAGE, 16 * MIB + PAGE, PAGE, "rw-"),
    ]


def test_gaps_between_segments_stay_unmapped() -> None:
    gap = Part(HIGH + 8 * PAGE, b"d", flags=READ_WRITE)
    assert [page.virtual for page in mapped(OwnKernel([CODE, gap]))] == [HIGH, HIGH + 8 * PAGE]


def test_segments_with_equal_rights_share_a_page() -> None:
    kernel = OwnKernel([Part(HIGH, b"c" * 10), Part(HIGH + 0x800, b"c" * 0x900), Part(HIGH + 0x1200, b"c")])
    assert ranges(mapped(kernel)) == [(HIGH, 16 * MIB, 2 * PAGE, "r-x")]


def test_a_large_segment_takes_large_pages_where_it_can() -> None:
    large = Part(HIGH, b"c", memory=5 * MIB)
    assert [page.size for page in mapped(OwnKernel([large]))] == [2 * MIB, 2 * MIB] + [PAGE] * 256


@pytest.mark.parametrize(
    ("start", "size", "rights"),
    [
        (2 * PAGE, PAGE, "r-- rw- rw- rw-"),
        (2 * PAGE + 8, PAGE, "r-- rw- rw- rw-"),
        (2 * PAGE, PAGE + 8, "r-- rw- rw- rw-"),
        (3 * PAGE, 2 * PAGE, "rw- r-- r-- rw-"),
        (2 * PAGE, 3 * PAGE + 1, "r-- r-- r-- rw-"),
        (2 * PAGE, PAGE - 1, "rw- rw- rw- rw-"),
    ],
)
def test_what_is_read_only_after_relocation_is(start: int, size: int, rights: str) -> None:
    kernel = OwnKernel([CODE, CONSTANTS, DATA], pieces=[(RELRO, HIGH + start, size)])
    assert [page.rights for page in mapped(kernel)] == ["r-x", "r--", *rights.split()]
