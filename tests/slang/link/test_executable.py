"""Are our ELF executables what readers of ELF, and gdb, take them for?"""

import subprocess
from collections.abc import Callable
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from bootslang.slang.link import Image, LinkRequest, ObjectFile, link
from bootslang.slang.link.request import Kind

Compile = Callable[..., ObjectFile]

KERNEL = """
@note = constant [5 x i32] [i32 4, i32 4, i32 18, i32 7234904, i32 7], section ".note.Xen", align 4
@limit = internal constant i32 7, section ".rodata.limit", align 4
@pages = internal constant [4 x i8] c"page", section ".rodata.pages", align 4096
@counter = internal global i32 5, section ".data.counter", align 4
@room = internal global [8192 x i8] zeroinitializer, section ".bss.room", align 4096
define internal i32 @add(i32 %x) noinline section ".text.add" { %l = load volatile i32, ptr @limit
  %y = add i32 %x, %l
  ret i32 %y }
define void @start() section ".start" {
  %c = load volatile i32, ptr @counter
  %d = call i32 @add(i32 %c)
  store volatile i32 %d, ptr @room
  %p = load volatile i8, ptr @pages
  ret void }
"""
DEBUGGED = """
define i32 @answer(i32 %x) noinline section ".text.answer" !dbg !4 {
  %y = add i32 %x, 40, !dbg !7
  %z = mul i32 %y, %x, !dbg !8
  ret i32 %z, !dbg !9
}
define i32 @gone(i32 %x) section ".text.gone" !dbg !14 { ret i32 %x, !dbg !15 }
define i32 @start(i32 %x) section ".start" !dbg !10 {
  %y = call i32 @answer(i32 %x), !dbg !11
  %z = add i32 %y, 1, !dbg !12
  ret i32 %z, !dbg !12
}
!llvm.dbg.cu = !{!0}
!llvm.module.flags = !{!2, !3}
!0 = distinct !DICompileUnit(language: DW_LANG_Python, file: !1, isOptimized: true, emissionKind: FullDebug)
!1 = !DIFile(filename: "lift.py", directory: "/boot")
!2 = !{i32 2, !"Debug Info Version", i32 3}
!3 = !{i32 7, !"Dwarf Version", i32 %VERSION%}
!4 = distinct !DISubprogram(name: "answer", scope: !1, file: !1, line: 3, type: !5, scopeLine: 3, unit: !0,
  spFlags: DISPFlagDefinition)
!5 = !DISubroutineType(types: !6)
!6 = !{!13, !13}
!7 = !DILocation(line: 4, column: 5, scope: !4)
!8 = !DILocation(line: 5, column: 5, scope: !4)
!9 = !DILocation(line: 6, column: 5, scope: !4)
!10 = distinct !DISubprogram(name: "start", scope: !1, file: !1, line: 8, type: !5, scopeLine: 8, unit: !0,
  spFlags: DISPFlagDefinition)
!11 = !DILocation(line: 9, column: 5, scope: !10)
!12 = !DILocation(line: 10, column: 5, scope: !10)
!13 = !DIBasicType(name: "u32", size: 32, encoding: DW_ATE_unsigned)
!14 = distinct !DISubprogram(name: "gone", scope: !1, file: !1, line: 12, type: !5, scopeLine: 12, unit: !0,
  spFlags: DISPFlagDefinition)
!15 = !DILocation(line: 13, column: 5, scope: !14)
"""
MACHINES = ("real16", "protected32", "long64")
EXECUTABLES: tuple[tuple[Kind, str], ...] = (("elf32", "protected32"), ("elf64", "long64"))


def kernel(compiled: Compile, kind: Kind, target: str) -> Image:
    return link(LinkRequest(name="kernel", objects=(compiled(KERNEL, target=target),), base=0x100000, kind=kind))


def debugged(compiled: Compile, target: str, version: int = 5) -> Image:
    code = compiled(DEBUGGED.replace("%VERSION%", str(version)), target=target)
    return link(LinkRequest(name="lift", objects=(code,), base=0x8000))


def output_of(path: Path, *command: str) -> str:
    run = subprocess.run([*command, str(path)], capture_output=True, text=True, check=True)
    assert run.stderr == ""
    return run.stdout


def gdb(path: Path, *commands: str) -> str:
    """What gdb answers to `commands` about the executable at `path`."""
    arguments = [part for command in commands for part in ("-ex", command)]
    run = subprocess.run(["gdb", "-batch", "-nx", *arguments, path], capture_output=True, text=True, check=True)
    return run.stdout


@pytest.mark.parametrize(("kind", "target"), EXECUTABLES)
def test_readelf_has_no_complaint_about_an_executable(
    compiled: Compile, tmp_path: Path, kind: Kind, target: str
) -> None:
    path = tmp_path / "kernel"
    path.write_bytes(kernel(compiled, kind, target).data)
    text = output_of(path, "readelf", "--all", "--wide")
    assert "Warning" not in text
    assert "EXEC (Executable file)" in text
    assert "Xen" in text


