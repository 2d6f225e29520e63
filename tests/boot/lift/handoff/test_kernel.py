"""Does the reader of kernels of one's own say what they hold, and refuse by name what cannot be started?"""

import struct
from collections.abc import Sequence

import pytest

from bootslang.boot.lift.handoff import kernel as reader
from bootslang.boot.lift.handoff.kernel import HandoffKernel
from bootslang.slang import BootError, span
from support.own_kernels import (
    ALL,
    DYNAMIC,
    EXECUTABLE,
    INTERPRETER,
    NOTE,
    READ,
    READ_WRITE,
    RELRO,
    OwnKernel,
    Part,
)
from support.payloads import Elf, Load

HIGH = 0xFFFF_FFFF_8000_0000
TEXT = Part(HIGH + 0x20_0000, b"code" * 100)
DATA = Part(HIGH + 0x20_1000, b"data" * 50, memory=0x3000, flags=READ_WRITE)
FIRST = 64
"""Where the first program header starts."""


def read(kernel: OwnKernel, size: int | None = None) -> HandoffKernel:
    found = HandoffKernel.zeroed()
    file = kernel.file
    reader.read(span(file), len(file) if size is None else size, found)
    return found


def segments(found: HandoffKernel) -> list[tuple[int, int, int, int]]:
    return [
        (part.virtual, part.memory_size, part.file_size, part.flags)
        for part in (found.segments.table[index] for index in range(found.segments.count))
    ]


def test_a_higher_half_kernel_is_read_as_it_is() -> None:
    found = read(OwnKernel([TEXT, DATA], EXECUTABLE))
    assert segments(found) == [(HIGH + 0x20_0000, 400, 400, 5), (HIGH + 0x20_1000, 0x3000, 200, 6)]
    assert (found.low, found.end, found.entry) == (HIGH + 0x20_0000, HIGH + 0x20_4000, HIGH + 0x20_0000)
    assert found.segments.table[1].offset == 64 + 2 * 56 + 400
    assert not found.is_movable()


def test_a_position_independent_kernel_may_begin_at_address_0_with_its_own_headers() -> None:
    headers = Part(0, b"", memory=0x200, flags=READ)
    kernel = OwnKernel([headers, Part(0x1000, b"code")], entry=0x1000)
    found = read(kernel)
    assert found.is_movable()
    assert (found.low, found.end) == (0, 0x1004)


def test_segments_come_out_by_address_whatever_their_order_in_the_file() -> None:
    assert [part[0] for part in segments(read(OwnKernel([DATA, TEXT], entry=TEXT.virtual)))] == [
        TEXT.virtual,
        DATA.virtual,
    ]


def test_the_span_of_a_kernel_begins_with_a_page() -> None:
    found = read(OwnKernel([Part(0x1234, b"x", memory=8)]))
    assert (found.low, found.end) == (0x1000, 0x123C)


def test_the_largest_alignment_of_a_segment_is_the_kernel_s() -> None:
    assert read(OwnKernel([TEXT])).alignment == 0x1000
    assert read(OwnKernel([TEXT, Part(DATA.virtual, b"x", flags=READ_WRITE, align=0x20_0000)])).alignment == 0x20_0000


def test_what_is_dynamic_relro_or_a_note_is_found() -> None:
    pieces = [(DYNAMIC, DATA.virtual + 8, 64), (RELRO, DATA.virtual, 0x1000), (NOTE, TEXT.virtual, 32)]
    found = read(OwnKernel([TEXT, DATA], pieces=pieces))
    assert (found.dynamic.start, found.dynamic.size) == (DATA.virtual + 8, 64)
    assert (found.relro.start, found.relro.size) == (DATA.virtual, 0x1000)
    assert [(found.notes[n].start, found.notes[n].size) for n in range(found.note_count)] == [(TEXT.virtual, 32)]


def test_relro_may_reach_to_the_end_of_its_segment_s_last_page() -> None:
    data = Part(DATA.virtual, b"data", flags=READ_WRITE)
    assert read(OwnKernel([TEXT, data], pieces=[(RELRO, DATA.virtual, 0x1000)])).relro.size == 0x1000
    with pytest.raises(BootError, match=r"the kernel's PT_GNU_RELRO at 0x.* reaches beyond its segment"):
        read(OwnKernel([TEXT, data], pieces=[(RELRO, DATA.virtual, 0x1001)]))


