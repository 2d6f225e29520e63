"""Do the doors' readers take only what they can vouch for, and read nothing but their memory, whatever a loader tells?

A read beside the memory ends the process: see `support.reach`.
"""

from __future__ import annotations

import contextlib
import struct
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bootslang.boot.context import FLAG_EFI64, MAX_MEMORY_RANGES, MAX_MODULES, BootContext
from bootslang.boot.doors import firmware, keep, options
from bootslang.boot.multiboot import multiboot1, multiboot2
from bootslang.boot.pvh import start_info
from bootslang.doors import read_doors
from bootslang.errors import KernelInvalid
from bootslang.slang import BootError, span
from support import door_files
from support.firmware_tables import RSDP1, RSDP2, SMBIOS, SMBIOS3
from support.fuzzing import fuzzed, mutations
from support.handed_over import (
    PC,
    TEXT_SCREEN,
    File,
    Multiboot1,
    Picture,
    StartInfo,
    framebuffer_tag,
    information,
    lines_of,
    map_tag,
    module_tag,
    modules_of,
    reservations_of,
    tag,
)
from support.reach import Reach

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGES = 2
SIZE = PAGES * 4096


@pytest.fixture(scope="module")
def memory() -> Iterator[Reach]:
    with Reach(PAGES) as reach:
        yield reach


def in_arena(address: int, size: int) -> bool:
    return size == 0 or keep.arena.address <= address <= address + size <= keep.arena.address + len(keep.arena)


def check(context: BootContext, memory: Reach) -> None:
    """What everybody behind a door relies on."""
    assert context.memory_count or context.alt_mem_k
    assert context.memory_count <= MAX_MEMORY_RANGES
    assert context.module_count <= MAX_MODULES
    assert all(size and kind for _, size, kind in lines_of(context))
    modules = [(base, size) for base, size, _ in modules_of(context)]
    assert all(not size or memory.start <= base <= base + size <= memory.end for base, size in modules)
    assert [(base, size) for base, size, _ in reservations_of(context)] == [one for one in modules if one[1]]
    assert in_arena(context.command_line, context.command_line_size)
    assert in_arena(context.loader_name, context.loader_name_size)
    assert in_arena(context.efi_map, context.efi_map_size)
    frame = context.framebuffer
    if frame.base:
        assert frame.size == frame.pitch * frame.height
        assert frame.pitch * 8 >= frame.width * frame.depth


GENERAL = ("index out", "slice out", "a slice is", "too few bytes", "a number is too large", "division by zero")
"""How the messages of slang's own checks begin: a reader that runs into them has not looked."""


@contextlib.contextmanager
def named_errors() -> Iterator[None]:
    """Take a refusal with a message of the reader's own for as good as success."""
    try:
        yield
    except BootError as error:
        assert not str(error).startswith(GENERAL)  # noqa: PT017 - both outcomes are good


NUMBER = st.one_of(st.integers(0, 2**32 - 1), st.integers(0, 256), st.sampled_from([2**32 - 1, 2**31]))
PLACE = st.one_of(
    st.integers(-32, SIZE + 32).map(lambda offset: ("place", offset)),
    NUMBER.map(lambda number: ("number", number)),
)
"""An address: by its offset in the memory, or any at all."""


def address(place: tuple[str, int], memory: Reach) -> int:
    kind, value = place
    return memory.start + value if kind == "place" else value


LINE = st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1), NUMBER)
TEXT = st.one_of(st.none(), st.binary(max_size=40), st.sampled_from([b"name --verbose ro", b"GRUB 2.06"]))
MODULES = st.lists(st.tuples(PLACE, st.integers(-1, SIZE), TEXT), max_size=4)
FIRST_FIELDS = (0, 4, 8, 0x10, 0x14, 0x18, 0x2C, 0x30, 0x40, 0x44)
"""Of Multiboot 1: what is read, by offset."""


