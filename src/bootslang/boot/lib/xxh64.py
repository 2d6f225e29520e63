"""XXH64, the one checksum of the disk: over stages, manifest, tables and chunks. Runs in 32 and in 64 bits.

By the xxHash fast digest algorithm specification 0.1.1, section "XXH64 Algorithm Description"; the seed is always 0.
`xxh64` takes one span; `Xxh64` sums what comes in pieces. 8 bytes a step, four lanes; in 64 bits four stripes a round.
"""

from __future__ import annotations

from typing import Final

from bootslang.slang import Struct, array, compile_for, fn, length, rotate_left, span, target, u8, u32, u64

compile_for("protected32", "long64")

PRIME_1: Final = 0x9E37_79B1_85EB_CA87
PRIME_2: Final = 0xC2B2_AE3D_27D4_EB4F
PRIME_3: Final = 0x1656_67B1_9E37_79F9
PRIME_4: Final = 0x85EB_CA77_C2B2_AE63
PRIME_5: Final = 0x27D4_EB2F_1656_67C5
STRIPE: Final = 32
BLOCK: Final = 4 * STRIPE
LANE_1_START: Final = (PRIME_1 + PRIME_2) % 2**64
LANE_4_START: Final = -PRIME_1 % 2**64


class Stripe(Struct):
    """What the four lanes take in one step."""

    first: u64
    second: u64
    third: u64
    fourth: u64


class Block(Struct):
    """Four stripes. A loop over these needs fewer instructions a byte: no lane has to go back to its register."""

    stripes: array[Stripe] = length(4)


class Word(Struct):
    value: u64


class HalfWord(Struct):
    value: u32


class Xxh64(Struct):
    """A sum under way: `start`, `update` with each piece, `digest` at the end."""

    lane_1: u64
    lane_2: u64
    lane_3: u64
    lane_4: u64
    total: u64
    """Bytes so far."""
    held: u32
    """Bytes that wait in `rest` for their stripe to fill."""
    rest: array[u8] = length(STRIPE)


@fn
def xxh64(data: span[u8]) -> u64:
    """The XXH64 of `data`, seed 0."""
    state = Xxh64.zeroed()
    start(state)
    update(state, data)
    return digest(state)


@fn
def start(state: Xxh64) -> None:
    """Begin a state."""
    state.lane_1 = LANE_1_START
    state.lane_2 = PRIME_2
    state.lane_3 = 0
    state.lane_4 = LANE_4_START
    state.total = 0
    state.held = 0


@fn
def update(state: Xxh64, data: span[u8]) -> None:
    """Add the next piece, of any size."""
    state.total += len(data)
    if state.held != 0:
        taken = min(STRIPE - state.held, u32(min(len(data), STRIPE)))
        state.rest[state.held : state.held + taken] = data[:taken]
        state.held += taken
        data = data[taken:]
        if state.held < STRIPE:
            return
        take_stripes(state, state.rest)
        state.held = 0
    whole = len(data) - len(data) % STRIPE
    take_stripes(state, data[:whole])
    data = data[whole:]
    state.rest[: len(data)] = data
    state.held = u32(len(data))


@fn(optimize="speed", inline=False)
def take_stripes(state: Xxh64, data: span[u8]) -> None:
    """Feed whole stripes to the lanes, which live in registers meanwhile."""
    lane_1 = state.lane_1
    lane_2 = state.lane_2
    lane_3 = state.lane_3
    lane_4 = state.lane_4
    if target.bits == 64:
        blocks = data.cast(Block)
        for block in blocks:
            first, second, third, fourth = block.stripes[0], block.stripes[1], block.stripes[2], block.stripes[3]
            lane_1 = mix(mix(mix(mix(lane_1, first.first), second.first), third.first), fourth.first)
            lane_2 = mix(mix(mix(mix(lane_2, first.second), second.second), third.second), fourth.second)
            lane_3 = mix(mix(mix(mix(lane_3, first.third), second.third), third.third), fourth.third)
            lane_4 = mix(mix(mix(mix(lane_4, first.fourth), second.fourth), third.fourth), fourth.fourth)
        data = data[len(blocks) * BLOCK :]
    for stripe in data.cast(Stripe):
        lane_1 = mix(lane_1, stripe.first)
        lane_2 = mix(lane_2, stripe.second)
        lane_3 = mix(lane_3, stripe.third)
        lane_4 = mix(lane_4, stripe.fourth)
    state.lane_1 = lane_1
    state.lane_2 = lane_2
    state.lane_3 = lane_3
    state.lane_4 = lane_4


@fn
def digest(state: Xxh64) -> u64:
    """The sum over all that was added; `sum` itself stays as it is."""
    mixed: u64 = PRIME_5
    if state.total >= STRIPE:
        mixed = rotate_left(state.lane_1, 1) + rotate_left(state.lane_2, 7)
        mixed += rotate_left(state.lane_3, 12) + rotate_left(state.lane_4, 18)
        mixed = merge(mixed, state.lane_1)
        mixed = merge(mixed, state.lane_2)
        mixed = merge(mixed, state.lane_3)
        mixed = merge(mixed, state.lane_4)
    return avalanche(add_rest(mixed + state.total, state.rest[: state.held]))


@fn
def add_rest(mixed: u64, rest: span[u8]) -> u64:
    """Take the last bytes, fewer than a stripe."""
    while len(rest) >= 8:
        mixed ^= mix(0, Word.of(rest).value)
        mixed = rotate_left(mixed, 27) * PRIME_1 + PRIME_4
        rest = rest[8:]
    if len(rest) >= 4:
        mixed ^= HalfWord.of(rest).value * u64(PRIME_1)
        mixed = rotate_left(mixed, 23) * PRIME_2 + PRIME_3
        rest = rest[4:]
    for byte in rest:
        mixed ^= byte * u64(PRIME_5)
        mixed = rotate_left(mixed, 11) * PRIME_1
    return mixed


@fn(inline=True)
def mix(lane: u64, word: u64) -> u64:
    rotated: u64 = rotate_left(lane + word * PRIME_2, 31)
    return rotated * PRIME_1


@fn(inline=True)
def merge(mixed: u64, lane: u64) -> u64:
    return (mixed ^ mix(0, lane)) * PRIME_1 + PRIME_4


@fn
def avalanche(mixed: u64) -> u64:
    mixed = (mixed ^ mixed >> 33) * PRIME_2
    mixed = (mixed ^ mixed >> 29) * PRIME_3
    return mixed ^ mixed >> 32
