"""Reading sectors of the boot drive through INT 13h: packets (EDD) or, where a drive has none, cylinders and heads.

Part of stage 2, which opens the drive and reads stages 3 and 4; stage 4 reads through the gate (`serve_read`). 32-bit
protected mode. A transfer asks for no more than 127 sectors and less than 64 KiB, crosses no 64 KiB boundary (old
controllers' DMA wraps there) and goes below 1 MiB.
"""

from typing import Final

from bootslang.boot.bios.calls import CARRY, DISK, call_bios
from bootslang.boot.context import GateRequest
from bootslang.boot.layout import BOUNCE
from bootslang.slang import BootError, Struct, address, compile_for, fn, sizeof, u8, u16, u32, u64

compile_for("protected32")

RESET: Final = 0x0000
READ_CHS: Final = 0x0200
GET_GEOMETRY: Final = 0x0800
CHECK_EXTENSIONS: Final = 0x4100
READ_PACKET: Final = 0x4200
GET_PARAMETERS: Final = 0x4800
SIGNATURE_IN: Final = 0x55AA
SIGNATURE_OUT: Final = 0xAA55
PACKETS_SUPPORTED: Final = 1
"""CX of AH=41h: calls 42h to 44h, 47h and 48h work."""

MOST_SECTORS: Final = 127
"""Phoenix BIOSes take no more in one packet."""
BOUNDARY: Final = 0x1_0000
MOST_BYTES: Final = BOUNDARY - 1
ATTEMPTS: Final = 5
SHRINKING: Final = 8
"""A piece that fails is made so many times smaller: from the largest, the third attempt is at a single sector."""
PARAMETERS_ERROR: Final = 0x01
"""INT 13h's own code for a request that makes no sense."""
NO_PROGRESS: Final = 0xBB
"""INT 13h's "undefined error": here a BIOS that reports success and no sectors."""


class AddressPacket(Struct):
    """The disk address packet of AH=42h; the BIOS writes the sectors that it has read back into `count`."""

    size: u8 = 16
    reserved: u8 = 0
    count: u16
    offset: u16
    segment: u16
    lba: u64


class DriveParameters(Struct):
    """The first 30 bytes of what AH=48h tells."""

    size: u16
    """In: how much room there is."""
    flags: u16
    cylinders: u32
    heads: u32
    sectors_per_track: u32
    sectors: u64
    sector_size: u16
    edd: u32


class Drive(Struct):
    """The drive that we were started from."""

    number: u32
    sector_size: u32
    """In bytes."""
    per_call: u32
    """The most sectors that one call may read."""
    takes_packets: bool
    heads: u32
    sectors_per_track: u32


drive: Drive = Drive.zeroed()