def test_segments_with_equal_rights_may_share_a_page() -> None:
    assert len(segments(read(OwnKernel([TEXT, Part(TEXT.virtual + 400, b"more")])))) == 2


def field(offset: int, layout: str, value: int) -> dict[int, bytes]:
    return {offset: struct.pack(layout, value)}


REFUSED: Sequence[tuple[OwnKernel, str]] = [
    (OwnKernel([TEXT], patches={0: b"\x7fELG"}), "the kernel is no ELF file: it begins with 0x474c457f"),
    (
        OwnKernel([TEXT], patches={5: b"\2"}),
        "the kernel is an ELF file of byte order 2, version 1: not for x86",
    ),
    (
        OwnKernel([TEXT], patches=field(18, "<H", 183)),
        "the kernel is an ELF file of class 2 for machine 183: not for x86",
    ),
    (OwnKernel([TEXT], 1), "the kernel is an ELF file of type 1: not an executable"),
    (
        OwnKernel([TEXT], patches=field(54, "<H", 0)),
        "the kernel's program headers are 0 bytes each: at least 56 are due",
    ),
    (
        OwnKernel([TEXT], patches=field(54, "<H", 55)),
        "the kernel's program headers are 55 bytes each: at least 56 are due",
    ),
    (
        OwnKernel([TEXT], patches=field(54, "<H", 0xFFFF)),
        "the kernel's program headers at 0x40 lie beyond its first 520 bytes",
    ),
    (OwnKernel([TEXT], patches=field(56, "<H", 0)), "the kernel has 0 program headers: 1 to 64 are handled"),
    (OwnKernel([TEXT], patches=field(56, "<H", 0xFFFF)), "the kernel has 65535 program headers: 1 to 64 are handled"),
    (
        OwnKernel([TEXT], patches=field(32, "<Q", 1 << 40)),
        "the kernel's program headers at 0x10000000000 lie beyond its first 520 bytes",
    ),
    (
        OwnKernel([TEXT], patches=field(FIRST + 8, "<Q", (1 << 64) - 16)),
        "the segment at 0xffffffff80200000 reaches beyond the kernel file's end",
    ),
    (
        OwnKernel([TEXT], patches=field(FIRST + 8, "<Q", 1 << 20)),
        "the segment at 0xffffffff80200000 reaches beyond the kernel file's end",
    ),
    (
        OwnKernel([Part(HIGH, b"x" * 9, 8)]),
        "the segment at 0xffffffff80000000 has more bytes in the file than in memory",
    ),
    (
        OwnKernel([Part(HIGH, b"x", align=3)]),
        "the segment at 0xffffffff80000000 has the alignment 0x3: not a power of two",
    ),
    (
        OwnKernel([Part(HIGH, b"x", align=0x40_0000)]),
        "the kernel's segment at 0xffffffff80000000 has the alignment 0x400000: 2 MiB is the most",
    ),
    (
        OwnKernel([Part((1 << 64) - 4096, b"x")]),
        "the kernel's segment at 0xfffffffffffff000 reaches to the end of the address space: link it lower",
    ),
    (
        OwnKernel([Part(HIGH, b"x", (1 << 64) - 1)]),
        "the kernel's segment at 0xffffffff80000000 reaches to the end of the address space: link it lower",
    ),
    (
        OwnKernel([Part((1 << 47) - 1, b"xx")]),
        "the kernel's segment at 0x7fffffffffff has addresses that are not canonical (48 bits)",
    ),
    (
        OwnKernel([Part(0xFFFF_7FFF_FFFF_FFFF, b"xx")]),
        "the kernel's segment at 0xffff7fffffffffff has addresses that are not canonical (48 bits)",
    ),
    (
        OwnKernel([Part(0xFFF, b"x")], EXECUTABLE),
        "the kernel's segment at 0xfff lies in the first page, which stays unmapped",
    ),
    (
        OwnKernel([TEXT, Part(TEXT.virtual + 399, b"x")]),
        "the segments at 0xffffffff80200000 and 0xffffffff8020018f overlap",
    ),
    (
        OwnKernel([TEXT, Part(TEXT.virtual + 400, b"x", flags=READ_WRITE)]),
        "the kernel's segments at 0xffffffff80200000 and 0xffffffff80200190 have different rights and share a page",
    ),
    (
        OwnKernel([Part(0x10_0000, b"x"), TEXT], EXECUTABLE),
        "the kernel reaches from 0x100000 to 0xffffffff80200190, and 1 GiB is the most",
    ),
    (OwnKernel([Part(HIGH)]), "the kernel has nothing to load"),
    (OwnKernel([TEXT], entry=HIGH), "the kernel's entry 0xffffffff80000000 lies in no executable segment"),
    (
        OwnKernel([TEXT, DATA], entry=DATA.virtual),
        "the kernel's entry 0xffffffff80201000 lies in no executable segment",
    ),
    (
        OwnKernel([TEXT, DATA], pieces=[(RELRO, DATA.virtual, 0x3001)]),
        "the kernel's PT_GNU_RELRO at 0xffffffff80201000 reaches beyond its segment",
    ),
    (
        OwnKernel([TEXT], pieces=[(INTERPRETER, TEXT.virtual, 8)]),
        "the kernel asks for an interpreter (PT_INTERP): link it with -static, or -static-pie",
    ),
]


