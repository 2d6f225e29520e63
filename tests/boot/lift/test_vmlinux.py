"""Does stage 4 read from an ELF file where a vmlinux goes, and refuse what cannot be one?"""

import struct
from collections.abc import Sequence

import pytest

from bootslang.boot.lift import vmlinux
from bootslang.boot.lift.allocator import reserve
from bootslang.boot.lift.vmlinux import SLACK, Vmlinux
from bootslang.slang import BootError, span
from support.payloads import MIB, READ_WRITE, Elf, Load, machine, pc, taken

TEXT = Load(16 * MIB, b"code" * 100)
DATA = Load(18 * MIB, b"data" * 50, memory=4 * MIB, flags=READ_WRITE)
VMLINUX = Elf([TEXT, DATA])
VMLINUX32 = Elf([TEXT, DATA], bits=32)
FIRST = 64
"""Where the first program header of an ELF64 starts."""


def read(kernel: Elf, size: int | None = None) -> Vmlinux:
    found = Vmlinux.zeroed()
    vmlinux.read_headers(span(kernel.head), kernel.size if size is None else size, found)
    return found


def segments(found: Vmlinux) -> list[tuple[int, int, int, int]]:
    return [
        (part.place, part.memory_size, part.offset, part.file_size)
        for part in (found.segments.table[index] for index in range(found.segments.count))
    ]


@pytest.mark.parametrize("kernel", [VMLINUX, VMLINUX32], ids=["ELF64", "ELF32"])
def test_a_vmlinux_is_read_as_it_is(kernel: Elf) -> None:
    found = read(kernel)
    head = len(kernel.head)
    assert segments(found) == [(16 * MIB, 400, head, 400), (18 * MIB, 4 * MIB, head + 400, 200)]
    assert (found.bits, found.entry, found.low, found.high) == (kernel.bits, 16 * MIB, 16 * MIB, 22 * MIB)


def test_segments_come_out_by_address_whatever_their_order_in_the_file() -> None:
    found = read(Elf([DATA, TEXT], entry=16 * MIB))
    assert [part[0] for part in segments(found)] == [16 * MIB, 18 * MIB]


def test_headers_that_load_nothing_are_passed_over() -> None:
    note = {64: struct.pack("<I", 4)}
    assert len(segments(read(Elf([DATA, TEXT], entry=16 * MIB, patches=note)))) == 1
    assert len(segments(read(Elf([TEXT, Load(32 * MIB)])))) == 1


def test_larger_program_headers_than_known_ones_are_stepped_over_whole() -> None:
    assert segments(read(Elf([TEXT, DATA], program_header_size=72)))[1][0] == 18 * MIB


def test_a_segment_without_bytes_in_the_file_may_name_any_offset() -> None:
    inside = field(FIRST + 56 + 8, "<Q", len(VMLINUX.head) + 5)
    empty = Load(18 * MIB, memory=4096, flags=READ_WRITE)
    assert segments(read(Elf([TEXT, empty], patches=inside)))[1][0] == 18 * MIB


def field(offset: int, layout: str, value: int) -> dict[int, bytes]:
    return {offset: struct.pack(layout, value)}


REFUSED: Sequence[tuple[Elf, str]] = [
    (Elf([TEXT], patches={0: b"\x7fELG"}), "the kernel is no ELF file: it begins with 0x474c457f"),
    (Elf([TEXT], patches={5: b"\2"}), "the kernel is an ELF file of byte order 2, version 1: not for x86"),
    (Elf([TEXT], patches={4: b"\1"}), "the kernel is an ELF file of class 1 for machine 62: not for x86"),
    (Elf([TEXT], patches=field(18, "<H", 183)), "the kernel is an ELF file of class 2 for machine 183: not for x86"),
    (Elf([TEXT], patches=field(16, "<H", 3)), "the kernel is a position-independent ELF file: a vmlinux is none"),
    (Elf([TEXT], patches=field(16, "<H", 1)), "the kernel is an ELF file of type 1: not an executable"),
    (Elf([TEXT], patches=field(54, "<H", 0)), "the kernel's program headers are 0 bytes each: at least 56 are due"),
    (Elf([TEXT], patches=field(54, "<H", 55)), "the kernel's program headers are 55 bytes each: at least 56 are due"),
    (
        Elf([TEXT], patches=field(54, "<H", 0xFFFF)),
        "the kernel's program headers at 0x40 lie beyond its first 120 bytes",
    ),
    (Elf([TEXT], patches=field(56, "<H", 0)), "the kernel has 0 program headers: 1 to 64 are handled"),
    (Elf([TEXT], patches=field(56, "<H", 0xFFFF)), "the kernel has 65535 program headers: 1 to 64 are handled"),
    (
        Elf([TEXT], patches=field(32, "<Q", 0x1000)),
        "the kernel's program headers at 0x1000 lie beyond its first 120 bytes",
    ),
    (
        Elf([TEXT], patches=field(FIRST + 8, "<Q", 1 << 40)),
        "the segment at 0x1000000 reaches beyond the kernel file's end",
    ),
    (
        Elf([TEXT], patches=field(FIRST + 8, "<Q", (1 << 64) - 16)),
        "the segment at 0x1000000 reaches beyond the kernel file's end",
    ),
    (Elf([TEXT], patches=field(FIRST + 8, "<Q", 0)), "the segment at 0x1000000 overlaps the kernel file's headers"),
    (Elf([Load(16 * MIB, b"x" * 9, 8)]), "the segment at 0x1000000 has more bytes in the file than in memory"),
    (Elf([Load(0x8000, b"x")]), "the segment at 0x8000 lies below 1 MiB"),
    (Elf([Load(1 << 32, b"x")]), "the segment at 0x100000000 ends beyond 4 GiB"),
    (Elf([Load(0xFFFF_F000, b"x", 0x1001)]), "the segment at 0xfffff000 ends beyond 4 GiB"),
    (
        Elf([Load(16 * MIB, b"x", (1 << 64) - 1)]),
        "the segment at 0x1000000 ends beyond 4 GiB",
    ),
    (Elf([Load(16 * MIB, b"x", align=3)]), "the segment at 0x1000000 has the alignment 0x3: not a power of two"),
    (Elf([TEXT, Load(16 * MIB + 399, b"x")]), "the segments at 0x1000000 and 0x100018f overlap"),
    (
        Elf([TEXT, DATA], patches=field(FIRST + 56 + 8, "<Q", 200)),
        "the segments at 0x1000000 and 0x1200000 share bytes of the kernel file",
    ),
    (Elf([Load(16 * MIB)]), "the kernel has nothing to load"),
    (Elf([TEXT], entry=17 * MIB), "the kernel's entry 0x1100000 lies in no executable segment"),
    (Elf([TEXT, DATA], entry=18 * MIB), "the kernel's entry 0x1200000 lies in no executable segment"),
]


