"""Does the reader of ELF kernels keep what is loaded, and refuse by name what cannot be?"""

import struct
from pathlib import Path

import pytest

from bootslang.errors import KernelInvalid
from bootslang.kernel import Kernel, KernelKind
from bootslang.kernel.model import PIECE_BYTES
from support.elf_writer import DYNAMIC, HEADERS, INTERPRETER, MIB, NOTE, ROWS, Elf, Row

NAME = "vmlinux"
NOT_LINKED = "Look at it with `readelf -lh`; the linker script has to place code where the entry is."
DAMAGED = "The file is damaged or unfinished: compare it with where it came from, or build it again."
CUT_OFF = "The file is cut off: copy or download it again."


def refusal(elf: Elf | bytes) -> KernelInvalid:
    """The error that reading ends with."""
    with pytest.raises(KernelInvalid) as caught:
        Kernel.read(elf if isinstance(elf, bytes) else elf.build(), name=NAME)
    return caught.value


@pytest.mark.parametrize(("bits", "kind"), [(64, KernelKind.ELF64), (32, KernelKind.ELF32)])
def test_a_vmlinux_is_read_as_it_is(bits: int, kind: KernelKind) -> None:
    """Are entry, segments and the span of memory those of the file?"""
    rows = [Row(16 * MIB, b"text"), Row(20 * MIB, b"data", flags=6, memory_bytes=0x2345)]
    kernel = Kernel.read(Elf(rows, bits=bits, entry=16 * MIB + 2).build())
    assert (kernel.kind, kernel.bits, kernel.entry) == (kind, bits, 16 * MIB + 2)
    assert kernel.memory == range(16 * MIB, 20 * MIB + 0x2345)
    assert [(part.physical, part.file_bytes, part.memory_bytes, part.rights) for part in kernel.segments] == [
        (16 * MIB, 4, 4, "RE"),
        (20 * MIB, 4, 0x2345, "RW"),
    ]
    assert kernel.limits.command_line_bytes == 2047
    assert kernel.version == ""


@pytest.mark.parametrize("bits", [64, 32])
def test_the_blob_is_an_elf_file_of_what_is_loaded(bits: int) -> None:
    """Is the blob a kernel of the same content, without the bytes that nobody loads, and its own blob?"""
    note = struct.pack("<III", 4, 4, 18) + b"Xen\0" + b"\0\0\0\1"
    text = b"text" + note
    at = HEADERS[bits].size + 4 * ROWS[bits].size + 32
    rows = [
        Row(16 * MIB, text),
        Row(20 * MIB, b"data", flags=6),
        Row(0, b"", kind=NOTE, offset=at + 4, file_bytes=len(note)),
        Row(0, b"", kind=0x6474_E551),
    ]
    kernel = Kernel.read(Elf(rows, bits=bits).build())
    pieces = list(kernel.pieces())
    assert pieces[1:] == [text, b"data"]
    blob = b"".join(pieces)
    assert b"debug" not in blob
    assert len(blob) == kernel.blob_bytes
    again = Kernel.read(blob)
    assert again.segments[0].offset == len(pieces[0])
    assert b"".join(again.pieces()) == blob
    assert (again.entry, again.memory, len(again.segments)) == (kernel.entry, kernel.memory, 2)
    header = HEADERS[bits].unpack_from(blob)
    assert header[5:7] == (HEADERS[bits].size, 0), "program headers follow, and there are no sections"
    assert header[10] == 3, "two PT_LOADs and the note inside of one"
    note_row = ROWS[bits].unpack_from(blob, HEADERS[bits].size + 2 * ROWS[bits].size)
    note_at = note_row[2 if bits == 64 else 1]
    assert blob[note_at : note_at + len(note)] == note


def test_no_piece_spans_two_segments_or_is_too_long() -> None:
    """Are pieces at most 1 MiB, and does each segment begin with one of its own?"""
    rows = [Row(16 * MIB, b"a" * (2 * PIECE_BYTES + 5)), Row(32 * MIB, b"b" * PIECE_BYTES, flags=6)]
    pieces = list(Kernel.read(Elf(rows).build()).pieces())
    assert [len(piece) for piece in pieces[1:]] == [PIECE_BYTES, PIECE_BYTES, 5, PIECE_BYTES]
    assert all(len(set(piece)) == 1 for piece in pieces[1:])


def test_of_a_huge_file_only_the_loaded_ranges_are_read(tmp_path: Path) -> None:
    """Does a kernel with gigabytes of debug sections behind it take no longer than one without?"""
    path = tmp_path / "vmlinux"
    path.write_bytes(Elf([Row(data=b"Linux version 6.1.0-test (me)\n\0")]).build())
    with path.open("r+b") as file:
        file.truncate(1 << 36)
    kernel = Kernel.read(path)
    assert kernel.version == "6.1.0-test (me)"
    assert kernel.blob_bytes < 300