@fuzzed
@given(
    texts=st.tuples(TEXT, TEXT),
    lines=st.one_of(st.none(), st.just(PC), st.lists(LINE, max_size=5)),
    modules=MODULES,
    fields=st.dictionaries(st.sampled_from(FIRST_FIELDS), PLACE, max_size=4),
    rubbish=st.binary(max_size=64),
)
def test_any_numbers_of_multiboot_1(
    memory: Reach,
    *,
    texts: tuple[bytes | None, bytes | None],
    lines: list[tuple[int, int, int]] | None,
    modules: list[tuple[tuple[str, int], int, bytes | None]],
    fields: dict[int, tuple[str, int]],
    rubbish: bytes,
) -> None:
    memory.renew()
    memory.write(memory.start, (rubbish * SIZE)[:SIZE] or bytes(SIZE))
    files = [File(text=text, place=(address(base, memory) & 0xFFFF_FFFF, size)) for base, size, text in modules]
    patches = {offset: struct.pack("<I", address(place, memory) & 0xFFFF_FFFF) for offset, place in fields.items()}
    told = Multiboot1(line=texts[0], name=texts[1], map=lines, files=files, patches=patches)
    context = BootContext.zeroed()
    with named_errors():
        place = told.put(memory)
        multiboot1.find_screen(place, context)
        multiboot1.gather(place, context)
        check(context, memory)


TAGS = (
    tag(1, b"--verbose ro\0"),
    tag(2, b"GRUB 2.06\0"),
    module_tag(0x1000, 0x1000, b"text"),
    tag(4, struct.pack("<II", 639, 64512)),
    map_tag(),
    map_tag(PC[:1], 40),
    framebuffer_tag(Picture()),
    framebuffer_tag(TEXT_SCREEN),
    tag(10, bytes(range(20))),
    tag(12, bytes(8)),
    tag(14, RSDP1),
    tag(15, RSDP2),
    tag(17, struct.pack("<II", 48, 1) + bytes(96)),
    tag(99, b"later"),
)


@fuzzed
@given(data=st.lists(st.sampled_from(TAGS), max_size=6).flatmap(lambda tags: mutations(information(*tags))))
def test_damaged_information_of_multiboot_2(memory: Reach, data: bytes) -> None:
    """The memory ends with the information, so that what says it is longer leads into the page behind."""
    memory.renew()
    context = BootContext.zeroed()
    with named_errors():
        place = memory.put_last(data[:SIZE])
        multiboot2.find_screen(place, context)
        multiboot2.gather(place, context)
        check(context, memory)


@fuzzed
@given(
    tags=st.lists(st.tuples(st.one_of(st.integers(0, 24), NUMBER), st.binary(max_size=80)), max_size=8),
    module=st.tuples(PLACE, PLACE),
)
def test_any_tags_of_multiboot_2(
    memory: Reach, tags: list[tuple[int, bytes]], module: tuple[tuple[str, int], ...]
) -> None:
    memory.renew()
    start, end = (address(place, memory) & 0xFFFF_FFFF for place in module)
    data = information(map_tag(), module_tag(start, end), *(tag(kind, content) for kind, content in tags))
    context = BootContext.zeroed()
    with named_errors():
        place = memory.put_last(data)
        multiboot2.find_screen(place, context)
        multiboot2.gather(place, context)
        check(context, memory)


WIDE_PLACE = st.one_of(PLACE, st.just(("number", 2**64 - 1)))


@fuzzed
@given(
    line=TEXT,
    lines=st.lists(LINE, max_size=5),
    modules=MODULES,
    fields=st.dictionaries(st.sampled_from((0x10, 0x18, 0x20, 0x28)), WIDE_PLACE, max_size=3),
    counts=st.dictionaries(st.sampled_from((0x04, 0x0C, 0x30)), NUMBER, max_size=2),
)
def test_any_numbers_of_pvh(
    memory: Reach,
    *,
    line: bytes | None,
    lines: list[tuple[int, int, int]],
    modules: list[tuple[tuple[str, int], int, bytes | None]],
    fields: dict[int, tuple[str, int]],
    counts: dict[int, int],
) -> None:
    memory.renew()
    mask = 2**64 - 1
    files = [File(text=text, place=(address(base, memory) & mask, size & mask)) for base, size, text in modules]
    patches = {offset: struct.pack("<Q", address(place, memory) & mask) for offset, place in fields.items()}
    patches |= {offset: struct.pack("<I", count) for offset, count in counts.items()}
    told = StartInfo(line=line, map=lines, files=files, patches=patches)
    context = BootContext.zeroed()
    with named_errors():
        start_info.gather(told.put(memory), context)
        check(context, memory)


