"""Do machine integers wrap, widen, divide, shift and compare as documented, on every machine?"""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bootslang.slang import checked, fn, i8, i16, i32, i64, rotate_left, rotate_right, u8, u16, u32, u64
from support.slang_machines import TARGETS, call, error_of

on_every_machine = pytest.mark.parametrize("target", TARGETS)


@fn
def arithmetic_u8(a: u8, b: u8) -> tuple[u8, u8, u8]:
    return a + b, a - b, a * b


@fn
def arithmetic_u16(a: u16, b: u16) -> tuple[u16, u16, u16]:
    return a + b, a - b, a * b


@fn
def arithmetic_u32(a: u32, b: u32) -> tuple[u32, u32, u32]:
    return a + b, a - b, a * b


@fn
def sum_u64(a: u64, b: u64) -> u64:
    return a + b


@fn
def product_u64(a: u64, b: u64) -> u64:
    return a * b


@fn
def product_i64(a: i64, b: i64) -> i64:
    return a * b - b


@fn
def bits_u32(a: u32, b: u32) -> tuple[u32, u32, u32]:
    return a & b, a | b, a ^ ~b


@fn
def divide_u32(a: u32, b: u32) -> tuple[u32, u32]:
    return a // b, a % b


@fn
def divide_i8(a: i8, b: i8) -> tuple[i8, i8]:
    return a // b, a % b


@fn
def divide_i32(a: i32, b: i32) -> tuple[i32, i32]:
    return a // b, a % b


@fn
def quotient_u64(a: u64, b: u64) -> u64:
    return a // b


@fn
def remainder_u64(a: u64, b: u64) -> u64:
    return a % b


@fn
def quotient_i64(a: i64, b: i64) -> i64:
    return a // b


@fn
def remainder_i64(a: i64, b: i64) -> i64:
    return a % b


@fn
def divide_by_constants(a: i32) -> tuple[i32, i32, i32]:
    return a // 7, a // -7, a % -16


@fn
def shifts_u32(a: u32, count: u8) -> tuple[u32, u32]:
    return a << count, a >> count


@fn
def shifts_u64(a: u64, count: u32) -> u64:
    return (a << count) ^ (a >> count)


@fn
def shifts_i16(a: i16, count: u8) -> tuple[i16, i16]:
    return a << count, a >> count


@fn
def constant_shifts(a: i32) -> tuple[i32, i32, i32]:
    return a >> 3, a << 2, a >> 31


@fn
def rotations(a: u16, count: u8) -> tuple[u16, u16]:
    return rotate_left(a, count), rotate_right(a, count)


@fn
def widened(a: u8, b: u16, c: u32) -> u64:
    return a + b + c + u64(0)


@fn
def sign_extended(a: i8, b: i16) -> i64:
    return i64(a) * 0x1_0000_0000 + b


@fn
def narrowed(a: u64) -> tuple[u8, u16, u32]:
    return u8(a), u16(a), u32(a)


@fn
def resigned(a: u32) -> tuple[i8, i16, i32]:
    return i8(a), i16(a), i32(a)


@fn
def extremes_u32(a: u32, b: u32) -> tuple[u32, u32]:
    return min(a, b), max(a, b, 7)


@fn
def extremes_i32(a: i32, b: i32) -> tuple[i32, i32, i32]:
    return min(a, b), max(a, b, -7), abs(a)


@fn
def negated(a: i32, b: u32) -> tuple[i32, u32, u32]:
    return -a, -b, ~b


@fn
def masked(a: u32) -> u32:
    return a & ~0xFFF


@fn
def comparisons_u32(a: u32, b: u32) -> u8:
    return u8(a < b) | u8(a <= b) << 1 | u8(a > b) << 2 | u8(a >= b) << 3 | u8(a == b) << 4 | u8(a != b) << 5


@fn
def comparisons_i64(a: i64, b: i64) -> u8:
    return u8(a < b) | u8(a <= b) << 1 | u8(a > b) << 2 | u8(a >= b) << 3 | u8(a == b) << 4 | u8(a != b) << 5


