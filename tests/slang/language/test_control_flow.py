"""Do statements run as Python runs them: branches, loops, tries, and what is evaluated when?"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bootslang.slang import BootError, Struct, array, fn, i32, span, target, u8, u16, u32, u64, usize
from support.slang_machines import TARGETS, call, error_of, output_of

on_every_machine = pytest.mark.parametrize("machine", TARGETS)

trace: array[u8] = array[u8](32)
traced: u32 = 0
SMALL = (1, 2, 3)


@fn
def note(letter: u8, value: u32) -> u32:
    """Leave a trace, so that the order of evaluation can be seen."""
    global traced
    trace[traced] = letter
    traced += 1
    return value


@fn
def restart() -> None:
    global traced
    traced = 0


@fn
def print_trace() -> None:
    print(f"{trace[0:traced]}", end="")
    restart()


# Order


@fn
def order_of_operands() -> u32:
    restart()
    return note(65, 1) + note(66, 2) * note(67, 3) - min(note(68, 4), note(69, 5))


@fn
def order_of_arguments(a: u32, b: u32, c: u32 = 7) -> u32:
    return a * 100 + b * 10 + c


@fn
def order_of_keywords() -> u32:
    restart()
    return order_of_arguments(c=note(65, 3), a=note(66, 1), b=note(67, 2))


@fn
def defaults_and_keywords() -> u32:
    return order_of_arguments(1, b=2) + order_of_arguments(b=5, a=0, c=0)


@fn
def chain(a: u32, b: u32, c: u32, d: u32) -> bool:
    restart()
    return note(65, a) < note(66, b) <= note(67, c) != note(68, d)


@fn
def short_circuit(a: u32, b: u32, c: u32) -> bool:
    restart()
    return (note(65, a) and note(66, b) != 2) or not note(67, c)


@fn
def order_of_assignment(data: span[u8]) -> None:
    restart()
    data[note(65, 1)] = u8(note(66, 9))
    data[note(67, 0)] += u8(note(68, 1))


@fn
def slice_start_once(data: span[u8]) -> usize:
    restart()
    return len(data[usize(note(65, 1)) : usize(note(66, 1)) + 2])


@fn
def same_call_twice(data: span[u8]) -> u8:
    restart()
    part = data[u32(note(65, 1)) : note(65, 1) + 2]
    return part[0] + u8(traced)


@fn
def swap(a: u32, b: u32) -> tuple[u32, u32]:
    a, b = b, a
    return a, b


@fn
def rotate_fields(data: span[u16]) -> None:
    data[0], data[1], data[2] = data[1], data[2], data[0]


# Loops


@fn
def ranges(start: u32, stop: u32) -> u64:
    total: u64 = 0
    for i in range(start, stop):
        total = total * 3 + i
    for i in range(start, stop, 3):
        total = total * 5 + i
    for i in reversed(range(start, stop)):
        total = total * 7 + i
    return total


def ranges_twin(start: int, stop: int) -> int:
    total = 0
    for numbers, factor in ((range(start, stop), 3), (range(start, stop, 3), 5), (reversed(range(start, stop)), 7)):
        for number in numbers:
            total = total * factor + number
    return total % (1 << 64)


@fn
def count_u8(start: u8, stop: u8) -> u32:
    count: u32 = 0
    for _ in range(start, stop):
        count += 1
    for _ in range(start, stop, 7):
        count += 1000
    return count


@fn
def count_i32(start: i32, stop: i32) -> i32:
    total: i32 = 0
    for i in range(start, stop, 5):
        total += i
    for i in reversed(range(start, stop)):
        total -= i
    return total


@fn
def search(data: span[u8], wanted: u8) -> u32:
    """First index; 1000 if there is none; odd values are skipped."""
    found: u32 = 2000
    for i, value in enumerate(data):
        if value & 1:
            continue
        if value == wanted:
            found = u32(i)
            break
    else:
        found = 1000
    return found


@fn
def while_else(limit: u32) -> u32:
    count: u32 = 0
    while count < limit:
        count += 1
        if count == 5:
            break
    else:
        count += 100
    return count


@fn
def loop_changes_its_bounds(count: u32) -> u32:
    rounds: u32 = 0
    for i in range(count):
        count = 0
        i = i + 5  # noqa: PLW2901 - to see that the loop counts by itself
        rounds += i
    return rounds


@fn
def nested_loops(data: span[u8]) -> u32:
    pairs: u32 = 0
    for i in range(len(data)):
        for j in range(i + 1, len(data)):
            if data[i] == data[j]:
                pairs += 1
                if pairs == 10:
                    return pairs
                break
        else:
            continue
        if data[i] == 255:
            break
    return pairs


def nested_loops_twin(data: bytes) -> int:
    pairs = 0
    for i in range(len(data)):
        for j in range(i + 1, len(data)):
            if data[i] == data[j]:
                pairs += 1
                if pairs == 10:
                    return pairs
                break
        else:
            continue
        if data[i] == 255:
            break
    return pairs


# Branches


@fn
def kind_of(value: u32) -> u32:
    if value in SMALL:
        result = u32(1)
    elif value in range(10, 20):
        result = 2
    elif value not in (20, 30, 40) and value < 100:
        result = 3
    else:
        result = 4 if value & 1 else 5
    return result


@fn
def truths(number: u32, data: span[u8], flag: bool) -> u8:
    result: u8 = 0
    if number:
        result |= 1
    if data:
        result |= 2
    if not flag:
        result |= 4
    if number and (data or flag):
        result |= 8
    return result


@fn
def width() -> u32:
    if target.host:
        return 1
    if target.bits == 16:
        return 16
    return 64 if target.bits == 64 else 32


@fn
def factorial(n: u64) -> u64:
    return n * factorial(n - 1) if n > 1 else u64(1)


@fn
def is_even(n: u32) -> bool:
    return True if n == 0 else is_odd(n - 1)


@fn
def is_odd(n: u32) -> bool:
    return False if n == 0 else is_even(n - 1)


# Errors


class Progress(Struct):
    steps: u32
    cleaned: u32


@fn
def fail_above(value: u32, limit: u32) -> u32:
    if value > limit:
        raise BootError(f"{value} is above {limit:#x}")
    return value


@fn
def caught(value: u32, progress: Progress) -> u32:
    """Return, break and continue out of tries, and tries inside handlers."""
    for i in range(10):
        try:
            progress.steps += 1
            if i == 2:
                continue
            if i == value:
                return fail_above(u32(i), 100)
            fail_above(u32(i), 3)
            try:
                fail_above(u32(i) + value, 40)
            except BootError:
                progress.cleaned += 1
                if value == 50:
                    break
                fail_above(value, 60)
        except BootError as error:
            print(f"[{error}]", end="")
            if i == 6:
                break
    else:
        return 77
    return 88


def caught_twin(value: int) -> tuple[int, int, int, str]:
    steps = cleaned = 0
    text = ""
    for i in range(10):
        steps += 1
        if i == 2:
            continue
        if i == value:
            return i, steps, cleaned, text
        if i > 3:
            text += f"[{i} is above 0x3]"
        elif i + value > 40:
            cleaned += 1
            if value == 50:
                break
            if value > 60:
                text += f"[{value} is above 0x3c]"
        if i == 6 and i > 3:
            break
    else:
        return 77, steps, cleaned, text
    return 88, steps, cleaned, text


@fn
def locals_survive(data: span[u8], big: u64) -> u64:
    total = big
    first = data[0]
    part = data
    flag = False
    try:
        total += 1
        flag = True
        part = data[1:]
        first = part[5]
    except BootError:
        total += 10
        if flag and len(part) == 3:
            total += first
    return total


@fn
def message_in_message(value: u32) -> None:
    try:
        fail_above(value, 1)
    except BootError as error:
        try:
            fail_above(value + 1, 1)
        except BootError as second:
            raise BootError(f"first {error.message}, then {second}") from None


@fn
def uncaught(data: span[u8], at: u32) -> u8:
    return data[at]


@fn
def tuple_out_of_try(value: u32) -> tuple[u32, u64]:
    try:
        return fail_above(value, 5), 6
    except BootError:
        return 7, u64(value) << 32


@fn
def span_out_of_try(data: span[u8], stop: u32) -> span[u8]:
    try:
        return data[1:stop]
    except BootError:
        return data[0:1]


@fn
def none_out_of_try(data: span[u8]) -> None:
    try:
        data[0] = 1
        if data[1]:
            return
        data[0] = 2
    except BootError:
        pass


def traced_by(machine: str, function: Any, *arguments: Any) -> tuple[Any, str]:
    result = call(machine, function, *arguments)
    return result, output_of(machine, print_trace)


@on_every_machine
def test_operands_and_arguments_are_evaluated_from_left_to_right(machine: str) -> None:
    assert traced_by(machine, order_of_operands) == (3, "ABCDE")
    assert traced_by(machine, order_of_keywords) == (123, "ABC")
    assert call(machine, defaults_and_keywords) == 127 + 50
    data = bytearray(4)
    assert traced_by(machine, order_of_assignment, data) == (None, "BACD")
    assert data == b"\x01\x09\x00\x00"


@on_every_machine
def test_a_chain_of_comparisons_evaluates_each_operand_once_and_no_more_than_needed(machine: str) -> None:
    assert traced_by(machine, chain, 1, 2, 2, 3) == (True, "ABCD")
    assert traced_by(machine, chain, 1, 2, 2, 2) == (False, "ABCD")
    assert traced_by(machine, chain, 1, 2, 1, 2) == (False, "ABC")
    assert traced_by(machine, chain, 2, 2, 1, 2) == (False, "AB")


@on_every_machine
def test_and_and_or_stop_where_the_result_is_known(machine: str) -> None:
    assert traced_by(machine, short_circuit, 1, 3, 9) == (True, "AB")
    assert traced_by(machine, short_circuit, 0, 3, 9) == (False, "AC")
    assert traced_by(machine, short_circuit, 1, 2, 0) == (True, "ABC")


@on_every_machine
def test_the_bounds_of_slices_are_evaluated_once(machine: str) -> None:
    assert traced_by(machine, slice_start_once, bytes(8)) == (2, "AB")
    assert traced_by(machine, same_call_twice, bytes(8)) == (2, "AA")


@on_every_machine
@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_swaps_take_all_values_before_they_store_one(machine: str, a: int, b: int) -> None:
    assert call(machine, swap, a, b) == (b, a)
    data = bytearray(b"aabbcc")
    call(machine, rotate_fields, data)
    assert data == b"bbccaa"


@on_every_machine
@given(st.integers(0, 2**32 - 1), st.integers(0, 40))
def test_ranges_count_as_pythons_do(machine: str, start: int, count: int) -> None:
    stop = min(start + count, 2**32 - 1)
    assert call(machine, ranges, start, stop) == ranges_twin(start, stop)
    assert call(machine, ranges, stop, start) == (ranges_twin(stop, start) if start < stop else ranges_twin(0, 0))


@on_every_machine
@given(st.integers(0, 255), st.integers(0, 255))
def test_ranges_end_at_the_limits_of_their_type(machine: str, start: int, stop: int) -> None:
    assert call(machine, count_u8, start, stop) == len(range(start, stop)) + 1000 * len(range(start, stop, 7))
    low, high = 2**31 - 1 - start, 2**31 - 1
    total = sum(range(low, high, 5)) - sum(range(low, high))
    assert call(machine, count_i32, low, high) == (total + 2**31) % 2**32 - 2**31
    low, high = -(2**31), -(2**31) + start
    total = sum(range(low, high, 5)) - sum(range(low, high))
    assert call(machine, count_i32, low, high) == (total + 2**31) % 2**32 - 2**31


@on_every_machine
@given(st.binary(max_size=12))
def test_break_continue_and_else(machine: str, data: bytes) -> None:
    assert call(machine, search, data, 6) == (data.index(6) if 6 in data else 1000)
    assert call(machine, nested_loops, data) == nested_loops_twin(data)


@on_every_machine
def test_while_has_an_else_too(machine: str) -> None:
    assert [call(machine, while_else, n) for n in (0, 4, 5, 9)] == [100, 104, 5, 5]
    assert call(machine, loop_changes_its_bounds, 3) == 5 + 6 + 7


@on_every_machine
def test_branches_and_membership(machine: str) -> None:
    values = {1: 1, 3: 1, 4: 3, 9: 3, 10: 2, 19: 2, 20: 5, 30: 5, 31: 3, 99: 3, 100: 5, 101: 4, 2**32 - 1: 4}
    assert {value: call(machine, kind_of, value) for value in values} == values


@on_every_machine
def test_numbers_spans_and_truth_values_are_conditions(machine: str) -> None:
    assert call(machine, truths, 0, b"", False) == 4
    assert call(machine, truths, 5, b"", True) == 9
    assert call(machine, truths, 5, b"x", False) == 1 | 2 | 4 | 8
    assert call(machine, truths, 0x8000_0000, b"", False) == 1 | 4


@on_every_machine
def test_compile_time_branches_see_the_target(machine: str) -> None:
    assert call(machine, width) == {"host": 1, "real16": 16, "protected32": 32, "long64": 64}[machine]


@on_every_machine
def test_functions_call_themselves_and_each_other(machine: str) -> None:
    assert call(machine, factorial, 20) == 2432902008176640000
    assert call(machine, is_even, 10) is True
    assert call(machine, is_odd, 10) is False


@on_every_machine
@given(st.integers(0, 80))
def test_tries_nest_and_are_left_in_every_way(machine: str, value: int) -> None:
    progress = Progress(steps=0, cleaned=0)
    result = call(machine, caught, value, progress)
    expected, steps, cleaned, text = caught_twin(value)
    assert (result, progress.steps, progress.cleaned) == (expected, steps, cleaned)
    assert output_of(machine, caught, value, progress) == text


@on_every_machine
def test_what_a_try_assigned_before_its_error_stays(machine: str) -> None:
    assert call(machine, locals_survive, bytes([7, 2, 3, 4]), 1 << 40) == (1 << 40) + 1 + 10 + 7
    assert call(machine, locals_survive, bytes(8), 5) == 6


@on_every_machine
def test_a_caught_message_outlives_the_next_error(machine: str) -> None:
    assert error_of(machine, message_in_message, 9) == "first 9 is above 0x1, then 10 is above 0x1"


@on_every_machine
def test_values_of_every_kind_are_returned_out_of_a_try(machine: str) -> None:
    assert call(machine, tuple_out_of_try, 4) == (4, 6)
    assert call(machine, tuple_out_of_try, 6) == (7, 6 << 32)
    assert bytes(call(machine, span_out_of_try, b"abcdef", 4)) == b"bcd"
    assert bytes(call(machine, span_out_of_try, b"abcdef", 40)) == b"a"
    data = bytearray(b"\0\1")
    call(machine, none_out_of_try, data)
    assert data == b"\1\1"
    data = bytearray(b"\0\0")
    call(machine, none_out_of_try, data)
    assert data == b"\2\0"


@on_every_machine
def test_an_error_that_nobody_catches_ends_the_call(machine: str) -> None:
    assert error_of(machine, uncaught, b"abc", 3) == "index out of range"
    assert call(machine, uncaught, b"abc", 2) == ord("c")
    assert error_of(machine, fail_above, 12, 9) == "12 is above 0x9"
