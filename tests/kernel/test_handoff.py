"""Are 64-bit kernels of one's own told from Linux's, and refused by name where the hand-off cannot start them?"""

from __future__ import annotations

import struct

import pytest

from bootslang.boot import handoff as protocol
from bootslang.boot.lift.handoff import kernel as lift
from bootslang.boot.lift.segment import MAX_SEGMENTS
from bootslang.errors import KernelInvalid, UsageError
from bootslang.kernel import Kernel, KernelKind, elf_file, handoff
from support.elf_writer import (
    DYNAMIC,
    HIGH,
    INTERPRETER,
    MIB,
    NOTE,
    RELRO,
    ROWS,
    Elf,
    Row,
    data,
    movable,
    note,
    relocation,
    static,
    text,
)
from support.payloads import bzimage

NAME = "kernel.elf"
CANNOT = f"{NAME} cannot be booted: "
DAMAGED = "The file is damaged or unfinished: compare it with where it came from, or build it again."
GNU = struct.pack("<III", 4, 16, 1) + b"GNU\0" + bytes(16)
"""The note of every program that a C library is linked to."""
NOT_LINKED = "Look at it with `readelf -lh`; the linker script has to place code where the entry is."
SEPARATE = (
    "Put code and data into segments of their own: `-z separate-code`, or PHDRS in the linker script."
    " `--allow-wx` starts it as it is."
)
ALIGN = "Align each to a page: `. = ALIGN(0x1000);` in the linker script, or link with `-z separate-code`."
BY_ITSELF = (
    "The kernel has to be complete: link it with `-static-pie` or `-pie -Bsymbolic`, compile with"
    " `-fvisibility=hidden`, and leave no symbol undefined."
)


def read(elf: Elf | bytes, **options: str | bool) -> Kernel:
    source = elf if isinstance(elf, bytes) else elf.build()
    return Kernel.read(source, name=NAME, **options)  # type: ignore[arg-type]


def refusal(elf: Elf | bytes, **options: str | bool) -> KernelInvalid:
    with pytest.raises(KernelInvalid) as caught:
        read(elf, **options)
    return caught.value


def test_the_limits_are_those_of_the_machine() -> None:
    ours = (handoff.LOW_HALF_END, handoff.HIGH_HALF, handoff.LAST_PAGE, handoff.KERNEL_BYTES_MAX, handoff.ALIGNMENT_MAX)
    theirs = (lift.LOW_HALF_END, lift.HIGH_HALF, lift.LAST_PAGE, lift.MAX_BYTES, lift.MAX_ALIGNMENT)
    assert ours == theirs
    assert elf_file.PROGRAM_HEADERS_MAX == MAX_SEGMENTS


def test_the_numbers_are_the_protocols() -> None:
    assert handoff.NOTE_NAME == protocol.NOTE_NAME + b"\0"
    assert (handoff.NOTE_TYPE, handoff.VERSION) == (protocol.NOTE_TYPE, protocol.VERSION)


@pytest.mark.parametrize("base", [2 * MIB, HIGH], ids=["low", "high"])
def test_a_kernel_at_fixed_addresses(base: int) -> None:
    """Is it read by its virtual addresses, whatever the physical ones say?"""
    kernel = read(static(text(base), data(base + 0x1000, memory_bytes=0x2345), entry=base + 4))
    assert (kernel.kind, kernel.bits, kernel.entry) == (KernelKind.HANDOFF, 64, base + 4)
    assert kernel.memory == range(base, base + 0x3345)
    assert [part.rights for part in kernel.segments] == ["RE", "RW"]
    assert kernel.handoff is not None
    assert (kernel.handoff.position_independent, kernel.handoff.relocations, kernel.handoff.risks) == (False, 0, ())


def test_a_position_independent_kernel() -> None:
    """Are its relocations counted, those that do nothing among them?"""
    kernel = read(movable(relocation() + relocation(0, kind=0) + relocation(0x2FF8)))
    assert kernel.handoff is not None
    assert (kernel.handoff.position_independent, kernel.handoff.relocations) == (True, 3)
    assert kernel.memory == range(0x3000)


