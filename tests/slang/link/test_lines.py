"""Does the table of source lines say the same as DWARF, in a tenth of the room?"""

from __future__ import annotations

import re
import subprocess
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bootslang import rocket
from bootslang.slang.link import Image, LinkError, LinkRequest, ObjectFile, link
from bootslang.slang.link.lines import Row, encoded_rows, simplified
from support.line_table import Place, files_of, find, rows_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Compile = Callable[..., ObjectFile]

BASE = 0x20_0000
STEP = 37
"""Every so many bytes addr2line is asked: odd, so that all kinds of places come up."""
MOST_BYTES_A_ROW = 2.2

TWO_FUNCTIONS = """
define i32 @answer(i32 %x) noinline section ".text.answer" !dbg !4 {
  %y = add i32 %x, 40, !dbg !7
  %z = mul i32 %y, %x, !dbg !8
  ret i32 %z, !dbg !9
}
define void @nobody() noinline section ".text.nobody" { ret void }
define i32 @start(i32 %x) section ".start" !dbg !10 {
  %y = call i32 @answer(i32 %x), !dbg !11
  call void @nobody(), !dbg !11
  %z = add i32 %y, 1, !dbg !12
  ret i32 %z, !dbg !12
}
!llvm.dbg.cu = !{!0}
!llvm.module.flags = !{!2, !3}
!0 = distinct !DICompileUnit(language: DW_LANG_Python, file: !1, isOptimized: true, emissionKind: FullDebug)
!1 = !DIFile(filename: "lift.py", directory: "boot/first")
!2 = !{i32 2, !"Debug Info Version", i32 3}
!3 = !{i32 7, !"Dwarf Version", i32 %VERSION%}
!4 = distinct !DISubprogram(name: "answer", scope: !1, file: !1, line: 300, type: !5, scopeLine: 300, unit: !0,
  spFlags: DISPFlagDefinition)
!5 = !DISubroutineType(types: !6)
!6 = !{null}
!7 = !DILocation(line: 301, column: 5, scope: !4)
!8 = !DILocation(line: 305, column: 5, scope: !4)
!9 = !DILocation(line: 299, column: 5, scope: !4)
!10 = distinct !DISubprogram(name: "start", scope: !1, file: !1, line: 8, type: !5, scopeLine: 8, unit: !0,
  spFlags: DISPFlagDefinition)
!11 = !DILocation(line: 9, column: 5, scope: !10)
!12 = !DILocation(line: 10, column: 5, scope: !10)
"""


def table_of(image: Image) -> bytes:
    return image.data[image.symbols["__lines_start"] - image.base : image.symbols["__lines_end"] - image.base]


@pytest.fixture(scope="module")
def lift() -> Image:
    """All of the 64-bit stage 4, with its table."""
    parts = tuple(ObjectFile(name, rocket.objects()[name]) for name in ("lift64", "codec_bzip2_64"))
    return link(LinkRequest(name="lift64", objects=parts, base=BASE, relocatable=True, lines=True))


def test_every_place_is_where_addr2line_says(lift: Image, tmp_path: Path) -> None:
    path = tmp_path / "lift.elf"
    path.write_bytes(lift.elf)
    code_end = max(address for address, _, _ in rows_of(table_of(lift))) + BASE
    addresses = [hex(address) for address in range(BASE, code_end, STEP)]
    said = subprocess.run(
        ["addr2line", "-e", path, "-f", "-i", "-a", *addresses], capture_output=True, text=True, check=True
    ).stdout
    answers = re.findall(r"^(0x[0-9a-f]+)\n(\S+)\n\S*bootslang/(\S+\.py):(\S+)", said, re.MULTILINE)
    assert len(answers) > 0.95 * len(addresses)
    same_function = 0
    for address, function, file, line in answers:
        place = find(table_of(lift), int(address, 16) - BASE)
        assert place is not None
        if line != "?":  # the compiler's own, which belongs to the line before
            assert (place.file, place.line) == (file, int(line))
        full = f"bootslang.{file[:-3].replace('/', '.')}.{place.function}"
        same_function += re.sub(r"\.try\d+$", "", function) in (full, place.function)  # memcpy has no other name
    # DWARF tells functions by ranges, which LLVM lets begin an instruction too early here and there.
    assert same_function > 0.95 * len(answers)


def test_the_table_is_small(lift: Image) -> None:
    table = table_of(lift)
    rows = rows_of(table)
    assert len(rows) > 1000
    assert int.from_bytes(table[:4], "little") <= MOST_BYTES_A_ROW * len(rows)
    code = lift.symbols["__text_end"] - BASE
    assert len(table) < code * 0.3


