"""XXH32, the checksum inside of LZ4 frames. Runs in 32 and in 64 bits.

By the xxHash fast digest algorithm specification 0.1.1, section "XXH32 Algorithm Description"; the seed is always 0.
"""

from __future__ import annotations

from typing import Final

from bootslang.slang import Struct, compile_for, fn, rotate_left, span, u8, u32

compile_for("protected32", "long64")

PRIME_1: Final = 0x9E37_79B1
PRIME_2: Final = 0x85EB_CA77
PRIME_3: Final = 0xC2B2_AE3D
PRIME_4: Final = 0x27D4_EB2F
PRIME_5: Final = 0x1656_67B1
STRIPE: Final = 16
LANE_1_START: Final = (PRIME_1 + PRIME_2) % 2**32
LANE_4_START: Final = -PRIME_1 % 2**32


class Stripe(Struct):
    """What the four lanes take in one step."""

    first: u32
    second: u32
    third: u32
    fourth: u32


class Word(Struct):
    value: u32


@fn(optimize="speed", inline=False)
def xxh32(data: span[u8]) -> u32:
    """The XXH32 of `data`."""
    total: u32 = PRIME_5
    if len(data) >= STRIPE:
        lane_1: u32 = LANE_1_START
        lane_2: u32 = PRIME_2
        lane_3: u32 = 0
        lane_4: u32 = LANE_4_START
        for stripe in data.cast(Stripe):
            lane_1 = mixed(lane_1, stripe.first)
            lane_2 = mixed(lane_2, stripe.second)
            lane_3 = mixed(lane_3, stripe.third)
            lane_4 = mixed(lane_4, stripe.fourth)
        total = rotate_left(lane_1, 1) + rotate_left(lane_2, 7) + rotate_left(lane_3, 12) + rotate_left(lane_4, 18)
    total += u32(len(data))
    rest = data[len(data) // STRIPE * STRIPE :]
    for word in rest.cast(Word):
        total = rotate_left(total + word.value * PRIME_3, 17) * PRIME_4
    for byte in rest[len(rest) // 4 * 4 :]:
        total = rotate_left(total + u32(byte) * PRIME_5, 11) * PRIME_1
    total = (total ^ total >> 15) * PRIME_2
    total = (total ^ total >> 13) * PRIME_3
    return total ^ total >> 16


@fn(inline=True)
def mixed(lane: u32, word: u32) -> u32:
    """A lane with one more word in it."""
    return rotate_left(lane + word * PRIME_2, 13) * PRIME_1