@fn
def open_drive(number: u8, expected_sector_size: u32) -> None:
    """Learn how `number` is read. Its sectors must have the size that the disk was built for."""
    drive.number = number
    drive.sector_size = expected_sector_size
    drive.takes_packets = has_packets()
    if drive.takes_packets:
        read_parameters()
    else:
        read_geometry()
    if drive.sector_size != expected_sector_size:
        raise BootError(
            f"the boot disk has {drive.sector_size}-byte sectors, but was built for {expected_sector_size}-byte ones"
        )
    drive.per_call = min(MOST_SECTORS, MOST_BYTES // drive.sector_size)


@fn
def has_packets() -> bool:
    request = GateRequest.zeroed()
    request.eax = CHECK_EXTENSIONS
    request.ebx = SIGNATURE_IN
    request.edx = drive.number
    failed = call_bios(DISK, request, 0)
    return not failed and u16(request.ebx) == SIGNATURE_OUT and request.ecx & PACKETS_SUPPORTED != 0


@fn
def read_parameters() -> None:
    """Take the sector size from AH=48h; a BIOS that does not tell it has the expected one."""
    parameters = DriveParameters.zeroed()
    parameters.size = sizeof(DriveParameters)
    request = GateRequest.zeroed()
    request.eax = GET_PARAMETERS
    request.edx = drive.number
    failed = call_bios(DISK, request, address(parameters))
    if not failed and parameters.sector_size != 0:
        drive.sector_size = parameters.sector_size


@fn
def read_geometry() -> None:
    """Take heads and sectors from AH=08h; such drives have 512-byte sectors."""
    request = GateRequest.zeroed()
    request.eax = GET_GEOMETRY
    request.edx = drive.number
    if call_bios(DISK, request, 0):
        raise BootError(f"drive {drive.number:#04x} takes no packets and tells no geometry (INT 13h AH=41h, 08h)")
    drive.sectors_per_track = request.ecx & 63
    drive.heads = (request.edx >> 8 & 255) + 1
    drive.sector_size = 512
    if drive.sectors_per_track == 0:
        raise BootError(f"drive {drive.number:#04x} tells a geometry of 0 sectors (INT 13h AH=08h)")


@fn
def try_sectors(lba: u64, count: u32, target: u32) -> tuple[u8, u32]:
    """Read `count` sectors to `target`; return 0 or the BIOS's error code, and how many sectors were read.

    After an error the drive is reset and a smaller piece is tried: the one that the BIOS says it had read, else an
    eighth. That count is a hint and no more; what belongs to a failed call is read again. Pieces grow again as reads
    succeed, so that the last attempts are at the one sector that fails.
    """
    attempts: u32 = ATTEMPTS
    first = lba
    wanted = count
    while count != 0:
        asked = min(count, wanted, room(target))
        error, done = transfer(lba, asked, target)
        if error == 0 and done != 0:
            lba += done
            count -= done
            target += done * drive.sector_size
            attempts = ATTEMPTS
            wanted = min(count, wanted * 2)
            continue
        attempts -= 1
        if attempts == 0:
            return error if error != 0 else NO_PROGRESS, u32(lba - first)
        reset()
        wanted = done if done != 0 and done < asked else max(asked // SHRINKING, 1)
    return 0, u32(lba - first)


@fn
def room(target: u32) -> u32:
    """How many sectors one call may read to `target`."""
    to_boundary = BOUNDARY - target % BOUNDARY
    return min(drive.per_call, to_boundary // drive.sector_size)


@fn
def transfer(lba: u64, count: u32, target: u32) -> tuple[u8, u32]:
    """Make one call. Return the BIOS's error code, 0 for none, and how many sectors it says it has read."""
    if drive.takes_packets:
        return transfer_packet(lba, count, target)
    return transfer_chs(lba, count, target)


@fn
def transfer_packet(lba: u64, count: u32, target: u32) -> tuple[u8, u32]:
    packet = AddressPacket(count=u16(count), offset=u16(target & 15), segment=u16(target >> 4), lba=lba)
    request = GateRequest.zeroed()
    request.eax = READ_PACKET
    request.edx = drive.number
    failed = call_bios(DISK, request, address(packet))
    return error_code(failed, request), min(packet.count, count)


@fn
def transfer_chs(lba: u64, count: u32, target: u32) -> tuple[u8, u32]:
    """Read up to the end of the track, which is as far as every BIOS goes."""
    sector = u32(lba) % drive.sectors_per_track
    track = u32(lba) // drive.sectors_per_track
    cylinder = track // drive.heads
    head = track % drive.heads
    if lba >> 32 != 0 or cylinder > 1023:
        return PARAMETERS_ERROR, 0
    asked = min(count, drive.sectors_per_track - sector)
    request = GateRequest.zeroed()
    request.eax = READ_CHS | asked
    request.ebx = target & 15
    request.ecx = (cylinder & 255) << 8 | cylinder >> 8 << 6 | sector + 1
    request.edx = head << 8 | drive.number
    failed = call_bios(DISK, request, target)
    return error_code(failed, request), 0 if failed else asked


@fn
def error_code(failed: bool, request: GateRequest) -> u8:
    """AH, made non-zero for a BIOS that reports a failure without saying which."""
    if not failed:
        return 0
    code = u8(request.eax >> 8)
    return code if code != 0 else NO_PROGRESS


@fn
def reset() -> None:
    request = GateRequest.zeroed()
    request.eax = RESET
    request.edx = drive.number
    call_bios(DISK, request, 0)


@fn
def serve_read(request: GateRequest) -> None:
    """Do what GATE_READ asks: see `boot.context`."""
    lba = u64(request.edi) << 32 | request.esi
    error: u8 = PARAMETERS_ERROR
    done: u32 = 0
    if request.ecx <= drive.per_call:
        error, done = try_sectors(lba, request.ecx, BOUNCE)
    request.eax = error
    request.ecx = done
    request.flags = CARRY if error != 0 else 0
