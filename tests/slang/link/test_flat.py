"""Is a flat image what a loader and other linkers expect?"""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bootslang.slang.link import AbsoluteAddress, Image, LinkRequest, ObjectFile, link

Compile = Callable[..., ObjectFile]
MACHINES = ("real16", "protected32", "long64")
BASE = 0x8000

MAIN = """
@header = constant [4 x i8] c"BOOT", section ".header"
@counter = internal global i32 5, section ".data.counter", align 4
@letter = internal global i8 65, section ".data.letter", align 1
@room = internal global [100 x i8] zeroinitializer, section ".bss.room", align 16
@table = internal constant [2 x ptr] [ptr @one, ptr @two], section ".rodata.table", align 8
@text = private unnamed_addr constant [6 x i8] c"hello\\00"
@__start_set_codecs = external hidden global i8
@__stop_set_codecs = external hidden global i8
@shared = external hidden global i32
define internal i32 @one(i32 %x) noinline section ".text.one" { %y = add i32 %x, 1
  ret i32 %y }
define internal i32 @two(i32 %x) noinline section ".text.two" { %y = add i32 %x, 2
  ret i32 %y }
define i32 @unused(i32 %x) section ".text.unused" { %y = call i32 @nobody(i32 %x)
  ret i32 %y }
declare i32 @nobody(i32)
declare hidden i32 @helper(i32)
define void @start(i32 %x) section ".start" {
  %place = getelementptr ptr, ptr @table, i32 %x
  %function = load ptr, ptr %place
  %result = call i32 %function(i32 %x)
  %other = call i32 @helper(i32 %result)
  store volatile i32 %other, ptr @counter
  store volatile i8 66, ptr @letter
  store volatile i32 %other, ptr @room
  %c = load volatile i8, ptr @text
  %s = load volatile i8, ptr @__start_set_codecs
  %t = load volatile i8, ptr @__stop_set_codecs
  store volatile i32 7, ptr @shared
  ret void
}
"""
HELP = """
@shared = hidden global i32 9, section ".data.shared", align 4
@bzip2 = constant [2 x ptr] [ptr @unpack, ptr @shared], section ".set.codecs.bzip2", align 8
@apple = constant [2 x ptr] [ptr @helper, ptr @shared], section ".set.codecs.apple", align 8
@alone = constant ptr @unneeded, section ".set.others.alone"
define hidden i32 @helper(i32 %x) section ".text.helper" { %y = mul i32 %x, 7
  ret i32 %y }
define hidden i32 @unpack(i32 %x) section ".text.unpack" { %y = xor i32 %x, 7
  ret i32 %y }
define hidden i32 @unneeded(i32 %x) section ".text.unneeded" { ret i32 %x }
"""
SCRIPT = """
SECTIONS {
  . = 0x8000;
  .header : { KEEP(*(.header)) }
  .start : { KEEP(*(.start)) } =0
  .text : { *(.text .text.*) } =0
  .rodata : { *(SORT_BY_ALIGNMENT(.rodata*)) } =0
  .set.codecs : { __start_set_codecs = .; KEEP(*(SORT_BY_NAME(.set.codecs.*))) __stop_set_codecs = .; } =0
  .data : { *(SORT_BY_ALIGNMENT(.data.*)) } =0
  .bss : { *(SORT_BY_ALIGNMENT(.bss*)) }
  /DISCARD/ : { *(.eh_frame .note.GNU-stack .comment .set.*) }
}
"""


def image(compiled: Compile, target: str) -> Image:
    objects = (compiled(MAIN, target=target, name="main.o"), compiled(HELP, target=target, name="help.o"))
    return link(LinkRequest(name="stage 9", objects=objects, base=BASE))


@pytest.mark.parametrize("target", MACHINES)
def test_the_bytes_are_those_of_the_gnu_linker(compiled: Compile, tmp_path: Path, target: str) -> None:
    for name, ir in (("main.o", MAIN), ("help.o", HELP)):
        (tmp_path / name).write_bytes(compiled(ir, target=target).data)
    (tmp_path / "script").write_text(SCRIPT)
    emulation = "elf_x86_64" if target == "long64" else "elf_i386"
    for command in (
        f"ld -m {emulation} --gc-sections -e start -T script -o elf main.o help.o",
        "objcopy -O binary elf flat",
    ):
        subprocess.run(command.split(), cwd=tmp_path, check=True)
    assert image(compiled, target).data == (tmp_path / "flat").read_bytes()