def test_a_position_independent_kernel_without_relocations() -> None:
    kernel = read(Elf([text(0)], entry=0, type=3))
    assert kernel.handoff is not None
    assert (kernel.handoff.position_independent, kernel.handoff.relocations) == (True, 0)


LINUX = Elf([Row(16 * MIB, virtual=HIGH + 16 * MIB), Row(18 * MIB, virtual=0)])
"""As Linux's vmlinux: the entry is physical, and its per-CPU data are linked to 0."""


@pytest.mark.parametrize(
    ("elf", "kind"),
    [
        (LINUX, KernelKind.ELF64),
        (Elf([*LINUX.rows, Row(kind=NOTE, data=note())]), None),
        (static(), KernelKind.HANDOFF),
        (Elf([Row(virtual=16 * MIB)]), KernelKind.HANDOFF),
        (Elf([Row(virtual=16 * MIB)], bits=32), KernelKind.ELF32),
    ],
    ids=["physical entry", "note", "virtual entry", "both", "32 bits"],
)
def test_the_kind_is_guessed(elf: Elf, kind: KernelKind | None) -> None:
    """Is the kernel told by its note, else by whether its entry is a virtual address?"""
    if kind is None:
        assert "its entry 0x1000000 is a physical address" in refusal(elf).message
    else:
        assert read(elf).kind is kind


def test_the_protocol_can_be_told() -> None:
    both = Elf([Row(virtual=16 * MIB)])
    assert read(both, protocol="linux").kind is KernelKind.ELF64
    assert read(both, protocol="handoff").kind is KernelKind.HANDOFF
    with pytest.raises(UsageError) as caught:
        read(both, protocol="multiboot")
    assert str(caught.value) == "There is no protocol 'multiboot'.\nChoose one of: auto, linux, handoff."


@pytest.mark.parametrize(
    ("elf", "why"),
    [
        (bzimage(), "it is a bzImage, and the hand-off protocol starts 64-bit ELF files"),
        (Elf(bits=32), "it is a 32-bit ELF file, and the hand-off protocol starts 64-bit ones"),
        (
            LINUX,
            "its entry 0x1000000 is a physical address, and the hand-off protocol enters at a virtual one",
        ),
    ],
)
def test_what_the_hand_off_does_not_start(elf: Elf | bytes, why: str) -> None:
    assert refusal(elf, protocol="handoff").message == f"{CANNOT}{why}."


def test_programs_are_no_kernels_however_they_are_to_be_started() -> None:
    """Is one with an interpreter refused, and a static one that the protocol was told for let through?"""
    dynamic, static_one = static(text(), Row(kind=INTERPRETER)), static(text(), Row(kind=NOTE, data=GNU))
    for program in dynamic, static_one:
        assert "it is a program that runs under Linux" in refusal(program).message
        assert "`-nostdlib -static`" in refusal(program).hint
    assert refusal(dynamic, protocol="handoff").message == (
        f"{CANNOT}it asks for an interpreter (PT_INTERP), and a kernel is on its own."
    )
    assert read(static_one, protocol="handoff").kind is KernelKind.HANDOFF


def test_memory_that_is_writable_and_executable_can_be_allowed() -> None:
    kernel = read(static(text(flags=7), data()), allow_wx=True)
    assert kernel.handoff is not None
    assert kernel.handoff.risks == ("program header 0 (PT_LOAD) is writable and executable (RWE)",)


