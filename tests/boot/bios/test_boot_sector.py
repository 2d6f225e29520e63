"""Does the boot sector find, load and check stage 2 on every drive, and say which letter where it cannot?"""

from __future__ import annotations

import random

import pytest

from bootslang.boot.disk import ENTRY, LOADER_MAGIC, LoaderHeader
from bootslang.boot.layout import BOOT_SECTOR_CODE_BYTES, LOW_STACK_TOP, STAGE2
from bootslang.slang.memory import offset_of
from support.bios_disk import SUMMED_FROM, boot_code, boot_sector, sealed
from support.real_mode import Drive, Outcome, RealModePc

PARTITION_LBA = 2048
SLOT_BYTES = 0x4_0000
INTERRUPTS = 0x200


def stage2(size: int = 9000) -> bytes:
    """Something with a header that stage 1 accepts."""
    return sealed(random.Random(1).randbytes(size))


def disk(slot_a: bytes, slot_b: bytes, *, lba: int = PARTITION_LBA, sector_size: int = 512) -> dict[int, bytes]:
    """The sectors of a disk with these two loader slots."""
    sectors = {}
    for slot, data in enumerate((slot_a, slot_b)):
        for start in range(0, len(data), sector_size):
            number = lba + (slot * SLOT_BYTES + start) // sector_size
            sectors[number] = data[start : start + sector_size].ljust(sector_size, b"\0")
    return sectors


def boot(drive: Drive, sector: bytes | None = None, *, segment: int = 0) -> Outcome:
    return RealModePc(
        sector or boot_sector(lba=PARTITION_LBA, sector_size=drive.sector_size), drive, segment=segment
    ).run()


def assert_entered(outcome: Outcome, stage: bytes, *, number: int = 0x80, lba: int = PARTITION_LBA) -> None:
    """Stage 2 is in memory, and the machine is as it was promised to be."""
    assert outcome.screen == b""
    assert outcome.entered == STAGE2 + ENTRY
    assert bytes(outcome.memory[STAGE2 : STAGE2 + len(stage)]) == stage
    registers = outcome.registers
    assert [registers[name] for name in ("CS", "DS", "ES", "SS")] == [0, 0, 0, 0]
    assert registers["ESP"] <= LOW_STACK_TOP
    assert registers["DL"] == number
    assert registers["EBX"] == lba
    assert registers["EFLAGS"] & 0x600 == INTERRUPTS


def assert_failed(outcome: Outcome, letter: bytes) -> None:
    """The letter is on both consoles, and the BIOS has the boot back after a key."""
    assert outcome.entered is None
    assert (outcome.screen, outcome.serial) == (letter, letter)
    assert outcome.waited_for_key
    assert outcome.gave_up


STAGE = stage2()
WHOLE = disk(STAGE, STAGE)


def test_it_leaves_room_for_the_disk_signature() -> None:
    """Is stage 1 at most 440 bytes long?"""
    assert len(boot_code()) <= BOOT_SECTOR_CODE_BYTES


@pytest.mark.parametrize("number", [0x00, 0x80, 0x81, 0xE0])
def test_any_drive(number: int) -> None:
    """Is stage 2 loaded from the drive that DL names, in one call?"""
    outcome = boot(Drive(sectors=WHOLE, number=number))
    assert_entered(outcome, STAGE, number=number)
    assert outcome.reads == [(PARTITION_LBA, 64)]


@pytest.mark.parametrize("entry", [0, 1, 2, 3])
def test_any_entry_of_the_table(entry: int) -> None:
    """Is the active partition found wherever it stands in the table?"""
    assert_entered(boot(Drive(sectors=WHOLE), boot_sector(lba=PARTITION_LBA, active=entry)), STAGE)


def test_a_bios_that_comes_by_another_segment() -> None:
    """Does it run at 07C0:0000 as well as at 0000:7C00?"""
    assert_entered(boot(Drive(sectors=WHOLE), segment=0x07C0), STAGE)


def test_large_sectors() -> None:
    """On a disk with 4096-byte sectors, are LBAs and counts in its own unit?"""
    outcome = boot(Drive(sectors=disk(STAGE, STAGE, lba=256, sector_size=4096), sector_size=4096), None)
    assert_failed(outcome, b"S")
    sector = boot_sector(lba=256, sector_size=4096)
    outcome = boot(Drive(sectors=disk(STAGE, STAGE, lba=256, sector_size=4096), sector_size=4096), sector)
    assert_entered(outcome, STAGE, lba=256)
    assert outcome.reads == [(256, 8)]


def test_a_partition_at_the_end_of_2_tib() -> None:
    """Are all 32 bits of the table's LBA used, and does a slot beyond them not wrap?"""
    lba = 0xFFFF_F000
    outcome = boot(Drive(sectors=disk(STAGE, STAGE, lba=lba)), boot_sector(lba=lba))
    assert_entered(outcome, STAGE, lba=lba)


