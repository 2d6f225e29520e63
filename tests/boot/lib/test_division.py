"""Does 64-bit division on 32-bit machines agree with Python's integers, natively and on such a machine?"""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bootslang.boot.lib.division import quotient, remainder, signed_quotient, signed_remainder
from bootslang.slang import BootError, FakeMachine, fn, u64
from support.bare import Bare

U64 = st.one_of(st.integers(0, 2**64 - 1), st.integers(0, 2**33), st.integers(0, 64).map(lambda n: 2**64 - 1 >> n))
I64 = st.one_of(st.integers(-(2**63), 2**63 - 1), st.integers(-(2**33), 2**33))


class Divider(FakeMachine):
    """A CPU that has `div ecx`, and faults as it does when the quotient needs more than 32 bits."""

    def assembly(self, code: str, registers: dict[str, int]) -> dict[str, int]:
        assert code.strip() == "div ecx"
        result, rest = divmod(registers["edx"] << 32 | registers["eax"], registers["ecx"])
        assert result < 2**32, "division error"
        return {"eax": result, "edx": rest}


@given(U64, U64.filter(bool))
@example(2**64 - 1, 1)
@example(2**64 - 1, 2**64 - 1)
@example(2**64 - 2, 2**64 - 1)
@example(2**63, 2**63 + 1)
@example(2**64 - 1, 2**32)
@example(2**64 - 1, 2**32 - 1)
@example(2**32 - 1, 2**32)
@example(0, 1)
@settings(deadline=None, max_examples=500)
def test_unsigned_division(dividend: int, divisor: int) -> None:
    with Divider():
        assert quotient(dividend, divisor) == dividend // divisor
        assert remainder(dividend, divisor) == dividend % divisor


@given(I64, I64.filter(bool))
@example(-(2**63), 1)
@example(-(2**63), 2**63 - 1)
@example(-(2**63), -(2**63))
@example(-7, 2)
@example(7, -2)
@settings(deadline=None, max_examples=500)
def test_signed_division_rounds_towards_zero(dividend: int, divisor: int) -> None:
    magnitude = abs(dividend) // abs(divisor)
    expected = -magnitude if (dividend < 0) != (divisor < 0) else magnitude
    with Divider():
        assert signed_quotient(dividend, divisor) == expected
        assert signed_remainder(dividend, divisor) == dividend - expected * divisor


def test_the_one_quotient_that_does_not_fit_wraps() -> None:
    with Divider():
        assert signed_quotient(-(2**63), -1) == -(2**63)
        assert signed_remainder(-(2**63), -1) == 0


@fn
def divided(dividend: u64, divisor: u64) -> u64:
    """The compiler has to call for this one."""
    return dividend // divisor


@fn
def left(dividend: u64, divisor: u64) -> u64:
    return dividend % divisor


@cache
def bare() -> Bare:
    return Bare("protected32", divided, left, signed_quotient, signed_remainder)


@given(U64, U64.filter(bool))
@example(2**64 - 1, 2**64 - 2)
@example(2**63, 2**63 + 1)
@example(2**64 - 1, 2**32)
@settings(deadline=None)
def test_unsigned_division_in_32_bits(dividend: int, divisor: int) -> None:
    assert bare().call(divided, dividend, divisor) == dividend // divisor
    assert bare().call(left, dividend, divisor) == dividend % divisor


@given(I64, I64.filter(bool))
@example(-(2**63), -1)
@settings(deadline=None)
def test_signed_division_in_32_bits(dividend: int, divisor: int) -> None:
    magnitude = abs(dividend) // abs(divisor)
    expected = -magnitude if (dividend < 0) != (divisor < 0) else magnitude
    words = dividend % 2**64, divisor % 2**64
    assert bare().call(signed_quotient, *words) == expected % 2**64
    assert bare().call(signed_remainder, *words) == (dividend - expected * divisor) % 2**64


def test_division_by_zero_is_an_error_in_32_bits() -> None:
    with pytest.raises(BootError, match="division by zero"):
        bare().call(divided, 1, 0)
