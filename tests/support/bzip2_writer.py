"""A bzip2 encoder that can be told to write nonsense: every field of a stream is an argument.

Slow and simple, for inputs of a few hundred bytes; what it writes by default is what any bzip2 reads.
"""

from __future__ import annotations

from dataclasses import dataclass, field

BLOCK_MARK = 0x314159265359
END_MARK = 0x177245385090
GROUP = 50


class BitWriter:
    """Bits, the most significant first."""

    def __init__(self) -> None:
        self.bits: list[str] = []

    def put(self, value: int, count: int) -> None:
        self.bits.append(format(value & ((1 << count) - 1), f"0{count}b") if count else "")

    def data(self) -> bytes:
        text = "".join(self.bits)
        text += "0" * (-len(text) % 8)
        return int("1" + text, 2).to_bytes(len(text) // 8 + 1, "big")[1:]


@dataclass
class Block:
    """One block; what is None is worked out as an encoder would."""

    data: bytes
    """As it is to come out."""
    packed: bytes | None = None
    """With its runs of four shortened, before the Burrows-Wheeler transform."""
    checksum: int | None = None
    randomised: int = 0
    origin: int | None = None
    used: list[int] | None = None
    """The bytes that the alphabet names."""
    tables: list[list[int]] | None = None
    """The code lengths of each table, 2 to 6 of them; by default 2 flat ones."""
    table_count: int | None = None
    selectors: list[int] | None = None
    selector_count: int | None = None
    symbols: list[int] | None = None
    """What is coded, the end of block included."""
    raw: list[tuple[int, int]] = field(default_factory=list)
    """Codes, as number and length, to stand before the symbols."""
    unary: dict[int, int] = field(default_factory=dict)
    """By index of a selector: how many 1 bits stand for it."""


def stream(*blocks: Block, level: int = 9, magic: bytes = b"BZh", checksum: int | None = None) -> bytes:
    """A whole stream."""
    bits = BitWriter()
    for byte in magic + str(level).encode():
        bits.put(byte, 8)
    combined = 0
    for block in blocks:
        put_block(bits, block)
        stored = crc32(block.data) if block.checksum is None else block.checksum
        combined = (combined << 1 | combined >> 31) & 0xFFFF_FFFF ^ stored
    bits.put(END_MARK, 48)
    bits.put(combined if checksum is None else checksum, 32)
    return bits.data()


def put_block(bits: BitWriter, block: Block) -> None:
    packed = shorten_runs(block.data) if block.packed is None else block.packed
    last, origin = transform(packed)
    used = sorted(set(packed)) if block.used is None else block.used
    symbols = symbols_of(last, used) if block.symbols is None else block.symbols
    alphabet = len(used) + 2
    flat = max(alphabet - 1, 1).bit_length()
    tables = [[flat] * alphabet] * 2 if block.tables is None else block.tables
    groups = -(-len(symbols) // GROUP)
    selectors = [index % len(tables) for index in range(groups)] if block.selectors is None else block.selectors

    bits.put(BLOCK_MARK, 48)
    bits.put(crc32(block.data) if block.checksum is None else block.checksum, 32)
    bits.put(block.randomised, 1)
    bits.put(origin if block.origin is None else block.origin, 24)
    put_alphabet(bits, used)
    bits.put(len(tables) if block.table_count is None else block.table_count, 3)
    bits.put(len(selectors) if block.selector_count is None else block.selector_count, 15)
    put_selectors(bits, selectors, block.unary)
    for lengths in tables:
        put_lengths(bits, lengths)
    for code, length in block.raw:
        bits.put(code, length)
    for index, symbol in enumerate(symbols):
        lengths = tables[selectors[min(index // GROUP, len(selectors) - 1)]]
        bits.put(codes_of(lengths).get(symbol, 0), lengths[symbol])


def put_alphabet(bits: BitWriter, used: list[int]) -> None:
    rows = {byte >> 4 for byte in used}
    bits.put(sum(0x8000 >> row for row in rows), 16)
    for row in sorted(rows):
        bits.put(sum(0x8000 >> (byte & 15) for byte in used if byte >> 4 == row), 16)


def put_selectors(bits: BitWriter, selectors: list[int], unary: dict[int, int]) -> None:
    order = list(range(8))
    for index, selector in enumerate(selectors):
        place = order.index(selector)
        order.insert(0, order.pop(place))
        ones = unary.get(index, place)
        bits.put((1 << ones + 1) - 2, ones + 1)


def put_lengths(bits: BitWriter, lengths: list[int]) -> None:
    current = lengths[0]
    bits.put(current, 5)
    for wanted in lengths:
        while current != wanted:
            bits.put(0b10 if wanted > current else 0b11, 2)
            current += 1 if wanted > current else -1
        bits.put(0, 1)


def codes_of(lengths: list[int]) -> dict[int, int]:
    """The code of each symbol, numbered from the shortest on."""
    codes = {}
    code = 0
    for bits in range(1, 33):
        for symbol, wanted in enumerate(lengths):
            if wanted == bits:
                codes[symbol] = code
                code += 1
        code <<= 1
    return codes


def symbols_of(last: bytes, used: list[int]) -> list[int]:
    """Move to front, runs of its zeros as digits 0 and 1, the end of block."""
    order = list(used)
    symbols: list[int] = []
    run = 0
    for byte in last:
        place = order.index(byte)
        order.insert(0, order.pop(place))
        if place == 0:
            run += 1
            continue
        symbols += digits_of(run)
        run = 0
        symbols.append(place + 1)
    return [*symbols, *digits_of(run), len(used) + 1]


def digits_of(run: int) -> list[int]:
    """A number in the bijective base 2, the least digit first; its digits 1 and 2 are written 0 and 1."""
    digits = []
    while run:
        digits.append(0 if run & 1 else 1)
        run = (run - 1) // 2
    return digits


def transform(data: bytes) -> tuple[bytes, int]:
    """The Burrows-Wheeler transform: the last column, and where the text itself stands."""
    order = sorted(range(len(data)), key=lambda start: data[start:] + data[:start])
    return bytes(data[start - 1] for start in order), order.index(0) if data else 0


def shorten_runs(data: bytes) -> bytes:
    """After four equal bytes comes a count of further ones."""
    packed = bytearray()
    position = 0
    while position < len(data):
        run = 1
        while position + run < len(data) and run < 259 and data[position + run] == data[position]:
            run += 1
        packed += data[position : position + 1] * min(run, 4) + (bytes([run - 4]) if run >= 4 else b"")
        position += run
    return bytes(packed)


def crc32(data: bytes) -> int:
    """CRC-32 with the most significant bit first."""
    crc = 0xFFFF_FFFF
    for byte in data:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ (0x04C11DB7 if crc >> 31 else 0)) & 0xFFFF_FFFF
    return crc ^ 0xFFFF_FFFF