@pytest.mark.parametrize(("kernel", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_what_cannot_be_started_is_refused_by_name(kernel: OwnKernel, message: str) -> None:
    with pytest.raises(BootError) as refused:
        read(kernel)
    assert str(refused.value).startswith(message)


def test_a_32_bit_kernel_is_refused() -> None:
    file = Elf([Load(16 << 20, b"code")], bits=32)
    with pytest.raises(BootError) as refused:
        reader.read(span(file.head), file.size, HandoffKernel.zeroed())
    assert str(refused.value) == "the kernel is a 32-bit ELF file: the hand-off starts 64-bit ones (ELF64)"


def test_segments_that_share_bytes_are_refused_where_each_byte_has_one_place_only() -> None:
    kernel = OwnKernel([TEXT, DATA], patches=field(FIRST + 56 + 8, "<Q", 64 + 2 * 56))
    assert read(kernel).segments.count == 2
    head = kernel.file[: 64 + 2 * 56]
    with pytest.raises(BootError) as refused:
        reader.read(span(head), len(kernel.file), HandoffKernel.zeroed())
    message = "the segments at 0xffffffff80200000 and 0xffffffff80201000 share bytes of the kernel file"
    assert str(refused.value) == message


def test_a_table_of_program_headers_that_wraps_around_is_refused() -> None:
    with pytest.raises(BootError):
        read(OwnKernel([TEXT], patches=field(32, "<Q", (1 << 64) - 56)))


@pytest.mark.parametrize("length", [0, 1, 19, 63, 64, 119])
def test_a_file_shorter_than_its_headers_is_refused(length: int) -> None:
    with pytest.raises(BootError):
        reader.read(span(OwnKernel([TEXT]).file[:length]), length, HandoffKernel.zeroed())


def test_a_segment_that_is_writable_and_executable_is_refused_unless_that_is_allowed(
    capfd: pytest.CaptureFixture[str],
) -> None:
    found = read(OwnKernel([Part(HIGH, b"x", flags=ALL)]))
    with pytest.raises(BootError) as refused:
        reader.check_rights(found, allow_wx=False)
    assert str(refused.value) == (
        "the kernel's segment at 0xffffffff80000000 is writable and executable: "
        "separate code and data in the linker script, or build or boot with --allow-wx"
    )
    reader.check_rights(found, allow_wx=True)
    assert capfd.readouterr().out == (
        "Warning: the kernel's segment at 0xffffffff80000000 is writable and executable.\n"
    )


def test_other_rights_pass_without_a_word(capfd: pytest.CaptureFixture[str]) -> None:
    reader.check_rights(read(OwnKernel([TEXT, DATA])), allow_wx=False)
    assert capfd.readouterr().out == ""
