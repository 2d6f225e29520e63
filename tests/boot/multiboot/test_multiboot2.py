"""Is what Multiboot 2 tells entered as it is, and refused by name where it cannot be?"""

import struct
from collections.abc import Iterator

import pytest

from bootslang.boot.context import DOOR_MULTIBOOT2, FLAG_EFI64, LOG_SCREEN, MODULE, SPENT_MEMORY, BootContext
from bootslang.boot.multiboot import multiboot2
from bootslang.slang import BootError
from support.firmware_tables import RSDP1, RSDP2
from support.handed_over import (
    END_TAG,
    PC,
    TEXT_SCREEN,
    Picture,
    framebuffer_tag,
    line_of,
    lines_of,
    map_tag,
    module_tag,
    modules_of,
    name_of,
    put_information,
    reservations_of,
    tag,
)
from support.reach import Reach, kept

OUTSIDE = "lie outside the memory that a loader below 4 GiB can use"
EFI_MAP = struct.pack("<II", 48, 1) + bytes(range(96))
EFI64 = tag(12, struct.pack("<Q", 0x7F9E_EC00))


@pytest.fixture
def memory() -> Iterator[Reach]:
    with Reach() as reach:
        yield reach


def gathered(memory: Reach, *tags: bytes, **options: bytes | int) -> BootContext:
    context = BootContext.zeroed()
    place = put_information(memory, *tags, **options)  # type: ignore[arg-type]
    multiboot2.find_screen(place, context)
    multiboot2.gather(place, context)
    return context


def refusal(memory: Reach, *tags: bytes, **options: bytes | int) -> str:
    with pytest.raises(BootError) as error:
        gathered(memory, *tags, **options)
    return str(error.value)


def test_grubs_information_under_a_bios(memory: Reach) -> None:
    kernel, archive = memory.put(b"kernel"), memory.put(b"archive")
    context = gathered(
        memory,
        tag(21, struct.pack("<I", 0x3000_0000)),
        tag(1, b"--verbose root=/dev/vda\0"),
        tag(2, b"GRUB 2.06-13+deb12u2\0"),
        tag(10, bytes(range(1, 21))),
        module_tag(kernel, kernel + 6, b"console=ttyS0  ro"),
        module_tag(archive, archive + 7),
        map_tag(),
        tag(9, struct.pack("<III", 0, 40, 0)),
        tag(4, struct.pack("<II", 639, 130048)),
        tag(5, bytes(12)),
        framebuffer_tag(TEXT_SCREEN),
        tag(14, RSDP1),
        tag(15, RSDP2),
    )
    assert (context.door, context.alt_mem_k, context.log) == (DOOR_MULTIBOOT2, 130048, LOG_SCREEN)
    assert (line_of(context), name_of(context)) == (b"--verbose root=/dev/vda", b"GRUB 2.06-13+deb12u2")
    assert modules_of(context) == [(kernel, 6, b"console=ttyS0  ro"), (archive, 7, b"")]
    assert reservations_of(context) == [(kernel, 6, SPENT_MEMORY), (archive, 7, MODULE)]
    assert lines_of(context) == list(PC)
    assert bytes(context.apm) == bytes(range(1, 21))
    assert kept(context.rsdp, 36) == RSDP2
    assert (context.text_mode.columns, context.text_mode.rows, context.framebuffer.base) == (80, 25, 0)
    assert (context.efi_system_table, context.flags) == (0, 0)


def test_grubs_information_under_uefi(memory: Reach) -> None:
    """Are UEFI's tables told, and is a VGA that may not be there left alone?"""
    context = gathered(memory, map_tag(), framebuffer_tag(Picture()), EFI64, tag(15, RSDP2), tag(17, EFI_MAP))
    assert (context.efi_system_table, context.flags) == (0x7F9E_EC00, FLAG_EFI64)
    assert kept(context.efi_map, context.efi_map_size) == bytes(range(96))
    assert (context.efi_descriptor_size, context.efi_descriptor_version) == (48, 1)
    assert (context.log, context.text_mode.is_vga) == (0, 0)
    frame = context.framebuffer
    assert (frame.base, frame.pitch, frame.width, frame.height, frame.depth) == (0xFD00_0000, 3200, 800, 600, 32)
    assert (frame.red_position, frame.green_position, frame.blue_position) == (16, 8, 0)