WORDS = b"--log=serial --log= --log=,,none --verbose -- --protocol=linux ro \xff\0x".split(b" ")
WORD = st.one_of(st.sampled_from([*WORDS, b"", b" \t"]), st.binary(max_size=8))


@fuzzed
@given(line=st.one_of(st.lists(WORD, max_size=8).map(b" ".join), st.binary(max_size=99)))
def test_any_command_line(memory: Reach, line: bytes) -> None:
    """Is what is left to the kernel the end of the line?"""
    memory.renew()
    place = memory.put_last(line)
    start = place - memory.base
    context = BootContext.zeroed()
    options.read(span(memoryview(memory.map)[start : start + len(line)]), context)
    size = context.command_line_size
    rest = memory.read(context.command_line, size) if size else b""
    assert rest == rest.strip(bytes(range(33)))
    assert line.rstrip(bytes(range(33))).endswith(rest)


SYSTEM_TABLES = (64, 0x68, "<QQ", "<16sQ"), (32, 0x40, "<II", "<16sI")
GUIDS = tuple(
    bytes.fromhex(guid)
    for guid in (
        "302d9deb882dd3119a160090273fc14d",
        "71e86888f1e4d311bc220080c73c8881",
        "312d9deb882dd3119a160090273fc14d",
        "4415fdf294972c4a992ee5bbcf20e394",
    )
)
"""Of ACPI 1, ACPI 2, SMBIOS and SMBIOS 3, as they lie in memory."""


@fuzzed
@given(
    form=st.sampled_from(SYSTEM_TABLES),
    entries=st.lists(st.tuples(st.sampled_from(GUIDS), PLACE), max_size=6),
    changed=st.tuples(st.one_of(st.none(), NUMBER), st.one_of(st.none(), PLACE)),
    tables=st.lists(st.sampled_from([RSDP1, RSDP2, SMBIOS, SMBIOS3]).flatmap(mutations), max_size=4),
)
def test_any_uefi_system_table(
    memory: Reach,
    form: tuple[int, int, str, str],
    entries: list[tuple[bytes, tuple[str, int]]],
    changed: tuple[int | None, tuple[str, int] | None],
    tables: list[bytes],
) -> None:
    memory.renew()
    bits, header, numbers, entry = form
    mask = (1 << bits) - 1
    for table in tables:
        memory.put(table[:256])
    listed = memory.put(b"".join(struct.pack(entry, guid, address(place, memory) & mask) for guid, place in entries))
    count = len(entries) if changed[0] is None else changed[0]
    listed = listed if changed[1] is None else address(changed[1], memory) & mask
    context = BootContext.zeroed()
    context.efi_system_table = memory.put_last(b"IBI SYST".ljust(header, b"\0") + struct.pack(numbers, count, listed))
    context.flags = FLAG_EFI64 if bits == 64 else 0
    firmware.find_tables(context)
    for found, signature in ((context.rsdp, b"RSD PTR "), (context.smbios, b"_SM_"), (context.smbios3, b"_SM3_")):
        assert not found or memory.read(found, len(signature)) == signature


LOADERS = [
    door_files.DoorFile(
        door_files.multiboot2(door_files.header_tag(1, 6, flags=1), door_files.RELOCATABLE, door_files.END)
        + door_files.multiboot1(),
        door_files.note(18, door_files.BASE.to_bytes(bits // 8, "little")) + door_files.note(19, bytes(12)),
        bits=bits,
        headers_at=0x100,
    ).data
    for bits in (32, 64)
]


@fuzzed
@given(data=st.sampled_from(LOADERS).flatmap(mutations))
def test_damaged_loaders(data: bytes) -> None:
    """Is a damaged file refused by the host's reader with a message, or are its doors where it says?"""
    try:
        found = read_doors(data)
    except KernelInvalid as error:
        assert error.message  # noqa: PT017 - both outcomes are good
    else:
        assert found.multiboot1 is None or data[found.multiboot1 :][:4] == struct.pack("<I", 0x1BAD_B002)
        assert found.multiboot2 is None or data[found.multiboot2 :][:4] == struct.pack("<I", 0xE852_50D6)
