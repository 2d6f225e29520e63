"""Does stage 3 take every memory map that a BIOS has been seen to tell, and no more than that?"""

from __future__ import annotations

import pytest

from bootslang.boot.bios.memory_map import MOST_CALLS, Line, read_e801, read_e820, read_memory_map
from bootslang.boot.context import BootContext, GateRequest
from bootslang.slang import BootError
from support.bios import FakeBios, structure

RAM = 1
MIB = 1 << 20
Answer = tuple[int, int, int]


class MapBios(FakeBios):
    """Tells `lines`; quirks are switched on by a test."""

    def __init__(self, *lines: Answer) -> None:
        super().__init__()
        self.lines = list(lines)
        self.line_bytes = 20
        self.attributes = 1
        self.endless = False
        self.carry_after_last = False
        self.signature = 0x534D4150
        self.e801: tuple[int, int, int, int] | None = None
        self.kib: int | None = None

    def int15(self, request: GateRequest, memory: int) -> bool:
        """Answer E820, E801 and 88h."""
        match request.eax & 0xFFFF:
            case 0xE820:
                return self.tell_line(request, memory)
            case 0xE801 if self.e801:
                request.eax, request.ebx, request.ecx, request.edx = self.e801
                return False
            case 0x8800 if self.kib is not None:
                request.eax = self.kib
                return False
            case _:
                return True

    def tell_line(self, request: GateRequest, memory: int) -> bool:
        """Tell one line, and where the next one is."""
        assert request.edx == 0x534D4150
        assert request.ecx >= 20
        assert structure(Line, memory).attributes == 1, "a BIOS that writes 20 bytes leaves the attributes as they are"
        index = request.ebx
        if index >= len(self.lines) and not self.endless:
            return True
        base, size, kind = self.lines[index % len(self.lines)]
        answer = structure(Line, memory)
        answer.base, answer.size, answer.kind = base, size, kind
        if self.line_bytes == 24:
            answer.attributes = self.attributes
        request.eax, request.ecx = self.signature, self.line_bytes
        last = index + 1 == len(self.lines) and not self.endless and not self.carry_after_last
        request.ebx = 0 if last else index + 1
        return False


def lines_of(context: BootContext) -> list[Answer]:
    return [(line.base, line.size, line.kind) for line in list(context.memory)[: context.memory_count]]


def read_from(bios: MapBios) -> list[Answer]:
    context = BootContext.zeroed()
    with bios:
        read_e820(context)
    return lines_of(context)


LOW = (0, 0x9FC00, RAM)
RESERVED = (0xF0000, 0x10000, 2)
HIGH = (MIB, 127 * MIB, RAM)


def test_every_line_comes_in_the_bios_own_order() -> None:
    """Are lines kept as told, unsorted and overlapping ones too?"""
    lines = (HIGH, LOW, RESERVED, (0x9F000, 0x2000, 2))
    assert read_from(MapBios(*lines)) == list(lines)


@pytest.mark.parametrize("count", [0, 1, 127, 128])
def test_any_number_of_lines_up_to_the_table(count: int) -> None:
    """Do 0, 1 and as many lines as the zero page holds come through?"""
    lines = [(index * 2 * MIB, MIB, RAM) for index in range(count)]
    assert read_from(MapBios(*lines)) == lines


def test_more_lines_than_the_table_holds() -> None:
    """Does the 129th line stop the reading, with the first 128 kept?"""
    lines = [(index * 2 * MIB, MIB, RAM) for index in range(129)]
    assert read_from(MapBios(*lines)) == lines[:128]


@pytest.mark.parametrize("size", [MIB, 0])
def test_a_bios_that_never_ends(size: int) -> None:
    """Is an endless map cut off, also when all its lines are empty?"""
    bios = MapBios((MIB, size, RAM))
    bios.endless = True
    lines = read_from(bios)
    assert len(lines) == (128 if size else 0)
    assert len(bios.calls) <= MOST_CALLS


def test_carry_after_the_last_line_is_the_end() -> None:
    """Some BIOSes end with carry rather than with EBX = 0: is what came before kept?"""
    bios = MapBios(LOW, HIGH)
    bios.carry_after_last = True
    assert read_from(bios) == [LOW, HIGH]


def test_empty_lines_are_dropped() -> None:
    """Is a line of length 0 left out, and the rest kept?"""
    assert read_from(MapBios(LOW, (0xA0000, 0, 2), HIGH)) == [LOW, HIGH]


def test_acpi_attributes() -> None:
    """Of 24-byte lines, are those without the "valid" bit ignored?"""
    bios = MapBios(LOW, HIGH)
    bios.line_bytes = 24
    assert read_from(bios) == [LOW, HIGH]
    bios.attributes = 0
    assert read_from(bios) == []


def test_a_range_that_wraps_is_passed_on_as_it_is() -> None:
    """Does stage 3 leave the judgement on a range beyond 2^64 to stage 4?"""
    wrapping = (0xFFFF_FFFF_FFFF_F000, 0x2000, RAM)
    assert read_from(MapBios(LOW, wrapping)) == [LOW, wrapping]


def test_an_answer_without_signature_is_no_answer() -> None:
    """Is a BIOS that returns something else in EAX disbelieved altogether?"""
    bios = MapBios(LOW, HIGH)
    bios.signature = 0
    assert read_from(bios) == []


def test_a_line_that_is_too_short_ends_the_map() -> None:
    """Does a BIOS that wrote fewer than 20 bytes not have its rubbish believed?"""
    bios = MapBios(LOW, HIGH)
    bios.line_bytes = 8
    assert read_from(bios) == []


@pytest.mark.parametrize(
    ("answer", "kib"),
    [
        ((15 * 1024, 0x100, 0, 0), 15 * 1024 + 0x100 * 64),
        ((0, 0, 15 * 1024, 0x100), 15 * 1024 + 0x100 * 64),
        ((15 * 1024, 0xFFFF, 0, 0), 15 * 1024 + 0xFFFF * 64),
        ((14 * 1024, 0x100, 0, 0), 14 * 1024),
        ((0x3C01, 0x100, 0, 0), 0),
        (None, 0),
    ],
    ids=["AX and BX", "CX and DX", "more than 16 bits hold", "a hole below 16 MiB", "nonsense", "unknown"],
)
def test_e801(answer: tuple[int, int, int, int] | None, kib: int) -> None:
    """Is E801h's answer read from either register pair, without overflow, up to the first hole?"""
    bios = MapBios()
    bios.e801 = answer
    with bios:
        assert read_e801() == kib


def test_without_e820_the_older_calls_serve() -> None:
    """Does a machine with E801h or 88h alone get through, with their numbers in the context?"""
    bios = MapBios()
    bios.e801 = (0x3C00, 0x700, 0x3C00, 0x700)
    bios.kib = 0xFC00
    context = BootContext.zeroed()
    with bios:
        read_memory_map(context)
    assert (context.memory_count, context.alt_mem_k, context.ext_mem_k) == (0, 0x3C00 + 0x700 * 64, 0xFC00)


def test_a_bios_that_knows_no_call_is_an_error() -> None:
    """Without any answer, is the boot stopped with a message that names the calls?"""
    with (
        MapBios(),
        pytest.raises(BootError, match="the BIOS tells no memory size"),
    ):
        read_memory_map(BootContext.zeroed())
