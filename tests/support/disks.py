"""Doubles for the image tests: stages without a compiler, small kernels, disks in memory whose power can be cut."""

import struct
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from bootslang.image.loader import OPTIONS_SYMBOL

MIB = 1 << 20
SECTOR = 512


@dataclass(frozen=True)
class FakeStage:
    """What the linker gives, as far as the image builder looks at it."""

    data: bytes
    base: int
    memory_bytes: int
    symbols: Mapping[str, int]


@dataclass(frozen=True)
class FakeStages:
    """A rocket of random bytes; another `seed` is another version of the loader."""

    seed: int = 1
    codecs: tuple[str, ...] = ()
    bits: frozenset[int] = frozenset({64, 32})
    """The widths of stage 4."""

    def _stage(self, name: str, size: int, base: int, symbols: Mapping[str, int] | None = None) -> FakeStage:
        data = Random(f"{name} {self.seed} {self.codecs}").randbytes(size)
        return FakeStage(data, base, size + 4096, symbols or {})

    @property
    def stage1(self) -> FakeStage:
        return self._stage("stage 1", 431, 0x7C00, {OPTIONS_SYMBOL: 0x7C00 + 420})

    @property
    def stage2(self) -> FakeStage:
        stage = self._stage("stage 2", 9001 + 4 * self.seed, 0x8000)
        return FakeStage(bytes(128) + stage.data[128:], stage.base, stage.memory_bytes, {})

    @property
    def stage3(self) -> FakeStage:
        return self._stage("stage 3", 7000, 0x10000)

    @property
    def lift64(self) -> FakeStage | None:
        return self._stage("lift64", 20_000, 0x20000) if 64 in self.bits else None

    @property
    def lift32(self) -> FakeStage | None:
        return self._stage("lift32", 18_000, 0x20000) if 32 in self.bits else None


def fake_stages(codecs: tuple[str, ...], bits: frozenset[int]) -> FakeStages:
    """In the place of `builder.linked_stages`."""
    return FakeStages(codecs=codecs, bits=bits)


def elf_kernel(size: int, seed: int = 1) -> bytes:
    """A 64-bit ELF kernel like Linux's, with one segment of `size` bytes that do not compress."""
    physical = 0x100_0000
    header = struct.pack(
        "<16sHHIQQQIHHHHHH",
        b"\x7fELF\x02\x01\x01" + bytes(9),
        2,  # executable
        62,  # x86-64
        1,
        physical,
        64,
        0,
        0,
        64,
        56,
        1,
        0,
        0,
        0,
    )
    program = struct.pack("<IIQQQQQQ", 1, 5, 0x1000, 0xFFFF_FFFF_8100_0000, physical, size, size, 0x20_0000)
    return (header + program).ljust(0x1000, b"\0") + Random(seed).randbytes(size)


class PowerCut(Exception):
    """The machine lost its power."""


@dataclass
class MemoryDisk:
    """A disk in memory that remembers every write, and which of them were flushed together."""

    data: bytearray
    log: list[tuple[int, bytes] | None] = field(default_factory=list)
    """Writes in their order; None is a flush."""

    @property
    def size(self) -> int:
        return len(self.data)

    def read(self, offset: int, size: int) -> bytes:
        assert 0 <= offset <= offset + size <= self.size
        return bytes(self.data[offset : offset + size])

    def write(self, offset: int, data: bytes) -> None:
        assert 0 <= offset <= offset + len(data) <= self.size
        self.data[offset : offset + len(data)] = data
        self.log.append((offset, data))

    def flush(self) -> None:
        self.log.append(None)


def power_cuts(before: bytes, log: list[tuple[int, bytes] | None], random: Random) -> Iterator[bytearray]:
    """The states in which a cut can leave a disk: every one between two writes, and samples of the others.

    Before each write; inside each, at some sectors; and, as disks reorder what was not flushed between, with some of
    the sectors since the last flush and not the others.
    """
    settled = bytearray(before)
    pending: list[tuple[int, bytes]] = []
    for entry in log:
        if entry is None:
            for offset, data in pending:
                settled[offset : offset + len(data)] = data
            pending = []
            yield bytearray(settled)
            continue
        sectors = _sectors(entry)
        for cut in {1, len(sectors) // 2, random.randrange(len(sectors) + 1), len(sectors)}:
            state = bytearray(settled)
            for offset, data in [*pending, *sectors[:cut]]:
                state[offset : offset + len(data)] = data
            yield state
        pending.append(entry)
        lost = bytearray(settled)
        for offset, data in (sector for write in pending for sector in _sectors(write)):
            if random.random() < 0.5:
                lost[offset : offset + len(data)] = data
        yield lost


def _sectors(write: tuple[int, bytes]) -> list[tuple[int, bytes]]:
    offset, data = write
    return [(offset + start, data[start : start + SECTOR]) for start in range(0, len(data), SECTOR)]


def partitioned(path: Path, size: int, script: str) -> None:
    """An image that sfdisk partitioned."""
    with path.open("wb") as file:
        file.truncate(size)
    subprocess.run(["/usr/sbin/sfdisk", "-q", str(path)], input=script, text=True, check=True, capture_output=True)
