"""Does the window show the loader's image by its rights, and stacks with nothing below them?"""

from __future__ import annotations

import ctypes
from itertools import pairwise

import pytest

from bootslang.boot.handoff import STACK_BYTES
from bootslang.boot.lift.handoff import window as maker
from bootslang.boot.lift.handoff.tables import PageTables
from bootslang.boot.lift.handoff.window import ALL_STACKS_BYTES, FAULT_STACK_BYTES, Window
from bootslang.slang import BootError, FakeMachine, span
from support.page_walk import pages, ranges

PAGE = 0x1000
BASE = 0xFFFF_FFFF_7FE0_0000
STACKS = 0x300_0000


class Image(FakeMachine):
    """Answers where the image lies."""

    def __init__(self, data_end: int) -> None:
        self.places = {
            "__image_start": 0x2_0000,
            "__text_end": 0x2_8000,
            "__rodata_end": 0x2_B000,
            "__bss_end": data_end,
        }

    def assembly(self, code: str, registers: dict[str, int]) -> dict[str, int]:
        assert not registers
        return {"rax": next(place for name, place in self.places.items() if name in code)}


def mapped(data_end: int) -> tuple[Window, list[tuple[int, int, int, str]]]:
    memory = bytearray(8 * PAGE)
    tables = PageTables.zeroed()
    tables.start(-(-span(memory).address // PAGE) * PAGE, 7 * PAGE, huge=False)
    window = Window.zeroed()
    window.base = BASE
    with Image(data_end):
        maker.map_window(window, tables, STACKS)
    return window, ranges(pages(tables.root, ctypes.string_at))


def test_code_constants_and_variables_have_their_rights() -> None:
    _, found = mapped(0x3_4000)
    assert found[:3] == [
        (BASE, 0x2_0000, 0x8000, "r-x"),
        (BASE + 0x8000, 0x2_8000, 0x3000, "r--"),
        (BASE + 0xB000, 0x2_B000, 0x9000, "rw-"),
    ]


def test_each_stack_has_an_unmapped_page_below_it() -> None:
    window, found = mapped(0x3_4000)
    assert [(size, rights) for _, _, size, rights in found[3:]] == [
        *[(FAULT_STACK_BYTES, "rw-")] * 3,
        (STACK_BYTES, "rw-"),
    ]
    end = BASE + 0x1_4000
    for start, _, size, _ in found[3:]:
        assert start == end + PAGE
        end = start + size
    tops = [start + size for start, _, size, _ in found[3:]]
    assert [*window.fault_stack_tops, window.stack_top] == tops


def test_the_stacks_share_no_memory() -> None:
    _, found = mapped(0x3_4000)
    physical = [(start, start + size) for _, start, size, _ in found[3:]]
    assert physical[0][0] == STACKS
    assert physical[-1][1] == STACKS + ALL_STACKS_BYTES
    assert all(one[1] == other[0] for one, other in pairwise(physical))


def test_an_image_that_leaves_no_room_is_an_error() -> None:
    with pytest.raises(BootError, match=r"the loader takes .* bytes of addresses: 2 MiB are its limit"):
        mapped(0x20_0000)
