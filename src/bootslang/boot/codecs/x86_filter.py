"""The x86 filter of xz, undone: calls and jumps lead to a distance again. Called by xz.py for each block with it.

CALL (E8) and JMP (E9) carry how far they go. The packer wrote where they go to instead, which is the same for all calls
of a function. An operand is one only if its highest byte is 00 or FF, in the code and in the filtered code alike, and
what looks like an opcode inside of an operand makes matters worse: a mask tells which of the three bytes before do. The
rules are those of liblzma's x86.c and of Linux's xz_dec_bcj.c, and have no other definition.
"""

from __future__ import annotations

from typing import Final

from bootslang.slang import Struct, compile_for, fn, span, u8, u32, u64, usize

compile_for("protected32", "long64", optimize="speed")

OPCODE: Final = 0xE8
"""Of a call; a jump's is one more."""
OPERAND_BYTES: Final = 4
WORD: Final = 8
LOW_BITS: Final = 0x0101_0101_0101_0101
HIGH_BITS: Final = 0x8080_8080_8080_8080
OPCODE_BITS: Final = 0xFE
OPCODES: Final = OPCODE * LOW_BITS
ANY_OPCODE: Final = OPCODE_BITS * LOW_BITS
ONE_BEFORE, TWO_BEFORE, THREE_BEFORE = 1, 2, 4
"""Bits of the mask: what looks like an opcode and was none stands so many bytes before."""
MASK: Final = ONE_BEFORE | TWO_BEFORE | THREE_BEFORE


class Word(Struct):
    value: u64


class Operand(Struct):
    value: u32


@fn(inline=False)
def undo_x86(data: span[u8], start: u32) -> None:
    """Put distances back into `data`, whose first byte the packer took to be at `start`."""
    if len(data) <= OPERAND_BYTES:
        return
    opcodes = data[: len(data) - OPERAND_BYTES]
    place: usize = 0
    after: usize = 0
    mask: u32 = 0
    while True:
        place = next_opcode(opcodes, place)
        if place >= len(opcodes):
            break
        passed = place - after
        mask = mask << u32(passed) & MASK if passed < 3 else 0
        place += 1
        operand = data[place : place + OPERAND_BYTES]
        if is_sign(operand[3]) and (mask == 0 or may_follow(operand, mask)):
            field = Operand.of(operand)
            place += OPERAND_BYTES
            field.value = distance(field.value, start + u32(place), mask)
            mask = 0
        else:
            mask = mask << 1 | ONE_BEFORE
        after = place


@fn(inline=True)
def next_opcode(data: span[u8], place: usize) -> usize:
    """Where the next opcode is, from `place` on; the length of `data` or more if there is none."""
    while True:
        rest = data[min(place, len(data)) :]
        if len(rest) >= WORD:
            # Whether one of the bytes is zero, which may be wrong for bytes behind one that is.
            other = (Word.of(rest).value & ANY_OPCODE) ^ OPCODES
            if (other - LOW_BITS) & ~other & HIGH_BITS == 0:
                place += WORD
                continue
        for _ in range(WORD):
            if place >= len(data) or data[place] & OPCODE_BITS == OPCODE:
                return place
            place += 1


@fn
def may_follow(operand: span[u8], mask: u32) -> bool:
    """Tell whether it is an operand although bytes before its opcode look like opcodes too."""
    if mask == ONE_BEFORE:
        return not is_sign(operand[2])
    if mask == TWO_BEFORE:
        return not is_sign(operand[1])
    return mask == THREE_BEFORE and not is_sign(operand[0])


@fn(inline=True)
def is_sign(byte: u8) -> bool:
    """Tell whether it can be the highest byte of a distance below 16 MiB, forwards or backwards."""
    return byte in (0, 0xFF)


@fn(inline=True)
def distance(target: u32, end: u32, mask: u32) -> u32:
    """How far it is to `target` from the end of the instruction."""
    found = target - end
    if mask != 0:
        # The byte that would make the packer doubt the operand must not look like a sign; if it does, it was inverted.
        bits: u32 = 24
        if mask != ONE_BEFORE:
            bits = 16 if mask == TWO_BEFORE else 8
        if is_sign(u8(found >> (bits - 8))):
            found = (found ^ ((u32(1) << bits) - 1)) - end
    return (found & 0x01FF_FFFF) | (0 - (found & 0x0100_0000))