def test_the_banner_is_found_across_pieces() -> None:
    """Is the version found where it spans two pieces, and the format string before it passed over?"""
    data = b"Linux version %s\0".ljust(PIECE_BYTES - 15, b"x") + b"Linux version 6.1.0-test (me)\0"
    assert Kernel.read(Elf([Row(data=data)]).build()).version == "6.1.0-test (me)"


def test_empty_segments_are_left_out() -> None:
    """Is a PT_LOAD of no memory dropped, wherever it claims to lie?"""
    kernel = Kernel.read(Elf([Row(), Row(0, b"", memory_bytes=0)]).build())
    assert len(kernel.segments) == 1


def test_a_segment_without_bytes_in_the_file_takes_memory_alone() -> None:
    """Is a pure .bss segment kept as a program header without contents?"""
    kernel = Kernel.read(Elf([Row(), Row(20 * MIB, b"", memory_bytes=MIB, flags=6)]).build())
    assert kernel.memory.stop == 21 * MIB
    assert len(list(kernel.pieces())) == 2


CANNOT = f"{NAME} cannot be booted: "
IDENTS = {
    "class": b"\x7fELF\x03\x01\x01",
    "order": b"\x7fELF\x02\x07\x01",
    "version": b"\x7fELF\x02\x01\x00",
}


@pytest.mark.parametrize(
    ("elf", "why", "hint"),
    [
        (Elf(ident=IDENTS["class"]), "its ELF class is 3, neither 32-bit (1) nor 64-bit (2)", DAMAGED),
        (
            Elf(ident=IDENTS["order"]),
            "its ELF byte order is 7, neither little-endian (1) nor big-endian (2)",
            DAMAGED,
        ),
        (Elf(ident=IDENTS["version"]), "its ELF version is 0, and there is only 1", DAMAGED),
        (Elf(version=2), "its ELF version is 2, and there is only 1", DAMAGED),
        (Elf(type=0xFE00), "its ELF type is 65024, and a kernel's is 2 (EXEC) or 3 (DYN)", DAMAGED),
        (
            Elf(type=3),
            "it is position-independent (ELF type DYN), and Linux's vmlinux has a fixed address (type EXEC)",
            "Link it with `-no-pie`.",
        ),
        (Elf(table=1 << 40), "its program headers end at 0x10000000038, but the file at 0xa8", DAMAGED),
        (Elf(table=(1 << 64) - 8), "its program headers end at 0x10000000000000030, but the file at 0xa8", DAMAGED),
        (Elf(row_size=0), "its program headers have 0 bytes each instead of 56", DAMAGED),
        (Elf(row_size=32), "its program headers have 32 bytes each instead of 56", DAMAGED),
        (Elf(row_size=0xFFFF), "its program headers have 65535 bytes each instead of 56", DAMAGED),
        (Elf(row_count=0), "it has no program headers, so nothing says what to load", NOT_LINKED),
        (Elf(row_count=0xFFFF), "it has 65535 program headers, and 64 are the most", NOT_LINKED),
        (Elf(row_count=65), "it has 65 program headers, and 64 are the most", NOT_LINKED),
        (Elf([Row(kind=DYNAMIC)]), "no program header has anything to load (PT_LOAD)", NOT_LINKED),
        (Elf([Row(memory_bytes=0, data=b"")]), "no program header has anything to load (PT_LOAD)", NOT_LINKED),
        (
            Elf([Row(memory_bytes=8)]),
            "program header 0 (PT_LOAD) has 0x10 bytes in the file but only 0x8 in memory",
            DAMAGED,
        ),
        (
            Elf([Row(offset=(1 << 64) - 8, file_bytes=16)]),
            "program header 0 (PT_LOAD) ends at 0x10000000000000008, but the file at 0x98",
            CUT_OFF,
        ),
        (
            Elf([Row(file_bytes=17)]),
            "program header 0 (PT_LOAD) ends at 0xa9, but the file at 0xa8",
            CUT_OFF,
        ),
        (
            Elf([Row(align=24)]),
            "program header 0 (PT_LOAD) wants an alignment of 0x18, which is no power of two",
            DAMAGED,
        ),
        (
            Elf([Row(MIB - 1)]),
            "program header 0 (PT_LOAD) wants to lie at 0xfffff, below 1 MiB, where the firmware and the loader are",
            "Link it for 1 MiB or above.",
        ),
        (
            Elf([Row((1 << 52) - 8)]),
            (
                "program header 0 (PT_LOAD) wants physical memory up to 0x10000000000008, and there can be none above"
                " 0x10000000000000"
            ),
            "Give its segments a physical address: `AT(...)` in the linker script.",
        ),
        (
            Elf([Row((1 << 64) - 8)]),
            (
                "program header 0 (PT_LOAD) wants physical memory up to 0x10000000000000008, and there can be none"
                " above 0x10000000000000"
            ),
            "Give its segments a physical address: `AT(...)` in the linker script.",
        ),
        (
            Elf([Row(0xFFFF_FFF8)], bits=32),
            (
                "program header 0 (PT_LOAD) wants physical memory up to 0x100000008, and there can be none above"
                " 0x100000000"
            ),
            "Give its segments a physical address: `AT(...)` in the linker script.",
        ),
        (
            Elf([Row(virtual=(1 << 64) - 8)]),
            "program header 0 (PT_LOAD) runs past the end of the 64-bit address space, from 0xfffffffffffffff8 on",
            DAMAGED,
        ),
        (
            Elf([Row(), Row(15 * MIB, memory_bytes=MIB + 1)]),
            "program headers 1 and 0 want the same memory: 0xf00000 to 0x1000001, and 0x1000000 onwards",
            NOT_LINKED,
        ),
        (Elf(entry=16 * MIB + 16), "its entry 0x1000010 lies outside of what is loaded from the file", NOT_LINKED),
        (Elf(entry=0), "its entry 0x0 lies outside of what is loaded from the file", NOT_LINKED),
        (
            Elf(entry=0xC100_0004, bits=32),
            "its entry 0xc1000004 is a virtual address, and Linux's vmlinux has a physical one",
            "In the linker script: `phys_start = start - VIRTUAL_BASE; ENTRY(phys_start)`.",
        ),
        (
            Elf([Row(flags=6)]),
            "its entry 0x1000000 is in program header 0, which is not executable",
            NOT_LINKED,
        ),
        (
            Elf([Row(), Row(kind=NOTE, data=struct.pack("<III", 0xFFFF_FFFF, 4, 1) + b"Xen\0")]),
            (
                "the note at 0x0 of program header 1 (PT_NOTE) claims a name of 0xffffffff and a value of 0x4 bytes,"
                " more than there are"
            ),
            DAMAGED,
        ),
        (
            Elf([Row(), Row(kind=NOTE, data=struct.pack("<III", 4, 0xFFFF_FFFD, 1) + b"Xen\0")]),
            (
                "the note at 0x0 of program header 1 (PT_NOTE) claims a name of 0x4 and a value of 0xfffffffd bytes,"
                " more than there are"
            ),
            DAMAGED,
        ),
        (
            Elf([Row(), Row(kind=NOTE, file_bytes=0x1_0001)]),
            "program header 1 (PT_NOTE) has 0x10001 bytes of notes, and 0x10000 are the most",
            DAMAGED,
        ),
        (
            Elf([Row(), Row(kind=NOTE, offset=1 << 40, file_bytes=16)]),
            "program header 1 (PT_NOTE) ends at 0x10000000010, but the file at 0xe0",
            CUT_OFF,
        ),
    ],
)
def test_what_cannot_be_a_kernel_is_refused_by_name(elf: Elf, why: str, hint: str) -> None:
    error = refusal(elf)
    assert error.message == f"{CANNOT}{why}."
    assert error.hint == hint