@pytest.mark.parametrize(
    ("elf", "why", "hint"),
    [
        (
            static(text(flags=7)),
            "program header 0 (PT_LOAD) is writable and executable (RWE), against the protocol's W^X",
            SEPARATE,
        ),
        (
            static(text(), data(HIGH + 0x10)),
            ("program headers 0 and 1 share the page at 0xffffffff80000000 and have different rights (RE and RW)"),
            ALIGN,
        ),
        (
            static(text(), data(HIGH + 15)),
            (
                "program headers 0 and 1 want the same memory: 0xffffffff80000000 to 0xffffffff80000010, and"
                " 0xffffffff8000000f onwards"
            ),
            NOT_LINKED,
        ),
        (
            static(text(0x7FFF_FFFF_FFF8), entry=0x7FFF_FFFF_FFF8),
            (
                "program header 0 (PT_LOAD) is linked to 0x7ffffffffff8 to 0x800000000008, and x86-64 has no addresses"
                " from 0x800000000000 to 0xffff800000000000"
            ),
            "Link it to the lower half, or to the higher one: 0xffffffff80000000 is usual.",
        ),
        (
            static(text((1 << 64) - 8), entry=(1 << 64) - 8),
            ("program header 0 (PT_LOAD) reaches to 0x10000000000000008, and the last page of addresses stays free"),
            "Link it lower.",
        ),
        (
            static(text(0xFF0), entry=0xFF0),
            ("program header 0 (PT_LOAD) is linked to 0xff0, in the first page of addresses, which stays unmapped"),
            "Link it higher, or as position-independent (`-static-pie`).",
        ),
        (
            static(text(align=0x40_0000)),
            "program header 0 (PT_LOAD) wants an alignment of 0x400000, and 0x200000 is the most",
            "Link it with `-z max-page-size=0x1000`.",
        ),
        (
            static(text(), data(MIB)),
            (
                "it takes the addresses from 0x100000 to 0xffffffff80000010, and is loaded as one piece of up to"
                " 0x40000000 bytes"
            ),
            "Link all of it to one range of addresses: no start-up code at low ones is needed.",
        ),
        (
            static(entry=HIGH + 0x1004),
            "its entry 0xffffffff80001004 is in program header 1, which is not executable",
            NOT_LINKED,
        ),
        (
            Elf([text(), data(), Row(kind=NOTE, data=note())], entry=0x100),
            "its entry 0x100 lies outside of what is loaded from the file",
            NOT_LINKED,
        ),
        (
            static(text(), Row(kind=NOTE, data=note(value=b"\2\0\0\0"))),
            "it speaks version 2 of the hand-off protocol, and this Bootslang speaks 1",
            "Build it with the header of this Bootslang (`bootslang header`), or get the Bootslang of its version.",
        ),
        (
            static(text(), Row(kind=NOTE, data=note(value=b""))),
            "its Bootslang note has 0 bytes instead of 4, the protocol's version",
            DAMAGED,
        ),
        (
            static(text(), data(), Row(kind=RELRO, virtual=HIGH + 0x1000, memory_bytes=0x1001)),
            (
                "program header 2 (PT_GNU_RELRO) covers 0xffffffff80001000 to 0xffffffff80002001, outside of what is"
                " loaded"
            ),
            NOT_LINKED,
        ),
        (
            static(text(), *[Row(kind=DYNAMIC, virtual=HIGH)] * 2),
            "it has 2 PT_DYNAMICs, and one is the most",
            NOT_LINKED,
        ),
        (
            static(text(), Row(kind=DYNAMIC, virtual=HIGH, memory_bytes=0x1_0001)),
            "program header 1 (PT_DYNAMIC) has 0x10001 bytes, and 0x10000 are the most",
            DAMAGED,
        ),
        (
            static(text(memory_bytes=0x100), Row(kind=DYNAMIC, virtual=HIGH + 8)),
            (
                "program header 1 (PT_DYNAMIC) lies at 0xffffffff80000008 to 0xffffffff80000018, outside of what is"
                " loaded from the file"
            ),
            NOT_LINKED,
        ),
        (
            movable(t35=24, t36=0x1100),
            "its relocations are packed (DT_RELR), and the loader knows the plain ones (DT_RELA)",
            "Link it with `-z nopack-relative-relocs` (GNU ld) or `--pack-dyn-relocs=none` (lld).",
        ),
        (
            movable(t17=0x1100, t18=16),
            "its relocations are of the kind DT_REL, and those of x86-64 are DT_RELA",
            NOT_LINKED,
        ),
        (movable(t1=5), "it needs a shared library (DT_NEEDED), and a kernel is on its own", BY_ITSELF),
        (
            movable(t2=24, t23=0x1100),
            "it calls functions through a table that a dynamic linker fills (DT_JMPREL), and a kernel has none",
            BY_ITSELF,
        ),
        (
            movable(relocation(), t9=16),
            "its relocations have 0x18 bytes in all and 16 bytes each, and 24 each are due",
            DAMAGED,
        ),
        (
            movable(relocation(), t8=25),
            "its relocations have 0x19 bytes in all and 24 bytes each, and 24 each are due",
            DAMAGED,
        ),
        (
            movable(t7=(1 << 64) - 24, t8=48),
            (
                "its table of relocations lies at 0xffffffffffffffe8 to 0x10000000000000018, outside of what is loaded"
                " from the file"
            ),
            NOT_LINKED,
        ),
        (
            movable(relocation() + relocation(0x1008, kind=6, symbol=3)),
            (
                "relocation 1 is R_X86_64_GLOB_DAT with symbol 3, at 0x1008, and the loader applies R_X86_64_RELATIVE"
                " alone"
            ),
            BY_ITSELF,
        ),
        (
            movable(relocation(kind=37)),
            "relocation 0 is R_X86_64_IRELATIVE, at 0x1000, and the loader applies R_X86_64_RELATIVE alone",
            BY_ITSELF,
        ),
        (
            movable(relocation(kind=4711)),
            "relocation 0 is kind 4711, at 0x1000, and the loader applies R_X86_64_RELATIVE alone",
            BY_ITSELF,
        ),
        (
            movable(relocation(0x2FF9)),
            "relocation 0 changes 0x2ff9 to 0x3001, outside of what is loaded",
            DAMAGED,
        ),
        (
            movable(relocation((1 << 64) - 4)),
            "relocation 0 changes 0xfffffffffffffffc to 0x10000000000000004, outside of what is loaded",
            DAMAGED,
        ),
        (
            movable(relocation(0x1117)),
            "relocation 0 changes 0x1117, in the table of relocations itself",
            DAMAGED,
        ),
    ],
)
def test_what_cannot_be_handed_over_is_refused_by_name(elf: Elf, why: str, hint: str) -> None:
    error = refusal(elf)
    assert error.message == f"{CANNOT}{why}."
    assert error.hint == hint