@pytest.mark.parametrize(("kernel", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_what_cannot_be_a_kernel_is_refused_by_name(kernel: Elf, message: str) -> None:
    with pytest.raises(BootError) as refused:
        read(kernel)
    assert str(refused.value).startswith(message)


WHOLE_FILES_MAY = ("overlaps the kernel file's headers", "share bytes of the kernel file")


@pytest.mark.parametrize(("kernel", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_a_file_in_memory_is_refused_for_the_same(kernel: Elf, message: str) -> None:
    """But that its segments may have any bytes of it."""
    file = kernel.head + kernel.body
    if message.endswith(WHOLE_FILES_MAY):
        vmlinux.read_headers(span(file), len(file), Vmlinux.zeroed())
        return
    with pytest.raises(BootError) as refused:
        vmlinux.read_headers(span(file), len(file), Vmlinux.zeroed())
    expected, _, _ = message.partition(" beyond its first")
    assert str(refused.value).startswith(expected)


def test_a_table_of_program_headers_that_wraps_around_is_refused() -> None:
    with pytest.raises(BootError):
        read(Elf([TEXT], patches=field(32, "<Q", (1 << 64) - 56)))


@pytest.mark.parametrize("length", [0, 1, 19, 51, 63])
def test_a_file_shorter_than_a_header_is_refused(length: int) -> None:
    with pytest.raises(BootError):
        vmlinux.read_headers(span(VMLINUX.head[:length]), length, Vmlinux.zeroed())


def shift_of(found: Vmlinux) -> int:
    return found.low - found.wanted


def test_a_kernel_goes_where_it_wants_to_be() -> None:
    memory, context = pc(64)
    found = read(VMLINUX)
    vmlinux.place(found, memory, context)
    assert shift_of(found) == 0
    assert taken(context) == [(16 * MIB, 6 * MIB + SLACK)]


def test_a_64_bit_kernel_moves_by_whole_2_mib_where_its_place_is_taken() -> None:
    memory, context = pc(64)
    reserve(context, 17 * MIB, 5)
    found = read(VMLINUX)
    vmlinux.place(found, memory, context)
    shift = shift_of(found)
    assert shift > 0
    assert shift % (2 * MIB) == 0
    assert (16 * MIB + shift, 6 * MIB + SLACK) in taken(context)
    assert [part[0] for part in segments(found)] == [16 * MIB + shift, 18 * MIB + shift]
    assert (found.entry, found.high) == (16 * MIB + shift, 22 * MIB + shift)


def test_a_64_bit_kernel_that_starts_between_two_steps_keeps_its_remainder() -> None:
    memory, context = pc(64)
    reserve(context, 17 * MIB, 5)
    found = read(Elf([Load(16 * MIB + 0x1000, b"x")]))
    vmlinux.place(found, memory, context)
    assert shift_of(found) % (2 * MIB) == 0
    assert any(base <= found.low and found.high + SLACK <= base + size for base, size in taken(context))


def test_a_32_bit_kernel_cannot_be_moved_and_says_who_is_in_the_way() -> None:
    memory, context = pc(64)
    reserve(context, 17 * MIB, 5)
    with pytest.raises(BootError, match=r"the kernel needs 0x800000 bytes at 0x1000000: 0x1100000 is taken"):
        vmlinux.place(read(VMLINUX32), memory, context)


def test_too_little_memory_is_told_by_how_much() -> None:
    memory, context = pc(20)
    with pytest.raises(
        BootError, match=r"not enough memory for the kernel: 8192 KiB are needed .* 4096 KiB are missing"
    ):
        vmlinux.place(read(VMLINUX), memory, context)


def test_a_hole_in_the_memory_is_no_place_for_a_kernel() -> None:
    memory, context = machine((MIB, 17 * MIB), (18 * MIB, 64 * MIB))
    found = read(VMLINUX)
    vmlinux.place(found, memory, context)
    assert found.low >= 18 * MIB