@pytest.mark.parametrize("length", [4, 20, 51])
def test_a_file_that_ends_in_its_header(length: int) -> None:
    assert (
        refusal(Elf(bits=32).build()[:length]).message
        == f"{CANNOT}it ends after {length} bytes, inside the ELF header."
    )


def test_a_64_bit_file_that_ends_in_its_header() -> None:
    assert refusal(Elf().build()[:63]).message == f"{CANNOT}it ends after 63 bytes, inside the ELF header."


@pytest.mark.parametrize(
    ("elf", "what"),
    [
        (Elf(machine=183), "an ELF file for AArch64"),
        (Elf(machine=4711), "an ELF file for machine number 4711"),
        (Elf(machine=3), "a 64-bit ELF file for i386, a mixture that no x86 kernel is"),
        (Elf(bits=32, machine=62), "a 32-bit ELF file for x86-64, a mixture that no x86 kernel is"),
        (Elf(type=1), "an ELF object file or kernel module (.o, .ko), which is not linked to run"),
        (Elf(type=4), "a core dump (ELF)"),
    ],
)
def test_other_elf_files_are_named(elf: Elf, what: str) -> None:
    assert refusal(elf).message == f"{NAME} is no kernel that can be booted: it is {what}."


def test_programs_that_run_under_linux_are_named() -> None:
    """Are a program with an interpreter and a static one told from a kernel?"""
    gnu = struct.pack("<III", 4, 16, 1) + b"GNU\0" + bytes(16)
    for row in (Row(kind=INTERPRETER), Row(kind=NOTE, data=gnu)):
        assert refusal(Elf([Row(), row])).message == (
            f"{NAME} is no kernel: it is a program that runs under Linux (an ELF executable or library)."
        )


def test_this_pythons_own_program_is_named() -> None:
    import sys

    with pytest.raises(KernelInvalid) as caught:
        Kernel.read(Path(sys.executable).resolve())
    assert "it is a program that runs under Linux" in caught.value.message