def test_32_bit_uefi(memory: Reach) -> None:
    context = gathered(memory, map_tag(), tag(11, struct.pack("<I", 0x7F9E_EC00)))
    assert (context.efi_system_table, context.flags) == (0x7F9E_EC00, 0)


@pytest.mark.parametrize(
    "sign", [tag(11, bytes(4)), tag(12, bytes(8)), tag(17, EFI_MAP), tag(19, bytes(4)), tag(20, bytes(8))]
)
def test_no_text_screen_is_believed_under_uefi(memory: Reach, sign: bytes) -> None:
    assert gathered(memory, map_tag(), sign).log == 0
    assert gathered(memory, framebuffer_tag(TEXT_SCREEN), map_tag(), sign).log == 0


def test_a_loader_that_says_nothing_of_the_screen_has_left_the_bioss(memory: Reach) -> None:
    assert gathered(memory, map_tag()).log == LOG_SCREEN


def test_a_framebuffer_with_a_palette_is_told_and_passed_over(
    memory: Reach, capsys: pytest.CaptureFixture[str]
) -> None:
    context = gathered(memory, map_tag(), framebuffer_tag(Picture(kind=0, depth=8, colours=bytes(2 + 768))))
    assert (context.framebuffer.base, context.log) == (0, 0)
    assert "is not used: kind 0, 800x600x8, 3200 bytes a line\n" in capsys.readouterr().out


def test_a_text_may_lack_its_end(memory: Reach) -> None:
    assert line_of(gathered(memory, map_tag(), tag(1, b" ro"))) == b"ro"
    assert line_of(gathered(memory, map_tag(), tag(1, b""))) == b""


def test_the_older_root_pointer_does_and_the_newer_one_is_taken(memory: Reach) -> None:
    assert kept(gathered(memory, map_tag(), tag(14, RSDP1)).rsdp, 20) == RSDP1
    assert kept(gathered(memory, map_tag(), tag(15, RSDP2), tag(14, RSDP1)).rsdp, 36) == RSDP2