@pytest.mark.parametrize("target", MACHINES)
def test_what_a_loader_looks_for_stands_first(compiled: Compile, target: str) -> None:
    linked = image(compiled, target)
    assert linked.data.startswith(b"BOOT")
    assert linked.symbols["header"] == linked.symbols["__image_start"] == linked.base == BASE
    names = ("header", "start", "one", "table", "apple", "counter", "room")
    assert [linked.symbols[name] for name in names] == sorted(linked.symbols[name] for name in names)
    assert linked.entry == linked.symbols["start"]


@pytest.mark.parametrize("target", MACHINES)
def test_zero_filled_data_takes_memory_and_no_bytes(compiled: Compile, target: str) -> None:
    linked = image(compiled, target)
    assert linked.symbols["__image_end"] == BASE + len(linked.data)
    assert linked.symbols["room"] == linked.symbols["__bss_start"] >= linked.symbols["__image_end"]
    assert linked.symbols["__bss_end"] == BASE + linked.memory_bytes >= linked.symbols["room"] + 100
    # Entry code clears whole words.
    assert linked.symbols["__bss_start"] % 8 == linked.symbols["__bss_end"] % 8 == 0


@pytest.mark.parametrize("target", MACHINES)
def test_what_nothing_reaches_is_left_out_with_its_undefined_names(compiled: Compile, target: str) -> None:
    symbols = image(compiled, target).symbols
    assert "unused" not in symbols
    assert "unneeded" not in symbols
    assert "unpack" in symbols  # by way of the set alone


@pytest.mark.parametrize(("target", "pointer"), [("real16", 4), ("protected32", 4), ("long64", 8)])
def test_a_linker_set_is_sorted_by_name_and_bounded(compiled: Compile, target: str, pointer: int) -> None:
    linked = image(compiled, target)
    start, stop = linked.symbols["__start_set_codecs"], linked.symbols["__stop_set_codecs"]
    entries = linked.data[start - BASE : stop - BASE]
    values = [int.from_bytes(entries[at : at + pointer], "little") for at in range(0, len(entries), pointer)]
    assert values == [linked.symbols[name] for name in ("helper", "shared", "unpack", "shared")]


def test_a_set_without_entries_is_empty(compiled: Compile) -> None:
    ir = """@__start_set_none = external global i8
    @__stop_set_none = external global i8
    @bounds = constant [2 x ptr] [ptr @__start_set_none, ptr @__stop_set_none], section ".header" """
    data = link(LinkRequest(name="x", objects=(compiled(ir),), base=0x1000)).data
    assert data[:4] == data[4:]


@pytest.mark.parametrize("target", MACHINES)
def test_moving_the_image_changes_the_listed_places_and_nothing_else(compiled: Compile, target: str) -> None:
    objects = (compiled(MAIN, target=target, name="main.o"), compiled(HELP, target=target, name="help.o"))
    here = link(LinkRequest(name="x", objects=objects, base=0x8000))
    there = link(LinkRequest(name="x", objects=objects, base=0x9000))
    assert here.relocations == there.relocations == tuple(sorted(here.relocations))
    assert here.relocations
    moved = bytearray(here.data)
    for offset, size in here.relocations:
        value = int.from_bytes(moved[offset : offset + size], "little") + 0x1000
        moved[offset : offset + size] = value.to_bytes(size, "little")
    assert bytes(moved) == there.data


def test_a_plain_number_does_not_move_with_the_image(compiled: Compile) -> None:
    ir = """@screen = external global i8
    @pointers = constant [2 x ptr] [ptr @screen, ptr @pointers], section ".header" """
    linked = link(LinkRequest(name="x", objects=(compiled(ir),), base=0x1000, symbols={"screen": 0xB8000}))
    assert linked.data == (0xB8000).to_bytes(4, "little") + (0x1000).to_bytes(4, "little")
    assert linked.relocations == (AbsoluteAddress(4, 4),)


