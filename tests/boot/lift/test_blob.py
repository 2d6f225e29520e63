"""Are blobs read as they were written, checked before they are unpacked, and is all staging memory given back?"""

import random
from collections.abc import Iterator

import pytest

from bootslang.boot.codecs import bzip2
from bootslang.boot.context import SOURCE_BIOS, SOURCE_MEMORY, BootContext
from bootslang.boot.disk import CHUNK_BYTES, INITRD, BlobRecord
from bootslang.boot.lift.blob import Reader
from bootslang.slang import BootError, FakeMachine, text
from support.gate import Gate
from support.low_memory import LowMemory
from support.partition import Partition
from support.payloads import MIB, taken

REQUEST = 0x100
BOUNCE = 0x1_0000
TARGET = 0x20_0000
PARTITION = 0x100_0000
"""Offsets in the low memory of these tests."""
NAME = text("initrd")
"""Kept: a struct that was lent a span does not keep it."""
SOURCES = ["a BIOS", "memory"]


@pytest.fixture
def low() -> Iterator[LowMemory]:
    with LowMemory(32 * MIB) as memory:
        yield memory


class Boot:
    """A reader on a partition, on a machine whose free memory is what lies between TARGET + 8 MiB and PARTITION."""

    def __init__(self, low: LowMemory, partition: Partition, source: str) -> None:
        self.low = low
        self.memory, self.context = low.machine(TARGET + 8 * MIB, PARTITION)
        self.reader = Reader.zeroed()
        self.machine: FakeMachine = Gate(low, partition.data, low.base + BOUNCE)
        lent = BootContext.zeroed()
        if source == "memory":
            low.write(low.base + PARTITION, bytes(partition.data))
            lent.source, lent.memory_base, lent.memory_size = SOURCE_MEMORY, low.base + PARTITION, len(partition.data)
        else:
            lent.source, lent.sector_size, lent.sectors_per_call = SOURCE_BIOS, 512, 127
            lent.partition_bytes = len(partition.data)
            lent.gate_request, lent.bounce, lent.bounce_size = low.base + REQUEST, low.base + BOUNCE, 0x1_0000
        self.reader.source.open(lent)

    def load(self, record: BlobRecord) -> bytes:
        """Read a blob to TARGET."""
        with self.machine:
            self.reader.open(record, NAME, self.memory, self.context)
            self.reader.read_all(self.low.base + TARGET, self.memory, self.context)
            self.reader.close(self.context)
            self.reader.release_staging(self.context)
        return self.low.read(self.low.base + TARGET, record.size + 1)


def content(size: int) -> bytes:
    return random.Random(size).randbytes(size // 2) + bytes(size - size // 2)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("codec", ["none", "bzip2"])
@pytest.mark.parametrize("size", [1, 4096, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES + 12345])
def test_a_blob_comes_out_as_it_went_in(low: LowMemory, size: int, codec: str, source: str) -> None:
    assert bzip2.WORK_BYTES < PARTITION - TARGET
    partition = Partition()
    partition.add(INITRD, b"something before it")
    record = partition.add(INITRD, content(size), bzip2=codec == "bzip2")
    boot = Boot(low, partition, source)
    assert boot.load(record) == content(size) + b"\0"
    assert taken(boot.context) == [], "memory was not given back"


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("codec", ["none", "bzip2"])
def test_a_flipped_bit_is_found_before_anything_is_unpacked(low: LowMemory, codec: str, source: str) -> None:
    partition = Partition()
    record = partition.add(INITRD, content(CHUNK_BYTES), content(5000), bzip2=codec == "bzip2")
    damaged = record.table - 4096
    partition.data[damaged] ^= 0x10
    with pytest.raises(BootError, match=r"initrd: chunk 1 of 2 is damaged \(its checksum is wrong\)"):
        Boot(low, partition, source).load(record)


@pytest.mark.parametrize("source", SOURCES)
def test_a_damaged_table_is_refused(low: LowMemory, source: str) -> None:
    partition = Partition()
    record = partition.add(INITRD, content(5000))
    partition.data[record.table + 9] ^= 1
    with pytest.raises(BootError, match=f"the chunk table at {record.table:#x} is damaged"):
        Boot(low, partition, source).load(record)


def test_chunks_that_lie_one_behind_the_other_are_read_in_whole_transfers(low: LowMemory) -> None:
    partition = Partition()
    record = partition.add(INITRD, *[content(5000)] * 20)
    boot = Boot(low, partition, "a BIOS")
    boot.load(record)
    assert isinstance(boot.machine, Gate)
    span_sectors = 19 * 16 + 10
    assert len(boot.machine.reads) == 1 + -(-span_sectors // 127)


def test_what_lies_between_scattered_chunks_is_not_read(low: LowMemory) -> None:
    partition = Partition()
    record = partition.add(INITRD, *[content(5000)] * 3, gap=0x2_0000)
    boot = Boot(low, partition, "a BIOS")
    boot.load(record)
    assert isinstance(boot.machine, Gate)
    assert [count for _, count in boot.machine.reads[1:]] == [10, 10, 10]


def test_too_little_memory_for_unpacking_is_told(low: LowMemory) -> None:
    partition = Partition()
    record = partition.add(INITRD, content(5000), bzip2=True)
    boot = Boot(low, partition, "a BIOS")
    boot.memory, boot.context = low.machine(TARGET, TARGET + MIB)
    with pytest.raises(BootError, match=r"not enough memory for unpacking: \d+ KiB are needed"):
        boot.load(record)