def test_sizes_without_a_table() -> None:
    section = struct.pack("<QQQQ", 8, 24, 0, 0)
    elf = static(text(data=section, flags=5), Row(0, section, kind=DYNAMIC, virtual=HIGH))
    assert refusal(elf).message == (
        f"{CANNOT}it has 0x18 bytes of relocations (DT_RELASZ), and does not say where (DT_RELA)."
    )


def test_the_blob_keeps_what_the_loader_needs() -> None:
    """Are dynamic section, RELRO and note kept, and do their offsets lead to the same bytes as their addresses?"""
    elf = movable(relocation())
    elf.rows[0].data = note()
    elf.rows += [
        Row(0, b"", kind=NOTE, virtual=0, offset=64 + 6 * ROWS[64].size + 32, file_bytes=len(note())),
        Row(0, b"", kind=RELRO, virtual=0x1000, offset=0x7777, file_bytes=0, memory_bytes=0x1000),
        Row(0, b"", kind=0x6474_E551),
    ]
    elf.rows[2].offset = 0x5555
    kernel = read(elf)
    blob = b"".join(kernel.pieces())
    again = read(blob)
    assert (again.entry, again.memory, again.handoff) == (kernel.entry, kernel.memory, kernel.handoff)
    assert b"".join(again.pieces()) == blob
    rows = [ROWS[64].unpack_from(blob, 64 + at * ROWS[64].size) for at in range(5)]
    assert [row[0] for row in rows] == [1, 1, NOTE, DYNAMIC, RELRO]
    first, second = rows[0][2], rows[1][2]
    assert [row[2] for row in rows[2:]] == [first, second, second]
    assert blob[first : first + len(note())] == note()


def test_its_limits_are_those_of_the_format() -> None:
    limits = read(static()).limits
    assert limits.command_line_bytes == MIB
    limits.check_initrd_size(1 << 40)


def test_it_is_told_as_plain_data() -> None:
    import json

    description = json.loads(json.dumps(read(movable(relocation())).describe()))
    assert (description["kind"], description["handoff"]) == (
        "handoff",
        {"position_independent": True, "relocations": 1, "risks": []},
    )
