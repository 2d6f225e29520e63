"""Does stage 4 read what it asks for, through a BIOS and in memory, in few calls and with the BIOS's own limits?"""

from collections.abc import Iterator

import pytest

from bootslang.boot.context import SOURCE_BIOS, SOURCE_MEMORY, BootContext, GateRequest
from bootslang.boot.lift.source import Source
from bootslang.slang import BootError, sizeof, text
from support.gate import Gate
from support.low_memory import LowMemory

MIB = 1 << 20
REQUEST = 0x100
BOUNCE = 0x1_0000
BOUNCE_BYTES = 0x1_0000
TARGET = 0x10_0000
"""Offsets in the low memory of these tests."""
FIRST_LBA = (1 << 32) - 3
"""So that the partition crosses sector 2^32."""
DISK = bytes(index * 7 % 251 for index in range(MIB))


@pytest.fixture
def low() -> Iterator[LowMemory]:
    with LowMemory(4 * MIB) as memory:
        yield memory


def bios(low: LowMemory, sector: int = 512, per_call: int = 127) -> Source:
    context = BootContext.zeroed()
    context.source, context.sector_size, context.sectors_per_call = SOURCE_BIOS, sector, per_call
    context.partition_lba, context.partition_bytes = FIRST_LBA, len(DISK)
    context.gate_request, context.bounce, context.bounce_size = low.base + REQUEST, low.base + BOUNCE, BOUNCE_BYTES
    source = Source.zeroed()
    source.open(context)
    return source


def in_memory(low: LowMemory) -> Source:
    low.write(low.base + 2 * MIB, DISK)
    context = BootContext.zeroed()
    context.source, context.memory_base, context.memory_size = SOURCE_MEMORY, low.base + 2 * MIB, len(DISK)
    source = Source.zeroed()
    source.open(context)
    return source


def gate(low: LowMemory, sector: int = 512, bad_lba: int = -1) -> Gate:
    return Gate(low, DISK, low.base + BOUNCE, sector=sector, first_lba=FIRST_LBA, bad_lba=bad_lba)


def got(low: LowMemory, size: int) -> bytes:
    return low.read(low.base + TARGET, size)


@pytest.mark.parametrize("sector", [512, 4096])
@pytest.mark.parametrize(("offset", "size"), [(0, 1), (0, 512), (511, 2), (4096, 300_001), (5000, 70_000), (0, MIB)])
def test_any_piece_of_the_partition_can_be_read(low: LowMemory, sector: int, offset: int, size: int) -> None:
    with gate(low, sector):
        bios(low, sector, 15 if sector == 4096 else 127).read(offset, size, low.base + TARGET)
    assert got(low, size + 1) == DISK[offset : offset + size] + b"\0"


def test_transfers_are_as_large_as_the_bios_takes_them(low: LowMemory) -> None:
    with gate(low) as machine:
        bios(low).read(0, 300 * 512, low.base + TARGET)
    assert machine.reads == [(FIRST_LBA, 127), (FIRST_LBA + 127, 127), (FIRST_LBA + 254, 46)]


def test_the_bounce_buffer_is_never_overfilled(low: LowMemory) -> None:
    with gate(low, 4096) as machine:
        bios(low, 4096, 127).read(0, MIB, low.base + TARGET)
    assert max(count for _, count in machine.reads) * 4096 <= BOUNCE_BYTES


def test_what_was_read_ahead_is_not_read_again(low: LowMemory) -> None:
    with gate(low) as machine:
        source = bios(low)
        source.read_ahead(254 * 512)
        for chunk in range(0, 254 * 512, 4096):
            size = min(4096, 254 * 512 - chunk)
            source.read(chunk, size, low.base + TARGET + chunk)
    assert machine.reads == [(FIRST_LBA, 127), (FIRST_LBA + 127, 127)]
    assert got(low, 254 * 512) == DISK[: 254 * 512]


def test_nothing_beyond_what_was_announced_is_read(low: LowMemory) -> None:
    with gate(low) as machine:
        source = bios(low)
        source.read_ahead(1 << 40)
        source.read(len(DISK) - 1024, 10, low.base + TARGET)
    assert machine.reads == [(FIRST_LBA + len(DISK) // 512 - 2, 2)]


def test_a_request_is_polled_transfer_by_transfer(low: LowMemory) -> None:
    with gate(low):
        source = bios(low)
        source.begin(0, 128 * 512, low.base + TARGET)
        assert not source.poll()
        assert source.remaining == 512
        assert source.poll()


def test_a_bad_sector_is_named_with_the_bios_error(low: LowMemory) -> None:
    message = r"^initrd: sector 4294967295 of the boot disk cannot be read \(BIOS error 0x0c\)"
    source = bios(low)
    source.what = text("initrd")
    with gate(low, bad_lba=FIRST_LBA + 2), pytest.raises(BootError, match=message):
        source.read(0, 64 * 512, low.base + TARGET)


def test_a_bad_sector_that_is_read_ahead_does_no_harm(low: LowMemory) -> None:
    source = bios(low)
    source.read_ahead(MIB)
    with gate(low, bad_lba=FIRST_LBA + 70):
        source.read(0, 70 * 512, low.base + TARGET)
    assert got(low, 70 * 512) == DISK[: 70 * 512]


@pytest.mark.parametrize(("offset", "size"), [(MIB, 1), (MIB - 1, 2), ((1 << 64) - 1, 2), (0, MIB + 1)])
def test_nothing_outside_the_partition_is_asked_for(low: LowMemory, offset: int, size: int) -> None:
    with pytest.raises(BootError):
        bios(low).read(offset, size, low.base + TARGET)
    with pytest.raises(BootError):
        in_memory(low).view(offset, size)


@pytest.mark.parametrize(("sector", "per_call"), [(0, 127), (513, 127), (512, 0), (0x2_0000, 1)])
def test_impossible_sectors_are_refused(low: LowMemory, sector: int, per_call: int) -> None:
    with pytest.raises(BootError, match=f"sectors of {sector} bytes cannot be read"):
        bios(low, sector, per_call)


def test_a_source_that_nobody_knows_is_refused() -> None:
    context = BootContext.zeroed()
    context.source = 77
    with pytest.raises(BootError, match="stage 4 knows no source of kind 77"):
        Source.zeroed().open(context)


def test_memory_is_read_and_seen_in_place(low: LowMemory) -> None:
    source = in_memory(low)
    source.read(1000, 5000, low.base + TARGET)
    assert got(low, 5001) == DISK[1000:6000] + b"\0"
    assert source.can_view()
    assert not bios(low).can_view()


def test_requests_lie_as_the_gate_reads_them() -> None:
    assert sizeof(GateRequest) == 40
