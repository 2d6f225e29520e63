"""Does stage 2 read what it should from drives of every kind, and give up on broken ones in the end?"""

from __future__ import annotations

import pytest

from bootslang.boot.bios.drive import AddressPacket, DriveParameters, open_drive, serve_read, try_sectors
from bootslang.boot.context import GateRequest
from bootslang.boot.layout import BOUNCE
from bootslang.slang import BootError
from support.bios import FakeBios, structure

Transfer = tuple[int, int, int]
"""LBA, sectors, address."""
UNREADABLE = 0x0C


class DiskBios(FakeBios):
    """One drive, with packets or without; `failures` tells which of its reads fail."""

    def __init__(self, *, number: int = 0x80, sector_size: int = 512, packets: bool = True) -> None:
        super().__init__()
        self.number, self.sector_size, self.packets = number, sector_size, packets
        self.heads, self.track_sectors = 16, 63
        self.geometry_known = True
        self.parameters_known = True
        self.bad_lbas: set[int] = set()
        self.failing_reads: set[int] = set()
        self.most_at_once = 1000
        self.tells_short_count = True
        self.succeeds_short = False
        self.reads: list[Transfer] = []
        self.resets = 0

    def int13(self, request: GateRequest, memory: int) -> bool:
        """Answer the disk calls."""
        assert request.edx & 0xFF == self.number
        function = request.eax >> 8 & 0xFF
        if function == 0x00:
            self.resets += 1
            return False
        if function == 0x02:
            return self.read_chs(request, memory)
        if function == 0x08 and self.geometry_known:
            request.ecx = 0xFF << 8 | 0xC0 | self.track_sectors
            request.edx = (self.heads - 1) << 8 | 1
            return False
        request.eax = 0x0100
        return self.packet_call(function, request, memory) if self.packets else True

    def packet_call(self, function: int, request: GateRequest, memory: int) -> bool:
        """Answer the calls of EDD."""
        match function:
            case 0x41:
                assert request.ebx & 0xFFFF == 0x55AA
                request.ebx, request.ecx = 0xAA55, 1
                return False
            case 0x42:
                return self.read_packet(request, structure(AddressPacket, memory))
            case 0x48 if self.parameters_known:
                parameters = structure(DriveParameters, memory)
                assert parameters.size >= 30
                parameters.sector_size = self.sector_size
                return False
            case _:
                return True

    def read_packet(self, request: GateRequest, packet: AddressPacket) -> bool:
        """Read by a packet, as far as the drive is willing."""
        assert (packet.size, packet.reserved) == (16, 0)
        asked = packet.count
        done = self.read(packet.lba, asked, (packet.segment << 4) + packet.offset)
        if done == asked:
            return False
        if self.tells_short_count:
            packet.count = done
        if self.succeeds_short and done:
            return False
        request.eax = UNREADABLE << 8
        return True

    def read_chs(self, request: GateRequest, memory: int) -> bool:
        """Read by cylinder, head and sector, within one track."""
        count = request.eax & 0xFF
        cylinder = request.ecx >> 8 & 0xFF | (request.ecx & 0xC0) << 2
        sector = (request.ecx & 63) - 1
        head = request.edx >> 8 & 0xFF
        assert sector + count <= self.track_sectors, "no read goes over the end of a track"
        assert memory & 15 == request.ebx & 0xFFFF
        lba = (cylinder * self.heads + head) * self.track_sectors + sector
        done = self.read(lba, count, memory)
        request.eax = 0 if done == count else UNREADABLE << 8
        return done != count

    def read(self, lba: int, count: int, address: int) -> int:
        """Hold the code to what every BIOS takes; return how many sectors were read."""
        assert 0 < count <= 127
        assert count * self.sector_size < 0x10000
        assert address // 0x10000 == (address + count * self.sector_size - 1) // 0x10000, "crosses a 64 KiB boundary"
        self.reads.append((lba, count, address))
        if len(self.reads) in self.failing_reads:
            return 0
        for done in range(count):
            if done == self.most_at_once or lba + done in self.bad_lbas:
                return done
        return count


def opened(bios: DiskBios, expected: int = 512) -> DiskBios:
    with bios:
        open_drive(bios.number, expected)
    return bios


def read_by(bios: DiskBios, lba: int, count: int, target: int) -> int:
    with bios:
        return try_sectors(lba, count, target)[0]


@pytest.mark.parametrize("number", [0x00, 0x80, 0x81, 0xE0])
def test_any_drive_number(number: int) -> None:
    """Is the drive that the BIOS named asked, whatever its number?"""
    bios = opened(DiskBios(number=number))
    assert read_by(bios, 5, 1, 0x10000) == 0
    assert bios.reads == [(5, 1, 0x10000)]


def test_large_reads_are_cut_where_bioses_and_controllers_need_it() -> None:
    """Are 448 sectors to 0x20000 read in few calls, none over 127 sectors or over a 64 KiB boundary?"""
    bios = opened(DiskBios())
    assert read_by(bios, 1000, 448, 0x20000) == 0
    assert bios.reads[0] == (1000, 127, 0x20000)
    assert bios.reads[1] == (1127, 1, 0x2FE00)
    assert sum(count for _, count, _ in bios.reads) == 448
    assert len(bios.reads) == 7


def test_sectors_beyond_32_bits() -> None:
    """Does an LBA above 2^32 arrive whole?"""
    bios = opened(DiskBios())
    assert read_by(bios, 2**32 + 5, 2, 0x10000) == 0
    assert bios.reads == [(2**32 + 5, 2, 0x10000)]