@pytest.mark.parametrize("target", MACHINES)
@pytest.mark.parametrize("version", [4, 5])
def test_readelf_has_no_complaint_about_a_flat_images_twin(
    compiled: Compile, tmp_path: Path, target: str, version: int
) -> None:
    path = tmp_path / "lift.elf"
    path.write_bytes(debugged(compiled, target, version).elf)
    text = output_of(path, "readelf", "--all", "--wide", "--debug-dump")
    assert "Warning" not in text
    assert "lift.py" in text


@pytest.mark.parametrize(("kind", "target"), EXECUTABLES)
def test_segments_have_their_own_pages_and_no_more_rights_than_needed(
    compiled: Compile, kind: Kind, target: str
) -> None:
    elf = ELFFile(BytesIO(kernel(compiled, kind, target).data))
    loads = [segment.header for segment in elf.iter_segments("PT_LOAD")]
    assert [load["p_flags"] for load in loads] == [4 | 1, 4, 4 | 2]
    for load in loads:
        assert load["p_vaddr"] == load["p_paddr"]
        assert load["p_vaddr"] % 4096 == load["p_offset"] % 4096
    for before, after in pairwise(loads):
        assert (before["p_vaddr"] + before["p_memsz"] - 1) // 4096 < after["p_vaddr"] // 4096
    assert loads[-1]["p_memsz"] > 8192 > loads[-1]["p_filesz"]


@pytest.mark.parametrize(("kind", "target"), EXECUTABLES)
def test_notes_stay_notes_and_lie_in_memory(compiled: Compile, kind: Kind, target: str) -> None:
    elf = ELFFile(BytesIO(kernel(compiled, kind, target).data))
    (note,) = elf.iter_segments("PT_NOTE")
    assert note.data() == b"".join(word.to_bytes(4, "little") for word in (4, 4, 18, 7234904, 7))
    assert any(
        load["p_offset"] <= note["p_offset"] < load["p_offset"] + load["p_filesz"]
        for load in elf.iter_segments("PT_LOAD")
    )


@pytest.mark.parametrize(("kind", "target"), EXECUTABLES)
def test_the_segments_hold_what_a_flat_image_would(compiled: Compile, kind: Kind, target: str) -> None:
    linked = kernel(compiled, kind, target)
    elf = ELFFile(BytesIO(linked.data))
    memory = bytearray(linked.memory_bytes)
    for load in elf.iter_segments("PT_LOAD"):
        start = load["p_vaddr"] - linked.base
        memory[start : start + load["p_filesz"]] = load.data()
    for name, value in (("counter", 5), ("limit", 7), ("pages", int.from_bytes(b"page", "little"))):
        at = linked.symbols[name] - linked.base
        assert int.from_bytes(memory[at : at + 4], "little") == value
    assert elf["e_entry"] == linked.entry == linked.symbols["start"] == linked.base


@pytest.mark.parametrize("target", MACHINES)
def test_the_twin_has_the_flat_images_bytes_at_its_addresses(compiled: Compile, target: str) -> None:
    linked = debugged(compiled, target)
    (load,) = ELFFile(BytesIO(linked.elf)).iter_segments("PT_LOAD")
    assert load["p_vaddr"] == linked.base
    assert load["p_memsz"] == linked.memory_bytes
    assert load.data() == linked.data


@pytest.mark.parametrize("target", MACHINES)
@pytest.mark.parametrize("version", [4, 5])
def test_gdb_finds_lines_functions_and_types(compiled: Compile, tmp_path: Path, target: str, version: int) -> None:
    path = tmp_path / "lift.elf"
    linked = debugged(compiled, target, version)
    path.write_bytes(linked.elf)
    text = gdb(
        path, "info address answer", "info line lift.py:9", "info line lift.py:5", "ptype answer", "info line *0x8000"
    )
    answer, start = linked.symbols["answer"], linked.symbols["start"]
    assert f'Symbol "answer" is a function at address {answer:#x}.' in text
    assert 'Line 9 of "lift.py" starts at address' in text
    assert 'Line 5 of "lift.py" starts at address' in text
    assert "type = u32 (void)" in text
    assert f"starts at address {start:#x} <start>" in text


@pytest.mark.parametrize("version", [4, 5])
def test_two_units_debug_information_stands_side_by_side(compiled: Compile, tmp_path: Path, version: int) -> None:
    first = DEBUGGED.replace("%VERSION%", str(version))
    second = first.replace("@start", "@other").replace('"start"', '"other"').replace("lift.py", "codec.py")
    second = second.replace("@answer", "@result").replace('"answer"', '"result"').replace("@gone", "@lost")
    second = second.replace('section ".start"', 'section ".text.other"')
    objects = (compiled(first, name="a.o"), compiled(second, name="b.o"))
    linked = link(LinkRequest(name="x", objects=objects, base=0x8000, keep=("other",)))
    path = tmp_path / "x.elf"
    path.write_bytes(linked.elf)
    text = gdb(path, "info line other", "info line answer")
    assert f'Line 9 of "codec.py" starts at address {linked.symbols["other"]:#x} <other>' in text
    assert f'Line 3 of "lift.py" starts at address {linked.symbols["answer"]:#x} <answer>' in text
