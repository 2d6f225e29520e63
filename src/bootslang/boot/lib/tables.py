"""Where a BIOS has its tables: the ACPI root pointer and the SMBIOS entry points.

Stage 3 calls `find_tables`, and so do doors that a BIOS machine's loader opens. Both tables are found by looking for
their signatures in the memory below 1 MiB, every 16 bytes, and are believed if their checksums hold. 32- or 64-bit flat
mode; no BIOS call.
"""

from typing import Final

from bootslang.boot.context import BootContext
from bootslang.boot.lib import console
from bootslang.boot.lib.bios_data import bios_data
from bootslang.boot.lib.texts import starts_with
from bootslang.slang import Struct, array, compile_for, fn, length, span, text, u8, u32, usize

compile_for("protected32", "long64")

PARAGRAPH: Final = 16
EBDA_SEARCHED: Final = 1024
"""ACPI: the first KiB of the extended BIOS data area."""
EBDA_LOWEST: Final = 0x8_0000
EBDA_END: Final = 0xA_0000
ACPI_AREA: Final = 0xE_0000
SMBIOS_AREA: Final = 0xF_0000
FIRST_MIB: Final = 0x10_0000

NOWHERE: Final = 0xFFFF_FFFF

RSDP_MARK: Final = int.from_bytes(b"RSD ", "little")
SMBIOS_MARK: Final = int.from_bytes(b"_SM_", "little")
SMBIOS3_MARK: Final = int.from_bytes(b"_SM3", "little")
"""How their signatures begin."""
RSDP_BYTES: Final = 20
"""Of ACPI 1.0; later ones tell their own length."""
RSDP2_LEAST_BYTES: Final = 36
RSDP_REVISION: Final = 15
RSDP_LENGTH: Final = 20

SMBIOS_BYTES: Final = 31
SMBIOS_LENGTH: Final = 5
SMBIOS_DMI: Final = 16
"""The intermediate anchor, with a checksum of its own."""
SMBIOS_DMI_BYTES: Final = 15
SMBIOS3_BYTES: Final = 24
SMBIOS3_LENGTH: Final = 6


class Paragraph(Struct):
    """Where a table may begin."""

    mark: u32
    rest: array[u8] = length(12)


@fn
def find_tables(context: BootContext) -> None:
    """Fill `smbios` and `smbios3`, and `rsdp` if it is not known."""
    find_root_pointer(context)
    smbios_area = span[u8](SMBIOS_AREA, FIRST_MIB - SMBIOS_AREA)
    context.smbios = located(find_smbios(smbios_area), SMBIOS_AREA)
    context.smbios3 = located(find_smbios3(smbios_area), SMBIOS_AREA)


@fn
def tell(context: BootContext) -> None:
    """Say where the tables are, if all steps are to be told."""
    if console.verbose:
        print(f"ACPI {context.rsdp:#x}, SMBIOS {context.smbios:#x}, SMBIOS 3 {context.smbios3:#x}")


@fn
def find_root_pointer(context: BootContext) -> None:
    """ACPI's own order: the extended BIOS data area, then the BIOS."""
    ebda = u32(bios_data().ebda_segment) << 4
    if context.rsdp == 0 and EBDA_LOWEST <= ebda <= EBDA_END - EBDA_SEARCHED:
        context.rsdp = located(find_rsdp(span[u8](ebda, EBDA_SEARCHED)), ebda)
    if context.rsdp == 0:
        context.rsdp = located(find_rsdp(span[u8](ACPI_AREA, FIRST_MIB - ACPI_AREA)), ACPI_AREA)


@fn
def located(index: usize, base: u32) -> u32:
    """Where something that was found at `index` of an area is; 0 if it was not found."""
    return 0 if index == NOWHERE else base + u32(index)


@fn(optimize="speed", inline=False)
def next_marked(area: span[u8], start: usize, mark: u32) -> usize:
    """The index of the next paragraph, from that at `start` on, that begins with `mark`, or NOWHERE.

    Boots spend their time here: there are some ten thousand paragraphs to look at.
    """
    for number, paragraph in enumerate(area[start:].cast(Paragraph)):
        if paragraph.mark == mark:
            return start + number * PARAGRAPH
    return NOWHERE


@fn
def find_rsdp(area: span[u8]) -> usize:
    """The index of a valid ACPI root pointer in `area`, or NOWHERE."""
    index = next_marked(area, 0, RSDP_MARK)
    while index != NOWHERE and not is_rsdp(area[index:]):
        index = next_marked(area, index + PARAGRAPH, RSDP_MARK)
    return index


@fn
def is_rsdp(table: span[u8]) -> bool:
    if not starts_with(table, text("RSD PTR ")) or not sums_to_zero(table, RSDP_BYTES):
        return False
    if table[RSDP_REVISION] < 2:
        return True
    if len(table) < RSDP2_LEAST_BYTES:
        return False
    size = table[RSDP_LENGTH:RSDP2_LEAST_BYTES].cast(u32)[0]
    return size >= RSDP2_LEAST_BYTES and sums_to_zero(table, size)


@fn
def find_smbios(area: span[u8]) -> usize:
    """The index of a valid 32-bit SMBIOS entry point in `area`, or NOWHERE."""
    index = next_marked(area, 0, SMBIOS_MARK)
    while index != NOWHERE and not is_smbios(area[index:]):
        index = next_marked(area, index + PARAGRAPH, SMBIOS_MARK)
    return index


@fn
def is_smbios(table: span[u8]) -> bool:
    """Check both sums. SMBIOS 2.1 by mistake told a length of 30 bytes for its 31."""
    if len(table) < SMBIOS_BYTES:
        return False
    size = table[SMBIOS_LENGTH]
    intermediate = table[SMBIOS_DMI:]
    return (
        starts_with(table, text("_SM_"))
        and size >= SMBIOS_BYTES - 1
        and sums_to_zero(table, size)
        and starts_with(intermediate, text("_DMI_"))
        and sums_to_zero(intermediate, SMBIOS_DMI_BYTES)
    )


@fn
def find_smbios3(area: span[u8]) -> usize:
    """The index of a valid 64-bit SMBIOS entry point in `area`, or NOWHERE."""
    index = next_marked(area, 0, SMBIOS3_MARK)
    while index != NOWHERE and not is_smbios3(area[index:]):
        index = next_marked(area, index + PARAGRAPH, SMBIOS3_MARK)
    return index


@fn
def is_smbios3(table: span[u8]) -> bool:
    if len(table) < SMBIOS3_BYTES:
        return False
    size = table[SMBIOS3_LENGTH]
    return starts_with(table, text("_SM3_")) and size >= SMBIOS3_BYTES and sums_to_zero(table, size)


@fn
def sums_to_zero(table: span[u8], size: usize) -> bool:
    """Whether the first `size` bytes are there and add up to 0."""
    if size > len(table):
        return False
    total: u8 = 0
    for byte in table[:size]:
        total += byte
    return total == 0