def test_large_sectors() -> None:
    """Are 4096-byte sectors read at most 15 at once, which stays below 64 KiB?"""
    bios = opened(DiskBios(sector_size=4096), expected=4096)
    assert read_by(bios, 7, 16, 0x10000) == 0
    assert bios.reads == [(7, 15, 0x10000), (22, 1, 0x1F000)]


def test_a_disk_of_another_sector_size_is_named() -> None:
    """Is an image that was copied to a disk with other sectors an error that says so?"""
    message = "the boot disk has 4096-byte sectors, but was built for 512-byte ones"
    with DiskBios(sector_size=4096), pytest.raises(BootError, match=message):
        open_drive(0x80, 512)


def test_without_drive_parameters_the_expected_size_holds() -> None:
    """Does a BIOS with AH=42h, but without AH=48h, boot?"""
    bios = DiskBios()
    bios.parameters_known = False
    assert read_by(opened(bios), 3, 1, 0x10000) == 0


def test_a_drive_without_packets_is_read_by_track() -> None:
    """Without AH=41h, are cylinders and heads right, and no read over the end of a track?"""
    bios = opened(DiskBios(packets=False))
    assert read_by(bios, 60, 70, 0x10000) == 0
    assert bios.reads == [(60, 3, 0x10000), (63, 63, 0x10600), (126, 4, 0x18400)]


def test_a_drive_without_packets_beyond_its_cylinders() -> None:
    """Is an LBA that CHS cannot say an error rather than another sector?"""
    bios = opened(DiskBios(packets=False))
    assert read_by(bios, 1024 * 16 * 63, 1, 0x10000) == 1
    assert read_by(bios, 2**32, 1, 0x10000) == 1
    assert bios.reads == []


def test_a_drive_that_tells_nothing() -> None:
    """Is a drive with neither packets nor geometry an error that names it?"""
    bios = DiskBios(number=0x81, packets=False)
    bios.geometry_known = False
    with bios, pytest.raises(BootError, match="drive 0x81 takes no packets and tells no geometry"):
        open_drive(0x81, 512)
    bios.geometry_known = True
    bios.track_sectors = 0
    with bios, pytest.raises(BootError, match="drive 0x81 tells a geometry of 0 sectors"):
        open_drive(0x81, 512)


@pytest.mark.parametrize("nth", [1, 2, 3])
def test_a_read_that_fails_once_is_made_again(nth: int) -> None:
    """After a failed call, is the drive reset and the rest read, every sector of it?"""
    bios = opened(DiskBios())
    bios.failing_reads = {nth}
    assert read_by(bios, 0, 300, 0x20000) == 0
    assert bios.resets == 1
    covered = set()
    for index, (lba, count, address) in enumerate(bios.reads, start=1):
        assert address == 0x20000 + lba * 512
        if index != nth:
            covered |= set(range(lba, lba + count))
    assert covered == set(range(300))


@pytest.mark.parametrize("tells", [True, False])
def test_a_bios_that_takes_less_at_once(tells: bool) -> None:  # noqa: FBT001
    """Is a BIOS that manages 20 sectors a call read in smaller pieces, whether it tells the short count or not?"""
    bios = opened(DiskBios())
    bios.most_at_once, bios.tells_short_count = 20, tells
    assert read_by(bios, 0, 120, 0x10000) == 0


def test_a_short_success_is_continued() -> None:
    """Does a call that reports success for fewer sectors than asked leave no gap?"""
    bios = opened(DiskBios())
    bios.most_at_once, bios.succeeds_short = 50, True
    assert read_by(bios, 0, 120, 0x10000) == 0
    assert [(lba, address) for lba, _, address in bios.reads] == [
        (0, 0x10000),
        (50, 0x10000 + 50 * 512),
        (100, 0x10000 + 100 * 512),
    ]


def test_a_bad_sector_ends_in_an_error() -> None:
    """Does a sector that never reads end, after a bounded number of attempts, in the BIOS's error code?"""
    bios = opened(DiskBios())
    bios.bad_lbas = {40}
    assert read_by(bios, 0, 100, 0x10000) == UNREADABLE
    assert len(bios.reads) < 40


@pytest.mark.parametrize("bad", [0, 1, 10, 40, 63, 98, 99])
@pytest.mark.parametrize("tells", [True, False])
def test_what_precedes_a_bad_sector_is_read(bad: int, tells: bool) -> None:  # noqa: FBT001
    """Are all sectors before one that never reads delivered, and is it itself tried more than once on its own?"""
    bios = opened(DiskBios())
    bios.bad_lbas, bios.tells_short_count = {bad}, tells
    with bios:
        assert try_sectors(0, 100, 0x10000) == (UNREADABLE, bad)
    assert bios.reads.count((bad, 1, 0x10000 + bad * 512)) >= 2


def test_stage_4s_reads_come_through_the_gate() -> None:
    """Does GATE_READ fill the bounce buffer, and report errors by carry and EAX?"""
    bios = opened(DiskBios())
    request = GateRequest(interrupt=0x100, eax=0, ebx=0, ecx=127, edx=0, esi=7, edi=1, ebp=0, ds=0, es=0, flags=0xFFFF)
    with bios:
        serve_read(request)
    assert bios.reads == [(2**32 + 7, 127, BOUNCE)]
    assert (request.eax, request.ecx, request.flags) == (0, 127, 0)
    request.ecx = 128
    with bios:
        serve_read(request)
    assert (request.eax, request.ecx, request.flags) == (1, 0, 1)
    bios.bad_lbas = {2**32 + 9}
    request.ecx = 127
    with bios:
        serve_read(request)
    assert (request.eax, request.ecx, request.flags) == (UNREADABLE, 2, 1)