@pytest.mark.parametrize("damaged", [b"", RSDP2[:19], RSDP2[:35], RSDP2[:-1] + b"x", b"rsd" + RSDP2[3:]])
def test_a_root_pointer_that_is_none_is_told_and_passed_over(
    memory: Reach, damaged: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    assert gathered(memory, map_tag(), tag(15, damaged)).rsdp == 0
    assert capsys.readouterr().out == "Multiboot 2: tag 15 is no ACPI root pointer: passed over\n"


def test_unknown_tags_are_passed_over(memory: Reach) -> None:
    assert lines_of(gathered(memory, tag(22, bytes(5)), tag(0xFFFF_FFFF, b""), map_tag())) == list(PC)


def test_lines_may_be_longer_than_they_have_to(memory: Reach) -> None:
    assert lines_of(gathered(memory, map_tag(line_bytes=32))) == list(PC)


@pytest.mark.parametrize("size", [0, 4, 7, 33, 0xFFFF_FFFF])
def test_a_tag_of_an_impossible_size(memory: Reach, size: int) -> None:
    message = f"Multiboot 2: tag 1 has {size} bytes: 8 to the 32 that are left are possible"
    assert refusal(memory, map_tag(), tag(1, bytes(16), size)) == message


@pytest.mark.parametrize("end", [b"", b"\0" * 4, b"\0" * 7])
def test_no_end_tag(memory: Reach, end: bytes) -> None:
    assert refusal(memory, map_tag(), end=end) == "Multiboot 2: the information has no end tag"


def test_an_end_tag_that_is_cut(memory: Reach) -> None:
    message = "Multiboot 2: tag 0 has 9 bytes: 8 to the 8 that are left are possible"
    assert refusal(memory, map_tag(), end=struct.pack("<II", 0, 9)) == message


@pytest.mark.parametrize("size", [0, 4, 7, 0x10_0001, 0xFFFF_FFFF])
def test_an_impossible_size_of_the_whole(memory: Reach, size: int) -> None:
    message = f"Multiboot 2: the information has {size} bytes: 8 to 1048576 are possible"
    assert refusal(memory, map_tag(), size=size) == message


def test_information_that_reaches_further_than_the_memory(memory: Reach) -> None:
    size = len(map_tag()) + 8 + len(END_TAG) + 1
    place = memory.end - size + 1
    assert refusal(memory, map_tag(), size=size) == f"Multiboot 2, information: {size} bytes at {place:#x} {OUTSIDE}"


@pytest.mark.parametrize(("kind", "needed"), [(3, 8), (4, 8), (6, 8), (8, 22), (10, 20), (11, 4), (12, 8), (17, 8)])
def test_a_tag_that_holds_too_little(memory: Reach, kind: int, needed: int) -> None:
    message = f"Multiboot 2: tag {kind} holds {needed - 1} bytes: {needed} are needed"
    assert refusal(memory, tag(4, struct.pack("<II", 1, 1)), tag(kind, bytes(needed - 1))) == message


def test_a_framebuffer_without_its_colours(memory: Reach) -> None:
    short = framebuffer_tag(Picture(colours=bytes(5)))
    assert refusal(memory, map_tag(), short) == "Multiboot 2: tag 8 holds 29 bytes: 30 are needed"


@pytest.mark.parametrize("size", [0, 8, 23])
def test_a_map_with_lines_of_an_impossible_length(memory: Reach, size: int) -> None:
    message = f"Multiboot 2: the memory map has lines of {size} bytes: at least 24 are due"
    assert refusal(memory, tag(6, struct.pack("<II", size, 0) + bytes(48))) == message


def test_a_map_that_ends_within_a_line(memory: Reach) -> None:
    message = "Multiboot 2: the memory map ends with 23 bytes that are no line"
    assert refusal(memory, tag(6, struct.pack("<II", 24, 0) + bytes(47))) == message


def test_an_efi_map_with_descriptors_of_an_impossible_length(memory: Reach) -> None:
    message = "Multiboot 2: UEFI's memory map has descriptors of 39 bytes"
    assert refusal(memory, map_tag(), tag(17, struct.pack("<II", 39, 1))) == message


def test_boot_services_that_still_run(memory: Reach) -> None:
    message = "Multiboot 2: UEFI's boot services still run: its loader has to end them, as GRUB does"
    assert refusal(memory, map_tag(), EFI64, tag(18, b"")) == message


def test_a_module_that_ends_before_it_starts(memory: Reach) -> None:
    message = "Multiboot 2: a module ends at 0xfff, before its start at 0x1000"
    assert refusal(memory, module_tag(0x1000, 0xFFF)) == message


def test_33_modules(memory: Reach) -> None:
    one = module_tag(memory.start, memory.start + 1)
    assert gathered(memory, map_tag(), *[one] * 32).module_count == 32
    memory.renew()
    assert refusal(memory, map_tag(), *[one] * 33) == "more than 32 modules cannot be handled"


def test_no_memory_is_told(memory: Reach) -> None:
    message = "the loader before us tells no memory: neither a map nor a size"
    assert refusal(memory) == message
    assert refusal(memory, map_tag([])) == message
    assert gathered(memory, tag(4, struct.pack("<II", 639, 64512))).alt_mem_k == 64512


def test_more_than_can_be_kept() -> None:
    """Is what does not fit the arena refused, not cut off?"""
    with Reach(pages=32) as memory:
        message = refusal(memory, map_tag(), *[tag(1, b"y" * 6000)] * 12)
    assert message == "the loader before us tells more than the 65536 bytes that can be kept"