@pytest.mark.parametrize("version", [4, 5])
def test_rows_files_and_functions(compiled: Compile, version: int) -> None:
    first = compiled(TWO_FUNCTIONS.replace("%VERSION%", str(version)), target="long64")
    other = TWO_FUNCTIONS.replace("%VERSION%", str(version)).replace("boot/first", "boot/other")
    other = other.replace("@start", "@second").replace('".start"', '".text.second"').replace("@nobody", "@no_one")
    second = compiled(other.replace("@answer", "@result"), target="long64", name="b.o")
    request = LinkRequest(
        name="x", objects=(first, second), base=BASE, relocatable=True, lines=True, head=512, keep=("second",)
    )
    image = link(request)
    table = table_of(image)
    functions = {8: "start", 300: "answer"}
    assert files_of(table) == [("first/lift.py", functions), ("other/lift.py", functions)]

    def place_of(symbol: str) -> Place | None:
        return find(table, image.symbols[symbol] - BASE)

    assert place_of("start") == Place("start", "first/lift.py", 8)
    assert place_of("answer") == Place("answer", "first/lift.py", 301)
    assert place_of("second") == Place("start", "other/lift.py", 8)
    lines = [line for _, file, line in rows_of(table) if file == 0]
    assert lines[:2] == [8, 9]
    assert 305 in lines  # by which the table's numbers get more than one byte
    assert find(table, 0) is None  # the head
    assert find(table, image.symbols["__text_end"] - BASE) is None


def test_code_without_lines_is_nobodys(compiled: Compile) -> None:
    wide = (
        TWO_FUNCTIONS.replace("%VERSION%", "5")
        .replace("@nobody() noinline", "@nobody() naked noinline")
        .replace("{ ret void }", '{ call void asm sideeffect inteldialect ".zero 64", ""()\n ret void }')
    )
    image = link(
        LinkRequest(name="x", objects=(compiled(wide, target="long64"),), base=BASE, relocatable=True, lines=True)
    )
    assert find(table_of(image), image.symbols["nobody"] - BASE + 20) is None
    assert find(table_of(image), image.symbols["answer"] - BASE) is not None


def test_without_being_asked_for_there_is_none(compiled: Compile) -> None:
    code = compiled(TWO_FUNCTIONS.replace("%VERSION%", "5"), target="long64")
    image = link(LinkRequest(name="x", objects=(code,), base=BASE, relocatable=True))
    assert table_of(image) == b""
    plain = link(LinkRequest(name="x", objects=(code,), base=BASE, relocatable=True, lines=True))
    assert plain.symbols["answer"] == image.symbols["answer"]


def test_more_lines_than_the_table_can_tell_are_refused(compiled: Compile) -> None:
    code = compiled(TWO_FUNCTIONS.replace("%VERSION%", "5").replace("line: 305", "line: 65536"), target="long64")
    with pytest.raises(LinkError) as caught:
        link(LinkRequest(name="loader", objects=(code,), base=BASE, relocatable=True, lines=True))
    assert str(caught.value) == "loader: its table of lines has room for 256 files of 65,535 lines each"


def test_damaged_debug_information_is_told_as_such(compiled: Compile) -> None:
    good = compiled(TWO_FUNCTIONS.replace("%VERSION%", "5"), target="long64").data
    told = set()
    for at in range(0, len(good), 7):
        bad = ObjectFile("bad.o", good[:at] + bytes([good[at] ^ 0xFF]) + good[at + 1 :])
        try:
            link(LinkRequest(name="x", objects=(bad,), base=BASE, relocatable=True, lines=True))
        except LinkError as error:
            told.add(str(error))
    assert "x: the debug information of its objects is damaged" in told


ROWS = st.lists(
    st.builds(
        Row,
        st.integers(0, 200) | st.integers(0, 2**32),
        st.sampled_from(["a", "b", "c"]),
        st.integers(1, 20) | st.integers(1, 0xFFFF),
    ),
)


@given(rows=ROWS)
def test_what_is_written_is_read_back(rows: list[Row]) -> None:
    files = ["a", "b", "c"]
    kept = simplified(rows)
    program = encoded_rows(kept, files, 0)
    table = len(program).to_bytes(4, "little") + program
    assert rows_of(table) == [(row.address, files.index(row.file), row.line) for row in kept]


@given(rows=ROWS)
def test_rows_rise_and_each_says_something_new(rows: list[Row]) -> None:
    kept = simplified(rows)
    assert [row.address for row in kept] == sorted({row.address for row in kept})
    assert not any(one[1:] == other[1:] for one, other in pairwise(kept))
    assert {row.address for row in kept} <= {row.address for row in rows}
