"""CRC-32 and CRC-64 as xz takes them: the least significant bit first. Runs in 32 and in 64 bits.

The tables are made when they are needed, in memory of the caller's: table k holds the CRC of each byte with k zero
bytes behind it, so that 8 bytes go in one step.
"""

from __future__ import annotations

from typing import Final

from bootslang.slang import Struct, array, compile_for, fn, length, span, u8, u32, u64, usize

compile_for("protected32", "long64", optimize="speed")

CRC32_POLYNOMIAL: Final = 0xEDB8_8320
"""IEEE 802.3, reflected."""
CRC64_POLYNOMIAL: Final = 0xC96C_5795_D787_0F42
"""ECMA-182, reflected."""
STEP: Final = 8


class Crc32Tables(Struct):
    entries: array[u32] = length(256 * STEP)


class Crc64Tables(Struct):
    entries: array[u64] = length(256 * STEP)


class Word(Struct):
    value: u64


@fn(optimize="size")
def make_crc32_tables(tables: Crc32Tables) -> None:
    for byte in range(256):
        crc = u32(byte)
        for _ in range(8):
            crc = crc >> 1 ^ (crc & 1) * CRC32_POLYNOMIAL
        tables.entries[byte] = crc
    for index in range(256, 256 * STEP):
        crc = tables.entries[index - 256]
        tables.entries[index] = crc >> 8 ^ tables.entries[crc & 0xFF]


@fn(optimize="size")
def make_crc64_tables(tables: Crc64Tables) -> None:
    for byte in range(256):
        crc = u64(byte)
        for _ in range(8):
            crc = crc >> 1 ^ (crc & 1) * CRC64_POLYNOMIAL
        tables.entries[byte] = crc
    for index in range(256, 256 * STEP):
        crc = tables.entries[index - 256]
        tables.entries[index] = crc >> 8 ^ tables.entries[crc & 0xFF]


@fn(inline=False)
def crc32(tables: Crc32Tables, data: span[u8]) -> u32:
    """The CRC-32 of `data`, as in zlib and the headers of xz."""
    entries = tables.entries
    crc: u32 = 0xFFFF_FFFF
    for word in data.cast(Word):
        first = crc ^ u32(word.value)
        second = u32(word.value >> 32)
        crc = entries[0x700 + (first & 0xFF)] ^ entries[0x600 + (first >> 8 & 0xFF)]
        crc ^= entries[0x500 + (first >> 16 & 0xFF)] ^ entries[0x400 + (first >> 24)]
        crc ^= entries[0x300 + (second & 0xFF)] ^ entries[0x200 + (second >> 8 & 0xFF)]
        crc ^= entries[0x100 + (second >> 16 & 0xFF)] ^ entries[second >> 24]
    for byte in data[len(data) & ~usize(STEP - 1) :]:
        crc = crc >> 8 ^ entries[(crc ^ byte) & 0xFF]
    return ~crc


@fn(inline=False)
def crc64(tables: Crc64Tables, data: span[u8]) -> u64:
    """The CRC-64 of `data`, as `xz` takes it when nothing is said."""
    entries = tables.entries
    crc: u64 = 0xFFFF_FFFF_FFFF_FFFF
    for word in data.cast(Word):
        mixed = crc ^ word.value
        first, second = u32(mixed), u32(mixed >> 32)
        crc = entries[0x700 + (first & 0xFF)] ^ entries[0x600 + (first >> 8 & 0xFF)]
        crc ^= entries[0x500 + (first >> 16 & 0xFF)] ^ entries[0x400 + (first >> 24)]
        crc ^= entries[0x300 + (second & 0xFF)] ^ entries[0x200 + (second >> 8 & 0xFF)]
        crc ^= entries[0x100 + (second >> 16 & 0xFF)] ^ entries[second >> 24]
    for byte in data[len(data) & ~usize(STEP - 1) :]:
        crc = crc >> 8 ^ entries[(u32(crc) ^ byte) & 0xFF]
    return ~crc
