"""Is what PVH's start info tells entered as it is, and refused by name where it cannot be?"""

import struct
from collections.abc import Iterator

import pytest

from bootslang.boot.context import DOOR_PVH, SPENT_MEMORY, BootContext
from bootslang.boot.pvh import start_info
from bootslang.slang import BootError
from support.handed_over import PC, File, StartInfo, line_of, lines_of, modules_of, reservations_of
from support.reach import Reach

OUTSIDE = "lie outside the memory that a loader below 4 GiB can use"


@pytest.fixture
def memory() -> Iterator[Reach]:
    with Reach() as reach:
        yield reach


def gathered(memory: Reach, told: StartInfo) -> BootContext:
    context = BootContext.zeroed()
    start_info.gather(told.put(memory), context)
    return context


def refusal(memory: Reach, told: StartInfo) -> str:
    with pytest.raises(BootError) as error:
        gathered(memory, told)
    return str(error.value)


def test_qemus_start_info(memory: Reach) -> None:
    """QEMU passes one module without a text. No screen is taken for granted."""
    context = gathered(memory, StartInfo(b"--verbose root=/dev/vda", files=[File(b"bundle")], rsdp=0xF_5AD0))
    assert (context.door, context.rsdp, context.log, context.text_mode.is_vga) == (DOOR_PVH, 0xF_5AD0, 0, 0)
    assert line_of(context) == b"--verbose root=/dev/vda"
    assert lines_of(context) == list(PC)
    ((base, size, text),) = modules_of(context)
    assert (memory.read(base, size), text) == (b"bundle", b"")
    assert reservations_of(context) == [(base, 6, SPENT_MEMORY)]


def test_xens_modules_have_texts(memory: Reach) -> None:
    context = gathered(memory, StartInfo(files=[File(b"kernel", b" ro quiet "), File(b"archive", b"")], version=2))
    assert [text for _, _, text in modules_of(context)] == [b"ro quiet", b""]


def test_a_module_whose_text_is_rubbish(memory: Reach, capsys: pytest.CaptureFixture[str]) -> None:
    """Is it booted all the same? QEMU's option ROM leaves the field as the memory was."""
    rubbish = 0xA5A5_A5A5_A5A5_A5A5
    table = memory.put(struct.pack("<QQQQ", memory.put(b"kernel"), 6, rubbish, 0))
    told = StartInfo(files=[File()], patches={0x10: struct.pack("<Q", table)})
    ((base, size, text),) = modules_of(gathered(memory, told))
    assert (memory.read(base, size), text) == (b"kernel", b"")
    assert capsys.readouterr().out == f"PVH, module's text: 1 bytes at {rubbish:#x} {OUTSIDE}: passed over\n"


@pytest.mark.parametrize("magic", [0, 0x336E_C579, 0x2BAD_B002])
def test_no_start_info(memory: Reach, magic: int) -> None:
    told = StartInfo(patches={0: struct.pack("<I", magic)})
    place = memory.end - 56
    assert refusal(memory, told) == f"PVH: the start info at {place:#x} begins with {magic:#010x}, not 0x336ec578"


def test_a_start_info_without_a_map(memory: Reach) -> None:
    assert refusal(memory, StartInfo(version=0)) == "PVH: the start info is of version 0, which has no memory map"
    assert refusal(memory, StartInfo(map=[])) == "the loader before us tells no memory: neither a map nor a size"


@pytest.mark.parametrize("lines", [4097, 0xFFFF_FFFF])
def test_a_map_without_end(memory: Reach, lines: int) -> None:
    told = StartInfo(patches={0x30: struct.pack("<I", lines)})
    assert refusal(memory, told) == f"PVH: a memory map of {lines} lines, more than 4096"


@pytest.mark.parametrize("count", [33, 0xFFFF_FFFF])
def test_too_many_modules(memory: Reach, count: int) -> None:
    told = StartInfo(files=[File()], patches={0x0C: struct.pack("<I", count)})
    assert refusal(memory, told) == f"PVH: {count} modules, more than 32"


@pytest.mark.parametrize(
    ("offset", "what", "size"), [(0x10, "modules", 32), (0x18, "command line", 1), (0x28, "memory map", 96)]
)
@pytest.mark.parametrize("where", ["below", "behind", "above 4 GiB", "at the very top"])
def test_a_pointer_that_leads_elsewhere(memory: Reach, offset: int, what: str, size: int, where: str) -> None:
    place = {
        "below": memory.start - 1,
        "behind": memory.end - size + 1,
        "above 4 GiB": memory.start + (1 << 32),
        "at the very top": (1 << 64) - 1,
    }[where]
    told = StartInfo(b"x", files=[File(b"x", b"y")], patches={offset: struct.pack("<Q", place)})
    assert refusal(memory, told) == f"PVH, {what}: {size} bytes at {place:#x} {OUTSIDE}"


def test_the_start_info_itself_lies_elsewhere(memory: Reach) -> None:
    with pytest.raises(BootError, match=f"^PVH, start info: 56 bytes at {memory.end:#x} {OUTSIDE}$"):
        start_info.gather(memory.end, BootContext.zeroed())


@pytest.mark.parametrize(("base", "size"), [(1 << 32, 1), (0x10_0000, (1 << 64) - 1), ((1 << 64) - 1, 2)])
def test_a_module_beyond_what_can_be_read(memory: Reach, base: int, size: int) -> None:
    told = StartInfo(files=[File(place=(base, size))])
    assert refusal(memory, told) == f"a module: {size} bytes at {base:#x} {OUTSIDE}"


def test_lines_of_the_map_are_entered_as_they_are(memory: Reach) -> None:
    """Is disorder left to the lift, are empty lines left out, and our own kinds not taken from a firmware?"""
    overlapping = [(0x9000, 0x1000, 1), (0, 0x9800, 2), ((1 << 64) - 1, 2, 1), (1, 1, 1)]
    lines = [*overlapping, (5, 0, 1), (2, 1, 0), (9, 1, 0x1002)]
    expected = [*overlapping, (2, 1, 2), (9, 1, 2)]
    assert lines_of(gathered(memory, StartInfo(map=lines))) == expected


def test_neighbours_are_joined_only_where_nothing_wraps(memory: Reach) -> None:
    lines = [((1 << 64) - 0x1000, 0x1000, 1), (0, 0x1000, 1), (0x1000, 0x1000, 1), (0x2000, (1 << 64) - 0x2000, 1)]
    expected = [lines[0], (0, 0x2000, 1), lines[3]]
    assert lines_of(gathered(memory, StartInfo(map=lines))) == expected