@pytest.mark.parametrize("packets", ["absent", "not for reading"])
@pytest.mark.parametrize(("heads", "track_sectors"), [(16, 63), (255, 63), (2, 18), (256, 1)])
def test_cylinders_heads_and_sectors(packets: str, heads: int, track_sectors: int) -> None:
    """Where AH=41h is missing, or has CX bit 0 clear, is every sector found by its cylinder, head and sector?"""
    drive = Drive(sectors=WHOLE, packets=packets != "absent", packet_calls=2, heads=heads, track_sectors=track_sectors)
    outcome = boot(drive)
    assert_entered(outcome, STAGE)
    assert outcome.reads == [(PARTITION_LBA + index, 1) for index in range(64)]


def test_a_drive_without_a_geometry() -> None:
    """Does a BIOS that tells 0 sectors a track not divide by zero?"""
    assert_failed(boot(Drive(sectors=WHOLE, packets=False, track_sectors=0)), b"S")


@pytest.mark.parametrize("packets", [True, False])
@pytest.mark.parametrize("failing", [{1}, {1, 2, 3}])
def test_a_read_that_fails_is_made_again(packets: bool, failing: set[int]) -> None:  # noqa: FBT001
    """Is the drive reset and the read repeated, up to three times?"""
    outcome = boot(Drive(sectors=WHOLE, packets=packets, failing_reads=failing))
    assert_entered(outcome, STAGE)
    assert outcome.resets == len(failing)
    assert {lba for lba, _ in outcome.reads} == ({PARTITION_LBA} if packets else set(range(2048, 2112)))


@pytest.mark.parametrize("packets", [True, False])
def test_the_second_slot_serves_where_the_first_cannot_be_read(packets: bool) -> None:  # noqa: FBT001
    """With a bad sector in slot A, is slot B taken?"""
    outcome = boot(Drive(sectors=WHOLE, packets=packets, bad_lbas={PARTITION_LBA + 3}))
    assert_entered(outcome, STAGE)
    assert outcome.reads[-1][0] >= PARTITION_LBA + 512


@pytest.mark.parametrize("place", [0, 4, 7, 8, 12, 13, 14, 100, 8999])
def test_a_flipped_bit_in_the_first_slot(place: int) -> None:
    """With any byte of slot A changed (magic, sum, size, the last one), is slot B taken?"""
    damaged = bytearray(STAGE)
    damaged[place] ^= 0x10
    outcome = boot(Drive(sectors=disk(bytes(damaged), STAGE)))
    assert_entered(outcome, STAGE)
    assert [lba for lba, _ in outcome.reads] == [PARTITION_LBA, PARTITION_LBA + 512]


@pytest.mark.parametrize("size", [0, 4, 11, 12, 13, 0x7FFF, 0x8001, 0xFFFF_FFFF])
def test_a_size_that_cannot_be(size: int) -> None:
    """Does a size out of range end in a letter rather than in a sum over all of memory?"""
    header = LoaderHeader.zeroed()
    header.magic, header.size, header.sum = LOADER_MAGIC, size, 1
    assert offset_of(LoaderHeader, "size") == SUMMED_FROM
    assert_failed(boot(Drive(sectors=disk(bytes(header), bytes(header)))), b"S")


@pytest.mark.parametrize("size", [128, 0x8000])
def test_the_least_and_the_most_that_stage_2_may_be(size: int) -> None:
    """Are both ends of the range accepted?"""
    stage = stage2(size)
    assert_entered(boot(Drive(sectors=disk(stage, stage))), stage)


def test_letter_r() -> None:
    """Where neither slot can be read, does it say R?"""
    bad = {PARTITION_LBA, PARTITION_LBA + 512}
    outcome = boot(Drive(sectors=WHOLE, bad_lbas=bad))
    assert_failed(outcome, b"R")
    assert len(outcome.reads) == 8


def test_letter_s() -> None:
    """Where neither slot holds a stage 2, does it say S?"""
    assert_failed(boot(Drive(sectors={})), b"S")


def test_letter_p() -> None:
    """Without an active partition, does it say P, and read nothing?"""
    outcome = boot(Drive(sectors=WHOLE), boot_sector(lba=PARTITION_LBA, active=None))
    assert_failed(outcome, b"P")
    assert outcome.reads == []


def test_two_active_partitions() -> None:
    """Is the first of two active entries taken?"""
    sector = bytearray(boot_sector(lba=PARTITION_LBA, active=1))
    sector[446 + 48 : 446 + 64] = b"\x80" + bytes(7) + (9999).to_bytes(4, "little") + bytes(4)
    assert_entered(boot(Drive(sectors=WHOLE), bytes(sector)), STAGE)


def test_an_active_entry_that_leads_nowhere() -> None:
    """Does an active entry without a start end in a letter, not in the boot sector itself being entered?"""
    sector = boot_sector(lba=0)
    assert_failed(boot(Drive(sectors={0: sector}), sector), b"S")


def test_a_logical_partition() -> None:
    """Without an active primary partition, is the logical one taken that `build` has written down?"""
    outcome = boot(
        Drive(sectors=disk(STAGE, STAGE, lba=5000)), boot_sector(lba=PARTITION_LBA, active=None, logical_lba=5000)
    )
    assert_entered(outcome, STAGE, lba=5000)
    outcome = boot(Drive(sectors=WHOLE), boot_sector(lba=PARTITION_LBA, logical_lba=5000))
    assert_entered(outcome, STAGE)
