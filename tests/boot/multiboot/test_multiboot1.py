"""Is what Multiboot 1 tells entered as it is, and refused by name where it cannot be?"""

import struct
from collections.abc import Iterator

import pytest

from bootslang.boot.context import DOOR_MULTIBOOT1, LOG_SCREEN, MODULE, SOURCE_MEMORY, SPENT_MEMORY, BootContext
from bootslang.boot.multiboot import multiboot1
from bootslang.slang import BootError
from support.handed_over import (
    PC,
    TEXT_SCREEN,
    File,
    Multiboot1,
    Picture,
    line_of,
    lines_of,
    modules_of,
    name_of,
    reservations_of,
)
from support.reach import Reach

GRUB = b"GRUB 2.06-13+deb12u2"


@pytest.fixture
def memory() -> Iterator[Reach]:
    with Reach() as reach:
        yield reach


def gathered(memory: Reach, told: Multiboot1) -> BootContext:
    context = BootContext.zeroed()
    place = told.put(memory)
    multiboot1.find_screen(place, context)
    multiboot1.gather(place, context)
    return context


def refusal(memory: Reach, told: Multiboot1) -> str:
    with pytest.raises(BootError) as error:
        gathered(memory, told)
    return str(error.value)


def word(value: int) -> bytes:
    return struct.pack("<I", value)


def test_qemus_information(memory: Reach) -> None:
    """QEMU tells no screen, puts the file's name before each text, and ends its information after 88 bytes."""
    files = [File(b"kernel", b"hello.elf one two"), File(b"archive", b"initrd.img")]
    told = Multiboot1(line=b"bootslang.elf32 --verbose root=/dev/vda", name=b"qemu", sizes=(639, 130048), files=files)
    context = gathered(memory, told)
    assert (context.door, context.alt_mem_k, context.log) == (DOOR_MULTIBOOT1, 130048, LOG_SCREEN)
    assert (line_of(context), name_of(context)) == (b"--verbose root=/dev/vda", b"qemu")
    assert lines_of(context) == list(PC)
    assert [(size, text) for _, size, text in modules_of(context)] == [(6, b"one two"), (7, b"")]
    (first, _, _), (second, _, _) = modules_of(context)
    assert memory.read(first, 6) + memory.read(second, 7) == b"kernelarchive"
    assert reservations_of(context) == [(first, 6, SPENT_MEMORY), (second, 7, MODULE)]
    assert (context.text_mode.columns, context.text_mode.rows, context.text_mode.mode) == (80, 25, 3)


def test_grub_2_puts_no_file_names_before_texts(memory: Reach) -> None:
    told = Multiboot1(line=b"--log=serial quiet", name=GRUB, files=[File(b"x", b" ro  quiet ")], picture=TEXT_SCREEN)
    context = gathered(memory, told)
    assert line_of(context) == b"--log=serial quiet"
    assert modules_of(context)[0][2] == b"ro  quiet"
    assert context.log == LOG_SCREEN


@pytest.mark.parametrize(
    ("line", "rest"),
    [(b"", b""), (b"name", b""), (b"  name\t ro", b"ro"), (b"name  --verbose", b"--verbose"), (b"   ", b"")],
)
def test_the_name_is_all_up_to_the_first_space(memory: Reach, line: bytes, rest: bytes) -> None:
    assert line_of(gathered(memory, Multiboot1(line=line))) == rest


def test_all_modules_are_the_kernels_where_the_payload_is_sealed_in(memory: Reach) -> None:
    context = BootContext.zeroed()
    context.source = SOURCE_MEMORY
    multiboot1.gather(Multiboot1(files=[File(b"x"), File(b"y")]).put(memory), context)
    assert [kind for _, _, kind in reservations_of(context)] == [MODULE, MODULE]


def test_sizes_do_where_there_is_no_map(memory: Reach) -> None:
    context = gathered(memory, Multiboot1(sizes=(639, 64512), map=None))
    assert (context.alt_mem_k, context.memory_count) == (64512, 0)


def test_lines_may_be_longer_than_they_have_to(memory: Reach) -> None:
    assert lines_of(gathered(memory, Multiboot1(line_bytes=24))) == list(PC)


def test_a_framebuffer_and_apm(memory: Reach) -> None:
    apm = bytes(range(1, 21))
    context = gathered(memory, Multiboot1(name=GRUB, picture=Picture(), apm=apm))
    frame = context.framebuffer
    assert (frame.base, frame.size, frame.pitch) == (0xFD00_0000, 3200 * 600, 3200)
    assert (frame.width, frame.height, frame.depth) == (800, 600, 32)
    assert (frame.red_position, frame.green_position, frame.blue_position, frame.red_size) == (16, 8, 0, 8)
    assert (context.log, context.text_mode.is_vga) == (0, 0)
    assert bytes(context.apm) == apm


@pytest.mark.parametrize(
    "picture",
    [
        Picture(kind=0),
        Picture(kind=9),
        Picture(base=0),
        Picture(base=2**64 - 3200),
        Picture(depth=31),
        Picture(width=0),
        Picture(height=0),
        Picture(width=0x1_0000, pitch=0x4_0000),
        Picture(height=0xFFFF_FFFF),
        Picture(pitch=3199),
        Picture(pitch=0xFFFF, height=0x1_0000),
    ],
)
def test_a_framebuffer_of_no_use_is_told_and_passed_over(
    memory: Reach, picture: Picture, capsys: pytest.CaptureFixture[str]
) -> None:
    context = gathered(memory, Multiboot1(picture=picture))
    assert (context.framebuffer.base, context.log) == (0, 0)
    assert capsys.readouterr().out == (
        f"the framebuffer at {picture.base:#x} is not used: kind {picture.kind}, "
        f"{picture.width}x{picture.height}x{picture.depth}, {picture.pitch} bytes a line\n"
    )


