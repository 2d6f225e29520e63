"""64-bit division and shifts for 16- and 32-bit code: what LLVM calls where no instruction does them.

The compiler adds them to each unit that needs them and has checked that no divisor is 0. Nothing here may divide 64-bit
numbers itself.
"""

from __future__ import annotations

from bootslang.slang import asm, compile_for, fn, i64, u32, u64

compile_for("real16", "protected32")


@fn(symbol="__udivdi3")
def quotient(dividend: u64, divisor: u64) -> u64:
    """Unsigned division, rounded down."""
    result, _ = divide(dividend, divisor)
    return result


@fn(symbol="__umoddi3")
def remainder(dividend: u64, divisor: u64) -> u64:
    """What unsigned division leaves."""
    _, result = divide(dividend, divisor)
    return result


@fn(symbol="__divdi3")
def signed_quotient(dividend: i64, divisor: i64) -> i64:
    """Signed division, rounded towards zero; -2^63 / -1 wraps."""
    result, _ = divide(magnitude(dividend), magnitude(divisor))
    return i64(0 - result) if (dividend ^ divisor) < 0 else i64(result)


@fn(symbol="__moddi3")
def signed_remainder(dividend: i64, divisor: i64) -> i64:
    """What signed division leaves; it has the dividend's sign."""
    _, result = divide(magnitude(dividend), magnitude(divisor))
    return i64(0 - result) if dividend < 0 else i64(result)


@fn(symbol="__ashldi3")
def shifted_left(value: u64, count: u32) -> u64:
    """`value << count`, for 0 to 63: where code is made small, LLVM calls this."""
    low, high = u32(value), u32(value >> 32)
    if count >= 32:
        return u64(low << (count - 32)) << 32
    if count == 0:
        return value
    return u64(high << count | low >> (32 - count)) << 32 | low << count


@fn(symbol="__lshrdi3")
def shifted_right(value: u64, count: u32) -> u64:
    """`value >> count` of an unsigned number, for 0 to 63."""
    low, high = u32(value), u32(value >> 32)
    if count >= 32:
        return high >> (count - 32)
    if count == 0:
        return value
    return u64(high >> count) << 32 | (low >> count | high << (32 - count))


@fn(symbol="__ashrdi3")
def signed_shifted_right(value: i64, count: u32) -> i64:
    """`value >> count` of a signed number, for 0 to 63."""
    bits = shifted_right(u64(value), count)
    return i64(~shifted_right(u64(~value), count)) if value < 0 else i64(bits)


@fn
def magnitude(number: i64) -> u64:
    """The absolute value, for -2^63 too."""
    return 0 - u64(number) if number < 0 else u64(number)


@fn
def divide(dividend: u64, divisor: u64) -> tuple[u64, u64]:
    """The quotient and the remainder of two unsigned numbers."""
    if divisor >> 32 == 0:
        return divide_by_word(dividend, u32(divisor))
    # The quotient has 32 bits at most: the dividend's high half is less than the divisor.
    result: u32 = 0
    rest = dividend >> 32
    low = u32(dividend)
    for _ in range(32):
        carry = rest >> 63
        rest = rest << 1 | low >> 31
        low <<= 1
        result <<= 1
        if carry != 0 or rest >= divisor:
            rest -= divisor
            result |= 1
    return result, rest


@fn
def divide_by_word(dividend: u64, divisor: u32) -> tuple[u64, u64]:
    """Divide by 32 bits, half after half, as on paper; what the first division leaves fits in front of the second."""
    high = asm("div ecx", eax=u32(dividend >> 32), edx=0, ecx=divisor)
    low = asm("div ecx", eax=u32(dividend), edx=high.edx, ecx=divisor)
    return u64(high.eax) << 32 | low.eax, low.edx
