"""Are a position-independent kernel's addresses put right, and is what a linker leaves besides refused by name?"""

import struct

import pytest

from bootslang.boot.lift.handoff import relocations
from bootslang.slang import BootError
from support.own_kernels import DYNAMIC, EXECUTABLE, READ, READ_WRITE, Loaded, OwnKernel, Part, dynamic, relocation

RELA, RELA_SIZE, RELA_ENTRY = 7, 8, 9
TABLE, DATA, DYNAMIC_AT = 0x1000, 0x2000, 0x2100
SHIFT = 0xFFFF_FFFF_8000_0000


def kernel(*rows: bytes, kind: int = 3, entries: tuple[tuple[int, int], ...] = (), entry_size: int = 24) -> OwnKernel:
    """Code, a table of relocations, and data with a dynamic section that tells of the table."""
    table = b"".join(rows)
    section = dynamic((RELA, TABLE), (RELA_SIZE, len(table)), (RELA_ENTRY, entry_size), *entries)
    data = struct.pack("<4Q", 1, 2, 3, 4).ljust(DYNAMIC_AT - DATA, b"\0") + section
    parts = [Part(TABLE, table.ljust(8), flags=READ), Part(DATA, data, flags=READ_WRITE), Part(0x3000, b"code")]
    return OwnKernel(parts, kind, entry=0x3000, pieces=[(DYNAMIC, DYNAMIC_AT, len(section))])


def applied(built: OwnKernel, shift: int = SHIFT) -> Loaded:
    loaded = Loaded(built)
    loaded.kernel.shift = shift
    relocations.apply(loaded.kernel)
    return loaded


def test_relative_words_get_the_shift_and_their_neighbours_stay() -> None:
    loaded = applied(kernel(relocation(DATA + 8, 0x3002), relocation(DATA + 24, DATA)))
    assert [loaded.word(DATA + at) for at in (0, 8, 16, 24)] == [1, SHIFT + 0x3002, 3, SHIFT + DATA]


def test_a_sum_may_wrap_around_2_64() -> None:
    assert applied(kernel(relocation(DATA, 0x10))).word(DATA) == SHIFT + 0x10
    assert applied(kernel(relocation(DATA, 0x1_0000_0000)), shift=(1 << 64) - 0x1000).word(DATA) == 0xFFFF_F000


def test_words_in_several_segments_are_reached_also_read_only_ones() -> None:
    loaded = applied(kernel(relocation(DATA, 5), relocation(TABLE + 48, 6), bytes(24)))
    assert (loaded.word(DATA), loaded.word(TABLE + 48)) == (SHIFT + 5, SHIFT + 6)


def test_relocations_of_no_effect_are_passed_over() -> None:
    assert applied(kernel(relocation(1 << 40, 7, 0), relocation(DATA, 8))).word(DATA) == SHIFT + 8


def test_a_kernel_at_fixed_addresses_that_kept_its_relocations_stays_as_it_is() -> None:
    assert applied(kernel(relocation(DATA, 0x1234), kind=EXECUTABLE), shift=0).word(DATA) == 0x1234


def test_a_kernel_without_any_is_left_alone() -> None:
    assert applied(OwnKernel([Part(0, b"code")])).guarded.data == b"code"
    assert applied(kernel()).word(DATA) == 1


ONLY = "only R_X86_64_RELATIVE can be applied"
LINK = "link it with -static-pie, without symbols left undefined"


@pytest.mark.parametrize(
    ("built", "message"),
    [
        (
            kernel(relocation(DATA, 1), relocation(DATA, 1, 6)),
            f"relocation 1 of the kernel, at 0x2000, is of type 6 (R_X86_64_GLOB_DAT): {ONLY}; {LINK}",
        ),
        (
            kernel(relocation(DATA, 1, 37)),
            f"relocation 0 of the kernel, at 0x2000, is of type 37 (R_X86_64_IRELATIVE): {ONLY}; {LINK}",
        ),
        (
            kernel(relocation(DATA, 1, 99)),
            f"relocation 0 of the kernel, at 0x2000, is of type 99: only R_X86_64_RELATIVE can be applied; {LINK}",
        ),
        (
            kernel(relocation(DYNAMIC_AT + 0x40 - 7, 1)),
            "the kernel refers to 0x8 bytes at 0x2139: no segment holds them",
        ),
        (
            kernel(relocation((1 << 64) - 4, 1)),
            "the kernel refers to 0x8 bytes at 0xfffffffffffffffc: no segment holds them",
        ),
        (
            kernel(relocation(DATA, 1), entries=((RELA_SIZE, 4800),)),
            "the kernel refers to 0x12c0 bytes at 0x1000: no segment holds them",
        ),
        (
            kernel(relocation(DATA, 1), entry_size=16),
            "the kernel's relocations take 24 bytes, 16 each: 24 each are due",
        ),
        (
            kernel(relocation(DATA, 1), entries=((RELA_SIZE, 23),)),
            "the kernel's relocations take 23 bytes, 24 each: 24 each are due",
        ),
        (
            kernel(entries=((1, 0),)),
            "the kernel needs a shared library (DT_NEEDED): link it with -static-pie and -nostdlib",
        ),
        (
            kernel(entries=((2, 24),)),
            f"the kernel has a procedure linkage table (DT_JMPREL): {LINK}",
        ),
        (
            kernel(entries=((18, 16),)),
            "the kernel has relocations without addends (DT_REL): x86-64 has those with addends (DT_RELA)",
        ),
        (
            kernel(entries=((35, 8),)),
            "the kernel has packed relocations (DT_RELR): link it without -z pack-relative-relocs",
        ),
        (
            OwnKernel([Part(0, b"code")], pieces=[(DYNAMIC, 0, 16)]),
            "the kernel refers to 0x10 bytes at 0x0: no segment holds them",
        ),
    ],
    ids=lambda value: value[-40:] if isinstance(value, str) else "",
)
def test_what_cannot_be_applied_is_refused_by_name(built: OwnKernel, message: str) -> None:
    with pytest.raises(BootError) as refused:
        applied(built)
    assert str(refused.value) == message


def test_a_dynamic_section_without_an_end_stops_with_its_segment() -> None:
    loaded = Loaded(kernel(relocation(DATA, 9)))
    loaded.kernel.dynamic.size = 48
    relocations.apply(loaded.kernel)
    assert loaded.word(DATA) == 9
