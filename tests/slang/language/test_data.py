"""Do structs, arrays, spans and pointers hold what is put into them, in bounds, on every machine?"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bootslang.slang import (
    Struct,
    address,
    array,
    at,
    be,
    cast,
    fn,
    i16,
    i32,
    length,
    linked,
    offsetof,
    placed,
    ptr,
    sizeof,
    span,
    text,
    u8,
    u16,
    u32,
    u64,
    usize,
)
from support.slang_machines import EMULATED, TARGETS, call, error_of, output_of

on_every_machine = pytest.mark.parametrize("machine", TARGETS)


class Point(Struct):
    x: i16
    y: i16

    @fn
    def moved(self, by: i16) -> i16:
        self.x += by
        self.y -= by
        return self.x - self.y


class Record(Struct):
    kind: u8
    flag: bool
    number: u32 = 7
    wide: u64 = 0
    origin: Point
    corners: array[Point] = length(3)
    name: array[u8] = length(5)
    big: be[u32] = 0x01020304
    big_small: be[u16] = 0
    late: u16 = at(0x40)
    tail: array[be[u16]] = at(0x44, count=2)


class Words(Struct):
    here: usize
    there: span[u8]
    jump: Callable[[u32], u32]
    values: ptr[u16]


class Base(Struct):
    first: u8


class Derived(Base):
    second: u16


class Handler(Struct):
    name: span[u8]
    run: Callable[[u32], u32]


@fn
def double(n: u32) -> u32:
    return n * 2


@fn
def triple(n: u32) -> u32:
    return n * 3


PRIMES: Final = array[u16](n for n in range(2, 60) if all(n % d for d in range(2, n)))
ORIGIN: Final = Point(x=-3, y=4)
TABLE: Final = array[u32](n * n for n in range(10))
HANDLERS: Final = array[Handler]([Handler(name=text("two"), run=double), Handler(name=text("three"), run=triple)])
FIRST: Final = placed(".set.test_handlers.a", Handler(name=text("first"), run=double))
SECOND: Final = placed(".set.test_handlers.b", Handler(name=text("second"), run=triple))
counter: u16 = 0xFFFE
switch: bool = False
state: Record = Record(kind=1, flag=True, origin=Point(x=1, y=2))
buffer: array[u8] = array[u8](16)
handler: Handler = Handler(name=text("variable"), run=triple)


# Structs


@fn
def fill_record(record: Record, number: u32) -> None:
    record.kind = u8(number)
    record.flag = number > 5
    record.number += number
    record.wide = u64(number) << 20
    record.origin = Point(x=1, y=-1)
    record.corners[2] = record.origin
    record.corners[1].y = -5
    record.name[4] = 9
    record.big += 1
    record.big_small = 0xABCD
    record.late |= 0x8001
    record.tail[1] = 0x1234


@fn
def read_record(record: Record) -> tuple[u32, u16, bool]:
    return record.big, record.tail[0] + record.big_small, record.flag


@fn
def references(record: Record) -> i16:
    """A struct-typed name refers; a struct-typed field is a copy."""
    corner = record.corners[0]
    corner.x = 11
    record.origin = corner
    corner.x = 12
    record.origin.moved(1)
    return record.origin.x + record.corners[0].x


@fn
def of_span(data: span[u8]) -> u32:
    return Record.of(data).number


@fn
def at_address(record: Record) -> u32:
    return Record.at(address(record)).number + Record.at(ptr[Record](address(record)).address).kind


@fn
def made_inside(x: i16) -> i32:
    total: i32 = 0
    point = Point(x=x, y=1)
    for _ in range(4):
        point = Point(x=point.y, y=point.x + 1)
        total = total * 10 + point.x
    empty = Record.zeroed()
    empty.origin = point
    nested = Record(kind=1, flag=False, origin=empty.origin)
    return total + nested.origin.x + i32(nested.number) + empty.corners[1].x


@fn
def methods(point: Point) -> i16:
    return point.moved(2) + Point.moved(point, by=3)


@fn
def sizes() -> tuple[usize, usize, usize]:
    return sizeof(Record), offsetof(Record, "tail"), sizeof(Words)


@fn
def inherited(both: Derived) -> u32:
    return u32(both.first) * 256 + both.second


@fn
def words_in_a_struct(data: span[u8]) -> u32:
    numbers = array[u16](4)
    numbers[2] = 500
    held = Words(here=address(data), there=data[1:], jump=triple, values=ptr[u16](numbers.address))
    if held.here + 1 != held.there.address:
        return 0
    jump: Callable[[u32], u32] = held.jump
    return jump(held.there[0]) + held.values[2]


# Arrays


@fn
def local_arrays(n: u8) -> u32:
    zeros = array[u32](8)
    some = array[u16]((5, 6, 7))
    points = array[Point](2)
    points[1].x = 40
    some[n] += 100
    total: u32 = 0
    for value in some:
        total += value
    for point in points:
        total += u32(point.x)
    return total + zeros[n] + u32(len(some))


@fn
def constants(i: usize) -> u32:
    return PRIMES[i] + TABLE[i] + u32(ORIGIN.y - ORIGIN.x) + u32(len(PRIMES))


# Module state


@fn
def count() -> u16:
    global counter, switch
    counter += 1
    switch = not switch
    state.number += 1
    buffer[counter & 15] = 1
    return counter


@fn
def told() -> tuple[u16, bool, u32]:
    return counter, switch, state.number | u32(buffer[3]) << 16


# Spans


@fn
def part(data: span[u8], start: u32, stop: u32) -> span[u8]:
    return data[start:stop]


@fn
def rest(data: span[u8], start: u64) -> span[u8]:
    return data[start:]


@fn
def part_wide(data: span[u8], start: u64, stop: u64) -> span[u8]:
    return data[start:stop]


@fn
def window(data: span[u8], start: u32) -> span[u8]:
    return data[start : start + 4]


@fn
def element(data: span[u8], index: u64) -> u8:
    return data[index]


@fn
def copy(target: span[u8], source: span[u8]) -> None:
    target[:] = source


@fn
def move_inside(data: span[u8], target: u32, source: u32, count: u32) -> None:
    data[target : target + count] = data[source : source + count]


@fn
def copy_windows(data: span[u8]) -> None:
    data[0:4] = data[2:6]


@fn
def recast(data: span[u8]) -> tuple[usize, u32]:
    words = data.cast(u32)
    return len(words), words[1]


@fn
def swapped_words(data: span[be[u16]]) -> u32:
    total: u32 = 0
    for i, value in enumerate(data):
        total += value * u32(i + 1)
    data[0] += 1
    data[1:].fill(0x0102)
    return total


@fn
def fills(bytes_: span[u8], words: span[u32], value: u32) -> None:
    bytes_[1:3].fill(u8(value))
    words.fill(value)


@fn
def raw(data: span[u8]) -> u32:
    pointer = ptr[u8](data.address)
    pointer[1] = 5
    behind = pointer + 2
    behind[0] = pointer[0]
    wide: ptr[u16] = pointer.cast(u16)
    again = pointer.span(3)
    return wide[0] + u32(len(again)) + again[2] + u32(span[u8](data.address, 2)[1])


@fn
def picked(data: span[u8], first: bool) -> span[u8]:
    return data[:1] if first else text("other")


# Function pointers


@fn
def apply(function: Callable[[u32], u32], n: u32) -> u32:
    return function(n)


@fn
def through_pointers(n: u32, second: bool) -> u32:
    chosen = triple if second else double
    number = address(chosen)
    again: Callable[[u32], u32] = cast(Callable[[u32], u32], number)
    return apply(chosen, n) + again(n)


@fn
def through_table(index: u32, n: u32) -> u32:
    chosen = HANDLERS[index]
    print(f"{chosen.name}", end="")
    return chosen.run(n)


@fn
def through_variable(n: u32) -> u32:
    print(f"{handler.name}", end="")
    result = handler.run(n)
    handler.run = double
    return result


@fn
def complex_callback(point: Point, data: span[u8], pair: u64) -> tuple[u64, span[u8]]:
    return pair + u64(u16(point.x)), data[1:]


@fn
def through_complex_pointer(point: Point, data: span[u8], n: u64) -> u64:
    function = complex_callback
    number, rest_ = function(point, data, n)
    return number * 10 + rest_[0]


@fn
def set_of_handlers(n: u32) -> u32:
    total: u32 = 0
    for each in linked(Handler, "test_handlers"):
        print(f"{each.name} ", end="")
        total = total * 100 + each.run(n)
    return total


# Many arguments


@fn
def many(a: u8, b: u64, c: u16, data: span[u8], d: bool, e: u64, f: i32, g: u32, h: u8) -> u64:
    return a + b * 3 + c * u64(5) + data[0] * u64(7) + u64(d) * 11 + e * 13 + u64(f) * 17 + g * u64(19) + h * u64(23)


@fn
def call_many(a: u8, b: u64, c: u16, data: span[u8], d: bool, e: u64, f: i32, g: u32, h: u8) -> u64:
    return many(a, b, c, data, d, e, f, g, h) + many(h=a, b=e, c=c, data=data, d=d, e=b, f=f, g=g, a=h)


@fn
def wide_result(n: u32) -> tuple[u64, u32, u8, u64]:
    return u64(n) << 32, n, u8(n), u64(n) * n


@fn
def unpack_wide_result(n: u32) -> u64:
    a, b, c, d = wide_result(n)
    return a ^ b ^ c ^ d


def many_twin(*, a: int, b: int, c: int, first: int, d: int, e: int, f: int, g: int, h: int) -> int:
    return a + b * 3 + c * 5 + first * 7 + d * 11 + e * 13 + f * 17 + g * 19 + h * 23


def outcome(function: Any, *arguments: Any) -> Any:
    """The result, or the text of the error."""
    from bootslang.slang import BootError

    try:
        return call(*arguments[:1], function, *arguments[1:])
    except BootError as error:
        return str(error)


def new_record(**values: Any) -> Record:
    return Record(**{"kind": 0, "flag": False, "origin": Point(x=0, y=0), **values})


@on_every_machine
def test_the_fields_of_structs_are_packed_and_little_endian_unless_said_otherwise(machine: str) -> None:
    record = new_record()
    call(machine, fill_record, record, 6)
    expected = struct.pack(
        "<BBIQhhhhhhhh5s", 6, 1, 13, 6 << 20, 1, -1, 0, 0, 0, -5, 1, -1, b"\0\0\0\0\x09"
    ) + struct.pack(">IH", 0x01020305, 0xABCD)
    expected = expected.ljust(0x40, b"\0") + struct.pack("<H2x", 0x8001) + struct.pack(">HH", 0, 0x1234)
    assert bytes(record) == expected
    assert call(machine, read_record, record) == (0x01020305, 0xABCD, True)
    assert (record.big, record.late, list(record.tail), record.corners[2].y) == (0x01020305, 0x8001, [0, 0x1234], -1)


@on_every_machine
def test_names_of_structs_refer_and_fields_copy(machine: str) -> None:
    record = new_record()
    assert call(machine, references, record) == 12 + 12
    assert (record.origin.x, record.origin.y, record.corners[0].x) == (12, -1, 12)


@on_every_machine
def test_structs_lie_over_bytes(machine: str) -> None:
    assert call(machine, of_span, bytes(new_record(number=99))) == 99
    assert error_of(machine, of_span, bytes(new_record())[:-1]) == "too few bytes for the struct"
    assert call(machine, at_address, new_record(number=5, kind=3)) == 8


@on_every_machine
def test_structs_are_made_in_functions(machine: str) -> None:
    assert call(machine, made_inside, 7) == made_inside_twin(7)


def made_inside_twin(x: int) -> int:
    total, y = 0, 1
    for _ in range(4):
        x, y = y, x + 1
        total = total * 10 + x
    return total + x + 7


@on_every_machine
def test_methods_take_their_struct_by_reference(machine: str) -> None:
    point = Point(x=10, y=1)
    assert call(machine, methods, point) == 13 + 19
    assert (point.x, point.y) == (15, -4)
    assert call(machine, inherited, Derived(first=2, second=5)) == 517


@on_every_machine
def test_sizes_are_known_at_compile_time(machine: str) -> None:
    pointer = 8 if machine in {"host", "long64"} else 4
    assert call(machine, sizes) == (0x48, 0x44, 5 * pointer)


@on_every_machine
def test_spans_pointers_and_functions_are_fields(machine: str) -> None:
    assert call(machine, words_in_a_struct, b"\x00\x0a") == 530


@on_every_machine
def test_local_arrays_start_as_zeros_or_as_what_they_are_given(machine: str) -> None:
    assert call(machine, local_arrays, 2) == 5 + 6 + 107 + 40 + 3
    assert call(machine, local_arrays, 0) == 5 + 6 + 107 + 40 + 3  # nothing stays from the call before
    assert error_of(machine, local_arrays, 3) == "index out of range"


@on_every_machine
def test_what_a_module_computes_at_import_is_data(machine: str) -> None:
    primes = [n for n in range(2, 60) if all(n % d for d in range(2, n))]
    assert call(machine, constants, 9) == primes[9] + 81 + 7 + len(primes)
    assert error_of(machine, constants, 10) == "index out of range"


@pytest.mark.parametrize("machine", EMULATED)
def test_module_variables_start_with_their_values_and_keep_what_they_are_given(machine: str) -> None:
    assert call(machine, told) == (0xFFFE, False, 7)
    assert [call(machine, count) for _ in range(5)] == [0xFFFF, 0, 1, 2, 3]
    assert call(machine, told) == (3, True, 12 | 1 << 16)


def test_module_variables_are_the_same_in_python_and_natively(this_module: Any) -> None:
    this_module.counter = 1
    state.number = 50
    buffer.fill(0)
    assert call("host", count) == 2
    assert (this_module.counter, this_module.switch, state.number, buffer[2]) == (2, True, 51, 1)
    this_module.counter, this_module.switch, buffer[3] = 2, True, 9
    assert call("host", told) == (2, True, 51 | 9 << 16)


@pytest.fixture
def this_module() -> Any:
    import sys

    return sys.modules[__name__]


@on_every_machine
@given(st.binary(max_size=9), st.integers(0, 12), st.integers(0, 12))
def test_slices_are_what_python_gives_or_errors(machine: str, data: bytes, start: int, stop: int) -> None:
    inside = start <= stop <= len(data)
    error = "slice out of range"
    expected = list(data[start:stop]) if inside else error
    assert as_list(outcome(part, machine, data, start, stop)) == expected
    assert as_list(outcome(part_wide, machine, data, start, stop)) == expected
    assert as_list(outcome(rest, machine, data, start)) == (list(data[start:]) if start <= len(data) else error)
    assert as_list(outcome(window, machine, data, start)) == (
        list(data[start : start + 4]) if start + 4 <= len(data) else error
    )
    assert outcome(element, machine, data, start) == (data[start] if start < len(data) else "index out of range")


def as_list(found: Any) -> Any:
    return found if isinstance(found, str) else list(found)


@on_every_machine
@pytest.mark.parametrize("start", [1 << 32, (1 << 32) + 1, (1 << 64) - 1, (1 << 64) - 4, 1 << 63])
def test_64_bit_bounds_are_not_cut_before_they_are_checked(machine: str, start: int) -> None:
    data = bytes(8)
    assert error_of(machine, element, data, start) == "index out of range"
    assert error_of(machine, rest, data, start) == "slice out of range"
    assert error_of(machine, part_wide, data, start, start) == "slice out of range"
    assert error_of(machine, part_wide, data, 0, start) == "slice out of range"
    assert error_of(machine, part_wide, data, start, 4) == "slice out of range"
    assert error_of(machine, window, data, start & 0xF | 0xFFFF_FFF0) == "slice out of range"


@on_every_machine
@given(st.integers(0, 8), st.integers(0, 8), st.integers(0, 10))
def test_copies_may_overlap(machine: str, target: int, source: int, count: int) -> None:
    data = bytearray(b"abcdefghij")
    expected = bytearray(data)
    if max(target, source) + count <= len(data):
        expected[target : target + count] = expected[source : source + count]
        call(machine, move_inside, data, target, source, count)
    else:
        assert error_of(machine, move_inside, data, target, source, count) == "slice out of range"
    assert data == expected


@on_every_machine
def test_slices_of_other_lengths_are_refused(machine: str) -> None:
    data = bytearray(6)
    call(machine, copy, data, b"abcdef")
    assert data == b"abcdef"
    call(machine, copy_windows, data)
    assert data == b"cdefef"
    assert error_of(machine, copy, data, b"abcde") == "a slice is assigned one of another length"
    assert error_of(machine, copy_windows, bytearray(5)) == "slice out of range"


@on_every_machine
def test_spans_are_read_as_other_elements(machine: str) -> None:
    assert call(machine, recast, struct.pack("<III", 1, 2, 3)[:-1]) == (2, 2)
    assert error_of(machine, recast, bytes(7)) == "index out of range"


@on_every_machine
def test_big_endian_elements_are_swapped_everywhere(machine: str) -> None:
    data = bytearray(struct.pack(">HHH", 100, 200, 300))
    assert call(machine, swapped_words, data) == 100 + 400 + 900
    assert data == struct.pack(">HHH", 101, 0x0102, 0x0102)


@on_every_machine
def test_fill_sets_every_element(machine: str) -> None:
    few, words = bytearray(4), bytearray(13)
    call(machine, fills, few, words, 0x01020304)
    assert few == b"\0\4\4\0"
    assert words == struct.pack("<III", *[0x01020304] * 3) + b"\0"


@on_every_machine
def test_pointers_are_unchecked_memory(machine: str) -> None:
    data = bytearray(b"\x07\x00\x00\x00")
    assert call(machine, raw, data) == 0x0507 + 3 + 7 + 5
    assert data == b"\x07\x05\x07\x00"
    assert bytes(call(machine, picked, b"xyz", True)) == b"x"
    assert bytes(call(machine, picked, b"xyz", False)) == b"other"


@on_every_machine
def test_functions_are_called_through_pointers(machine: str) -> None:
    assert call(machine, through_pointers, 5, False) == 20
    assert call(machine, through_pointers, 5, True) == 30
    assert call(machine, through_table, 1, 5) == 15
    assert call(machine, through_table, 0, 5) == 10
    assert output_of(machine, through_table, 0, 5) == "two"
    point = Point(x=-1, y=0)
    assert call(machine, through_complex_pointer, point, b"\0\x04", 1 << 33) == ((1 << 33) + 0xFFFF) * 10 + 4


@on_every_machine
def test_functions_in_variables_are_called_and_exchanged(machine: str) -> None:
    assert call(machine, through_variable, 5) == 15
    assert call(machine, through_variable, 5) == 10
    assert output_of(machine, through_variable, 5) == "variable"


@on_every_machine
def test_placed_values_form_a_set(machine: str) -> None:
    assert call(machine, set_of_handlers, 4) == 812
    assert output_of(machine, set_of_handlers, 4) == "first second "


@on_every_machine
@given(st.integers(0, 2**64 - 1), st.integers(0, 255), st.booleans())
def test_arguments_of_all_widths_arrive(machine: str, wide: int, small: int, flag: bool) -> None:
    other, signed = wide ^ 0xDEAD_BEEF_0000_1111, small - 128
    arguments = small, wide, wide & 0xFFFF, bytes([small]), flag, other, signed, other & 0xFFFF_FFFF, 7
    direct = many_twin(
        a=small, b=wide, c=wide & 0xFFFF, first=small, d=flag, e=other, f=signed, g=other & 0xFFFF_FFFF, h=7
    )
    swapped = many_twin(
        a=7, b=other, c=wide & 0xFFFF, first=small, d=flag, e=wide, f=signed, g=other & 0xFFFF_FFFF, h=small
    )
    assert call(machine, many, *arguments) == direct % 2**64
    assert call(machine, call_many, *arguments) == (direct + swapped) % 2**64


@on_every_machine
def test_results_of_many_words_arrive(machine: str) -> None:
    n = 0x8765_4321
    assert call(machine, unpack_wide_result, n) == n << 32 ^ n ^ 0x21 ^ n * n % 2**64
