"""Does each place get the value that the ABI's formulas give it, and only if it fits?"""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unicorn import UC_ARCH_X86, UC_MODE_64
from unicorn.unicorn import Uc
from unicorn.x86_const import UC_X86_REG_RAX, UC_X86_REG_RSP

from bootslang.slang.link import LinkError, LinkRequest, ObjectFile, link
from bootslang.slang.link.kinds import EM_386, EM_X86_64, KINDS, RelocationKind, either, signed, wrapping
from bootslang.slang.link.layout import Layout
from bootslang.slang.link.objects import Relocation, Section
from bootslang.slang.link.relocate import Relocator
from bootslang.slang.link.resolve import Names, number

Compile = Callable[..., ObjectFile]
PLAIN = [kind for kinds in KINDS.values() for kind in kinds.values() if kind.formula in ("absolute", "relative")]


def filled(kind: RelocationKind, target: int, addend: int, address: int) -> bytes:
    """What eight bytes at `address`, all 0xAA, become when a relocation is applied to the first of them."""
    request = LinkRequest(name="x", objects=(), base=0)
    names = Names("x", (), {"target": target})
    section = Section(object="a.o", name=".text", type=1, flags=6, alignment=1, size=8, data=bytes(8))
    data = bytearray(b"\xaa" * 8)
    relocation = Relocation(0, kind, number("target", 0), addend)
    Relocator(request, Layout(base=0), names).apply(data, 0, address, relocation, section)
    return bytes(data)


@given(
    kind=st.sampled_from(PLAIN),
    target=st.integers(0, 2**64 - 1) | st.integers(0, 2**16),
    addend=st.integers(-(2**31), 2**31 - 1) | st.integers(-8, 8),
    address=st.integers(0, 2**64 - 1) | st.integers(0, 2**16),
)
def test_a_place_gets_its_value_or_an_error(kind: RelocationKind, target: int, addend: int, address: int) -> None:
    value = target + addend - (address if kind.formula == "relative" else 0)
    if kind.least <= value <= kind.most:
        data = filled(kind, target, addend, address)
        # The processor reads the bytes back to a number that is the same, modulo the width.
        assert (int.from_bytes(data[: kind.size], "little") - value) % (1 << 8 * kind.size) == 0
        assert data[kind.size :] == b"\xaa" * (8 - kind.size)
    else:
        with pytest.raises(LinkError, match=kind.name):
            filled(kind, target, addend, address)


@pytest.mark.parametrize("bits", [8, 16, 32, 64])
def test_ranges_are_what_their_names_say(bits: int) -> None:
    assert signed(bits) == (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    assert either(bits) == (-(2 ** (bits - 1)), 2**bits - 1)
    assert wrapping(bits) == (-(2**bits) + 1, 2**bits - 1)


def test_a_kind_that_does_nothing_changes_nothing() -> None:
    assert filled(KINDS[EM_386][0], 1, 2, 3) == filled(KINDS[EM_X86_64][0], 1, 2, 3) == b"\xaa" * 8


def test_a_sixteen_bit_jump_may_go_around_the_segments_end() -> None:
    # From 0xF000 to 0x1000: the processor adds modulo 64 KiB.
    assert filled(KINDS[EM_386][21], 0x1000, -2, 0xF000)[:2] == ((0x1000 - 2 - 0xF000) % 0x10000).to_bytes(2, "little")


TABLE_USERS = """
module asm ".section .start,\\22ax\\22"
module asm "mov rax, qword ptr [rip + first@GOTPCREL]"
module asm "call qword ptr [rip + second@GOTPCREL]"
module asm "jmp qword ptr [rip + third@GOTPCREL]"
module asm ".section .text.second,\\22ax\\22"
module asm ".globl second"
module asm "second: add rax, 2"
module asm "ret"
module asm ".section .text.third,\\22ax\\22"
module asm ".globl third"
module asm "third: add rax, 3"
module asm "hlt"
module asm ".section .rodata.first,\\22a\\22"
module asm ".globl first"
module asm "first: .long 7"
"""


def test_what_would_go_through_an_offset_table_goes_there_directly(compiled: Compile) -> None:
    linked = link(LinkRequest(name="x", objects=(compiled(TABLE_USERS, target="long64"),), base=0x8000))
    machine = Uc(UC_ARCH_X86, UC_MODE_64)
    machine.mem_map(0x8000, 0x2000)
    machine.mem_write(0x8000, linked.data)
    machine.reg_write(UC_X86_REG_RSP, 0xA000)
    machine.emu_start(linked.entry, -1, count=20)
    assert machine.reg_read(UC_X86_REG_RAX) == linked.symbols["first"] + 2 + 3


def test_other_uses_of_an_offset_table_are_refused_by_name(compiled: Compile) -> None:
    ir = TABLE_USERS.replace("mov rax, qword", "cmp rax, qword")
    with pytest.raises(LinkError) as caught:
        link(LinkRequest(name="lift64", objects=(compiled(ir, target="long64"),), base=0x8000))
    assert str(caught.value) == (
        "lift64: .start in a.o reads the address of `first` from a global offset table (R_X86_64_REX_GOTPCRELX), "
        "and there is none; declare it dso_local"
    )


def test_an_unknown_kind_is_refused_by_number(compiled: Compile) -> None:
    ir = '@x = thread_local global i32 1\ndefine ptr @start() section ".start" { ret ptr @x }'
    with pytest.raises(LinkError) as caught:
        link(LinkRequest(name="lift32", objects=(compiled(ir, target="protected32"),), base=0x8000))
    assert str(caught.value).startswith("lift32: a.o has a relocation of kind ")
    assert str(caught.value).endswith(" in .start, which this linker does not know")