@fn
def checked_sum(a: u32, b: u32) -> u32:
    return checked(a + b)


@fn
def checked_product(a: u64, b: u64) -> u64:
    return checked(a * b)


@fn
def checked_difference(a: i32, b: i32) -> i32:
    return checked(a - b)


@fn
def checked_inside(a: u32, b: u32) -> u32:
    return checked((a + b) // 2 + 1)


def numbers(bits: int, *, signed: bool = False) -> st.SearchStrategy[int]:
    least, most = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    return st.one_of(
        st.integers(least, most), st.sampled_from([least, most, 0, 1, most // 2, most // 2 + 1, least + 1])
    )


def wrap(value: int, bits: int, *, signed: bool = False) -> int:
    value &= (1 << bits) - 1
    return value - (1 << bits) if signed and value >> bits - 1 else value


def comparisons(a: int, b: int) -> int:
    tests = (a < b, a <= b, a > b, a >= b, a == b, a != b)
    return sum(value << index for index, value in enumerate(tests))


@on_every_machine
@given(a=numbers(64), b=numbers(64))
def test_arithmetic_wraps_at_the_width_of_its_type(target: str, a: int, b: int) -> None:
    functions: dict[int, Any] = {8: arithmetic_u8, 16: arithmetic_u16, 32: arithmetic_u32}
    for bits, function in functions.items():
        x, y = wrap(a, bits), wrap(b, bits)
        assert call(target, function, x, y) == (wrap(x + y, bits), wrap(x - y, bits), wrap(x * y, bits))
    assert call(target, sum_u64, a, b) == wrap(a + b, 64)
    assert call(target, product_u64, a, b) == wrap(a * b, 64)
    x, y = wrap(a, 64, signed=True), wrap(b, 64, signed=True)
    assert call(target, product_i64, x, y) == wrap(x * y - y, 64, signed=True)


@on_every_machine
@given(a=numbers(32), b=numbers(32))
def test_bits_are_combined(target: str, a: int, b: int) -> None:
    assert call(target, bits_u32, a, b) == (a & b, a | b, a ^ wrap(~b, 32))
    assert call(target, negated, wrap(a, 32, signed=True), b) == (
        wrap(-wrap(a, 32, signed=True), 32, signed=True),
        wrap(-b, 32),
        wrap(~b, 32),
    )
    assert call(target, masked, a) == a & 0xFFFF_F000


@on_every_machine
@given(a=numbers(32), b=numbers(32))
@example(a=0x8000_0000, b=0xFFFF_FFFF)
@example(a=0x80, b=0xFF)
def test_division_rounds_down_and_the_remainder_has_the_divisors_sign(target: str, a: int, b: int) -> None:
    if b:
        assert call(target, divide_u32, a, b) == divmod(a, b)
        x, y = wrap(a, 32, signed=True), wrap(b, 32, signed=True)
        assert call(target, divide_i32, x, y) == (wrap(x // y, 32, signed=True), x % y)
    if wrap(b, 8):
        x, y = wrap(a, 8, signed=True), wrap(b, 8, signed=True)
        assert call(target, divide_i8, x, y) == (wrap(x // y, 8, signed=True), x % y)
    x = wrap(a, 32, signed=True)
    assert call(target, divide_by_constants, x) == (x // 7, x // -7, x % -16)


@on_every_machine
@given(a=numbers(64), b=numbers(64))
@example(a=1 << 63, b=(1 << 64) - 1)
def test_64_bit_division_rounds_down_too(target: str, a: int, b: int) -> None:
    if not b:
        return
    assert call(target, quotient_u64, a, b) == a // b
    assert call(target, remainder_u64, a, b) == a % b
    x, y = wrap(a, 64, signed=True), wrap(b, 64, signed=True)
    assert call(target, quotient_i64, x, y) == wrap(x // y, 64, signed=True)
    assert call(target, remainder_i64, x, y) == x % y


@on_every_machine
@pytest.mark.parametrize("function", [divide_u32, divide_i8, divide_i32, quotient_u64, remainder_i64])
def test_division_by_zero_is_an_error(target: str, function: Any) -> None:
    assert error_of(target, function, 1, 0) == "division by zero"


@on_every_machine
@given(a=numbers(64), count=st.integers(0, 255))
def test_shift_counts_are_taken_modulo_the_width(target: str, a: int, count: int) -> None:
    x = wrap(a, 32)
    assert call(target, shifts_u32, x, count) == (wrap(x << count % 32, 32), x >> count % 32)
    assert call(target, shifts_u64, a, count) == wrap(a << count % 64, 64) ^ a >> count % 64
    y = wrap(a, 16, signed=True)
    assert call(target, shifts_i16, y, count) == (wrap(y << count % 16, 16, signed=True), y >> count % 16)
    z = wrap(a, 32, signed=True)
    assert call(target, constant_shifts, z) == (z >> 3, wrap(z << 2, 32, signed=True), z >> 31)
    rotated = [wrap(x << n | wrap(x, 16) >> 16 - n, 16) for x in [wrap(a, 16)] for n in (count % 16, -count % 16)]
    assert call(target, rotations, wrap(a, 16), count) == tuple(rotated)


@on_every_machine
@given(a=numbers(64))
def test_widening_keeps_the_value_and_narrowing_the_low_bits(target: str, a: int) -> None:
    b, c, d = wrap(a, 8), wrap(a >> 8, 16), wrap(a >> 24, 32)
    # The sum of a u8 and a u16 is a u16, and wraps as one.
    assert call(target, widened, b, c, d) == wrap(wrap(b + c, 16) + d, 32)
    x, y = wrap(a, 8, signed=True), wrap(a >> 8, 16, signed=True)
    assert call(target, sign_extended, x, y) == x * 0x1_0000_0000 + y
    assert call(target, narrowed, a) == (wrap(a, 8), wrap(a, 16), wrap(a, 32))
    assert call(target, resigned, wrap(a, 32)) == tuple(wrap(a, bits, signed=True) for bits in (8, 16, 32))


@on_every_machine
@given(a=numbers(64), b=numbers(64))
@example(a=5, b=5)
def test_comparisons_respect_the_sign(target: str, a: int, b: int) -> None:
    x, y = wrap(a, 32), wrap(b, 32)
    assert call(target, comparisons_u32, x, y) == comparisons(x, y)
    assert call(target, extremes_u32, x, y) == (min(x, y), max(x, y, 7))
    x, y = wrap(a, 32, signed=True), wrap(b, 32, signed=True)
    assert call(target, extremes_i32, x, y) == (min(x, y), max(x, y, -7), wrap(abs(x), 32, signed=True))
    x, y = wrap(a, 64, signed=True), wrap(b, 64, signed=True)
    assert call(target, comparisons_i64, x, y) == comparisons(x, y)


@on_every_machine
@given(a=numbers(64), b=numbers(64))
def test_checked_arithmetic_refuses_what_does_not_fit(target: str, a: int, b: int) -> None:
    x, y = wrap(a, 32), wrap(b, 32)
    expect_checked(target, checked_sum, x, y, wrap(x + y, 32) == x + y and x + y)
    expect_checked(target, checked_product, a, b, wrap(a * b, 64) == a * b and a * b)
    x, y = wrap(a, 32, signed=True), wrap(b, 32, signed=True)
    expect_checked(target, checked_difference, x, y, wrap(x - y, 32, signed=True) == x - y and x - y)


@on_every_machine
def test_checked_reaches_into_divisions(target: str) -> None:
    assert call(target, checked_inside, 3, 4) == 4
    assert "overflows" in error_of(target, checked_inside, 0xFFFF_FFFF, 1)


def expect_checked(target: str, function: Any, a: int, b: int, expected: int) -> None:
    """`expected` is False where the result does not fit."""
    if expected is False:
        message = "a number is too large: the sum, difference or product overflows"
        assert error_of(target, function, a, b) == message
    else:
        assert call(target, function, a, b) == expected
