"""What the BIOS says of its hard disks (Enhanced Disk Drive Services), and their MBR signatures.

Stage 3 calls `survey_disks`; 32-bit protected mode, BIOS calls through the gate. Linux shows both in /sys/firmware/edd,
from which installers tell which disk the machine boots from.
"""

from typing import Final

from bootslang.boot.bios.calls import DISK, call_bios
from bootslang.boot.bios.drive import (
    CHECK_EXTENSIONS,
    GET_GEOMETRY,
    GET_PARAMETERS,
    READ_CHS,
    SIGNATURE_IN,
    SIGNATURE_OUT,
)
from bootslang.boot.context import MAX_EDD_DEVICES, MAX_MBR_SIGNATURES, BootContext, EddDevice, GateRequest
from bootslang.boot.lib import console
from bootslang.boot.lib.bios_data import bios_data
from bootslang.slang import Struct, address, at, compile_for, fn, sizeof, span, u8, u16, u32

compile_for("protected32")

FIRST_HARD_DISK: Final = 0x80
PARAMETER_BYTES: Final = sizeof(EddDevice) - 8
FIRST_SECTOR: Final = 0x0001
"""Cylinder 0, sector 1, as CX holds them."""
BOOT_RECORD_MAGIC: Final = 0xAA55


class BootRecord(Struct):
    """What is read of a disk's first sector."""

    signature: u32 = at(440)
    magic: u16 = at(510)


@fn
def survey_disks(context: BootContext, scratch: span[u8]) -> None:
    """Fill `edd` and `mbr_signatures` for the hard disks that the BIOS counts.

    scratch: memory below 1 MiB that a sector of any size fits into.
    """
    disks = min(bios_data().hard_disks, MAX_MBR_SIGNATURES)
    for index in range(disks):
        number = u8(FIRST_HARD_DISK + index)
        if context.edd_count < MAX_EDD_DEVICES and describe_disk(number, context.edd[context.edd_count]):
            context.edd_count += 1
        if read_first_sector(number, scratch):
            record = BootRecord.of(scratch)
            if record.magic == BOOT_RECORD_MAGIC:
                context.mbr_signatures[index] = record.signature
                context.mbr_signature_count = u8(index + 1)
    if console.verbose:
        print(f"stage 3: {disks} hard disks, {context.edd_count} described by EDD")


@fn
def describe_disk(number: u8, device: EddDevice) -> bool:
    """Fill `device`; False if the BIOS has no EDD for this disk."""
    request = GateRequest.zeroed()
    request.eax = CHECK_EXTENSIONS
    request.ebx = SIGNATURE_IN
    request.edx = number
    if call_bios(DISK, request, 0) or u16(request.ebx) != SIGNATURE_OUT:
        return False
    device.device = number
    device.version = u8(request.eax >> 8)
    device.interface_support = u16(request.ecx)
    read_parameters(number, device)
    read_legacy_geometry(number, device)
    return True


@fn
def read_parameters(number: u8, device: EddDevice) -> None:
    """AH=48h, as it is: its first word tells the BIOS how much room there is, then us how much it filled."""
    device.parameters.cast(u16)[0] = PARAMETER_BYTES
    request = GateRequest.zeroed()
    request.eax = GET_PARAMETERS
    request.edx = number
    call_bios(DISK, request, address(device.parameters))


@fn
def read_legacy_geometry(number: u8, device: EddDevice) -> None:
    request = GateRequest.zeroed()
    request.eax = GET_GEOMETRY
    request.edx = number
    if not call_bios(DISK, request, 0):
        device.legacy_cylinder = u16(request.ecx >> 8 & 0xFF | (request.ecx & 0xC0) << 2)
        device.legacy_head = u8(request.edx >> 8)
        device.legacy_sectors = u8(request.ecx & 0x3F)


@fn
def read_first_sector(number: u8, scratch: span[u8]) -> bool:
    request = GateRequest.zeroed()
    request.eax = READ_CHS | 1
    request.ebx = u32(scratch.address & 15)
    request.ecx = FIRST_SECTOR
    request.edx = number
    return not call_bios(DISK, request, scratch.address)