def test_a_symbol_is_kept_on_request(compiled: Compile) -> None:
    request = LinkRequest(
        name="x",
        objects=(compiled(MAIN.replace("@nobody(", "@one(").replace("declare i32 @one(i32)", "")), compiled(HELP)),
        base=BASE,
        keep=("unused",),
    )
    assert "unused" in link(request).symbols


def test_the_entry_is_the_symbol_asked_for_else_the_first_byte(compiled: Compile) -> None:
    ir = """define void @first() section ".text.first" { ret void }
    define void @second() section ".text.second" { ret void }"""
    request = LinkRequest(name="x", objects=(compiled(ir),), base=0x1000, entry="second", keep=("first",))
    linked = link(request)
    assert linked.entry == linked.symbols["second"] > linked.symbols["first"] == 0x1000
    unnamed = link(LinkRequest(name="x", objects=(compiled(ir),), base=0x1000, keep=("second",)))
    assert unnamed.entry == 0x1000


def test_a_strong_definition_takes_a_weak_ones_place(compiled: Compile) -> None:
    weak = 'define weak i32 @value() section ".start" { ret i32 1 }'
    strong = 'define i32 @value() section ".text.value" { ret i32 2 }'
    for order in ((weak, strong), (strong, weak)):
        objects = tuple(compiled(ir, name=f"{index}.o") for index, ir in enumerate(order))
        linked = link(LinkRequest(name="x", objects=objects, base=0x1000, entry="value"))
        code = linked.data[linked.symbols["value"] - 0x1000 :]
        assert code.startswith(bytes.fromhex("b802000000c3"))


def test_gaps_are_filled_as_asked(compiled: Compile) -> None:
    ir = """@a = constant i8 1, section ".header", align 1
    @b = constant i8 2, section ".rodata.b", align 16"""
    request = LinkRequest(name="x", objects=(compiled(ir),), base=0x1000, keep=("b",), fill=0xCC)
    assert link(request).data == b"\1" + b"\xcc" * 15 + b"\2"


def test_the_map_tells_what_lies_where_and_how_much_is_free(compiled: Compile) -> None:
    ir = """@header = constant [4 x i8] c"BOOT", section ".header", align 1
    @room = global [16 x i8] zeroinitializer, section ".bss.room", align 1
    @text = private unnamed_addr constant [3 x i8] c"hi\\00"
    define void @start() minsize optsize section ".start" { store volatile i8 1, ptr @room
      %c = load volatile i8, ptr @text
      ret void }"""
    request = LinkRequest(name="stage 1", objects=(compiled(ir, name="boot.o"),), base=0x7C00, file_limit=440)
    assert link(request).map == (
        "stage 1, from 0x7c00 to 0x7c28, entered at 0x7c04\n"
        "  in the file  20 of 440 bytes, 420 free\n"
        "  in memory    40 bytes\n"
        "\n"
        "0x00007c00        4  .header\n"
        "0x00007c00        4    header  (boot.o)\n"
        "\n"
        "0x00007c04       13  .start\n"
        "0x00007c04       13    start  (boot.o)\n"
        "\n"
        "0x00007c11        3  .rodata\n"
        "0x00007c11        3    [.rodata.str1.1]  (boot.o)\n"
        "\n"
        "0x00007c18       16  .bss\n"
        "0x00007c18       16    room  (boot.o)\n"
    )


@pytest.mark.parametrize("target", MACHINES)
def test_the_same_objects_give_the_same_image_in_another_process(
    compiled: Compile, tmp_path: Path, target: str
) -> None:
    names = []
    for name, ir in (("main.o", MAIN), ("help.o", HELP)):
        (tmp_path / name).write_bytes(compiled(ir, target=target).data)
        names.append(str(tmp_path / name))
    program = (
        "import sys; from pathlib import Path; from bootslang.slang.link import LinkRequest, ObjectFile, link\n"
        "objects = tuple(ObjectFile(Path(name).name, Path(name).read_bytes()) for name in sys.argv[1:])\n"
        "linked = link(LinkRequest(name='stage 9', objects=objects, base=0x8000))\n"
        "sys.stdout.buffer.write(linked.data + linked.elf + linked.map.encode())"
    )
    other = subprocess.run([sys.executable, "-c", program, *names], capture_output=True, check=True)
    linked = image(compiled, target)
    assert other.stdout == linked.data + linked.elf + linked.map.encode()