def test_no_memory_is_told(memory: Reach) -> None:
    message = "the loader before us tells no memory: neither a map nor a size"
    assert refusal(memory, Multiboot1(map=None)) == message
    assert refusal(memory, Multiboot1(map=[])) == message
    assert refusal(memory, Multiboot1(map=[(MIB, 0, 1) for MIB in range(5)])) == message


@pytest.mark.parametrize("size", [0, 19, 0xFFFF_FFFF, 21])
def test_a_line_of_an_impossible_length(memory: Reach, size: int) -> None:
    told = Multiboot1(map=PC[:1])
    told.put(memory)
    place = memory.put(struct.pack("<IQQI", size, 0, 1, 1))
    told.patches = {0x2C: word(24) + word(place)}
    assert refusal(memory, told) == f"Multiboot 1: the memory map has a line of {size} bytes"


def test_a_map_that_ends_within_a_line(memory: Reach) -> None:
    told = Multiboot1(patches={0x2C: word(24 * 4 - 5)})
    assert refusal(memory, told) == "Multiboot 1: the memory map ends with 19 bytes that are no line"


@pytest.mark.parametrize("size", [0x1_0001, 0xFFFF_FFFF])
def test_a_map_without_end(memory: Reach, size: int) -> None:
    told = Multiboot1(patches={0x2C: word(size)})
    assert refusal(memory, told) == f"Multiboot 1: a memory map of {size} bytes, more than 65536"


@pytest.mark.parametrize("count", [33, 0xFFFF_FFFF])
def test_too_many_modules(memory: Reach, count: int) -> None:
    told = Multiboot1(files=[File()], patches={0x14: word(count)})
    assert refusal(memory, told) == f"Multiboot 1: {count} modules, more than 32"


def test_a_module_that_ends_before_it_starts(memory: Reach) -> None:
    told = Multiboot1(files=[File(place=(0x20_0000, -1))])
    assert refusal(memory, told) == "Multiboot 1: a module ends at 0x1fffff, before its start at 0x200000"


def test_an_empty_module_is_entered_for_the_payload_to_judge(memory: Reach) -> None:
    context = gathered(memory, Multiboot1(files=[File(place=(0, 0))]))
    assert (modules_of(context), reservations_of(context)) == ([(0, 0, b"")], [])


OUTSIDE = "lie outside the memory that a loader below 4 GiB can use"


@pytest.mark.parametrize(
    ("offset", "what", "size"),
    [
        (0x10, "command line", 1),
        (0x18, "modules", 16),
        (0x30, "memory map", 96),
        (0x40, "loader's name", 1),
        (0x44, "APM table", 20),
    ],
)
@pytest.mark.parametrize("where", ["below", "behind", "across the end", "at the very top"])
def test_a_pointer_that_leads_elsewhere(memory: Reach, offset: int, what: str, size: int, where: str) -> None:
    behind = memory.end if size == 1 else memory.end - size + 1
    place = {
        "below": memory.start - 1,
        "behind": memory.end,
        "across the end": behind,
        "at the very top": 0xFFFF_FFFF,
    }[where]
    told = Multiboot1(line=b"x", name=GRUB, files=[File(b"x", b"y")], apm=bytes(20), patches={offset: word(place)})
    assert refusal(memory, told) == f"Multiboot 1, {what}: {size} bytes at {place:#x} {OUTSIDE}"


def test_the_information_itself_lies_elsewhere(memory: Reach) -> None:
    with pytest.raises(BootError, match=f"^Multiboot 1, information: 72 bytes at 0x0 {OUTSIDE}$"):
        multiboot1.gather(0, BootContext.zeroed())
    told = Multiboot1(patches={0: word(1 << 12 | 1 << 6)})  # a framebuffer behind the end of the information
    assert refusal(memory, told) == f"Multiboot 1, information: 28 bytes at {memory.end:#x} {OUTSIDE}"


def test_a_module_beyond_what_can_be_read(memory: Reach) -> None:
    told = Multiboot1(files=[File(place=(memory.end - 1, 2))])
    assert refusal(memory, told) == f"a module: 2 bytes at {memory.end - 1:#x} {OUTSIDE}"


@pytest.mark.parametrize("room", [8192, 100])
def test_a_text_without_end(memory: Reach, room: int) -> None:
    """Is a text given up after 8 KiB, and at the end of the memory?"""
    memory.write(memory.start, b"x" * (memory.end - memory.start))
    line = memory.end - room - (88 if room == 8192 else 0)
    memory.cursor = memory.start
    told = Multiboot1(map=None, patches={0: word(1 << 2), 0x10: word(line)})
    head = told.put(memory)
    memory.write(memory.start, memory.read(head, 88))
    memory.write(head, b"x" * 88)
    with pytest.raises(BootError) as error:
        multiboot1.gather(memory.start, BootContext.zeroed())
    assert str(error.value) == (f"Multiboot 1, command line: the text at {line:#x} has no end within {room} bytes")


def test_a_map_of_128_lines_and_of_one_more(memory: Reach) -> None:
    """Are 128 lines entered, and is one more refused, not cut off? Alike neighbours count as one."""
    lines = [(n << 20, 1 << 20, 1 + n % 2) for n in range(129)]
    assert lines_of(gathered(memory, Multiboot1(map=lines[:128]))) == lines[:128]
    memory.renew()
    assert refusal(memory, Multiboot1(map=lines)) == "the memory map has more than the 128 lines that are possible"
    memory.renew()
    alike = [(n << 20, 1 << 20, 1) for n in range(600)]
    assert lines_of(gathered(memory, Multiboot1(map=alike))) == [(0, 600 << 20, 1)]
