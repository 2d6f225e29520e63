"""UEFI's system table, as far as it says where other tables are: ACPI's root pointer and the SMBIOS entry points.

firmware.py calls it in 64-bit mode, the first 4 GiB mapped; natively in tests. The table's pointers are followed
through `reach`; what they lead to is believed if its checksums hold. A table that is none is passed over: nothing
depends on it. Source: UEFI 2.10, 4.3 and 4.6; numbers are as wide as the firmware's, 32 or 64 bits.
"""

from __future__ import annotations

from typing import Final

from bootslang.boot.context import FLAG_EFI64, BootContext
from bootslang.boot.doors import reach
from bootslang.boot.lib import tables
from bootslang.boot.lib.texts import equals, starts_with
from bootslang.slang import (
    BootError,
    Struct,
    array,
    at,
    compile_for,
    fn,
    length,
    sizeof,
    span,
    text,
    u8,
    u32,
    u64,
    usize,
)

compile_for("long64")

MAX_TABLES: Final = 1024
"""A firmware has some ten."""
TABLE_BYTES: Final = 64
"""As much as is looked at of a table: none that is meant here has more."""


def guid(written: str) -> bytes:
    """A GUID as it lies in memory: the first three numbers are little-endian."""
    numbers = [bytes.fromhex(number) for number in written.split("-")]
    return b"".join(number[::-1] for number in numbers[:3]) + b"".join(numbers[3:])


ACPI_1: Final = array[u8](guid("eb9d2d30-2d88-11d3-9a16-0090273fc14d"))
ACPI_2: Final = array[u8](guid("8868e871-e4f1-11d3-bc22-0080c73c8881"))
SMBIOS: Final = array[u8](guid("eb9d2d31-2d88-11d3-9a16-0090273fc14d"))
SMBIOS_3: Final = array[u8](guid("f2fd1544-9794-4a2c-992e-e5bbcf20e394"))


class SystemTable64(Struct):
    signature: array[u8] = length(8)
    count: u64 = at(0x68)
    list: u64


class SystemTable32(Struct):
    signature: array[u8] = length(8)
    count: u32 = at(0x40)
    list: u32


class Entry64(Struct):
    guid: array[u8] = length(16)
    place: u64


class Entry32(Struct):
    guid: array[u8] = length(16)
    place: u32


@fn
def find_tables(context: BootContext) -> None:
    """Fill `rsdp`, `smbios` and `smbios3` as far as the list has them."""
    try:
        if context.flags & FLAG_EFI64:
            read_list_64(context)
        else:
            read_list_32(context)
    except BootError as error:
        print(f"UEFI's tables are not read on: {error}")


@fn
def read_list_64(context: BootContext) -> None:
    system = SystemTable64.of(system_table(context, sizeof(SystemTable64)))
    for entry in list_at(system.list, system.count, sizeof(Entry64)).cast(Entry64):
        take(context, entry.guid, entry.place)


@fn
def read_list_32(context: BootContext) -> None:
    system = SystemTable32.of(system_table(context, sizeof(SystemTable32)))
    for entry in list_at(system.list, system.count, sizeof(Entry32)).cast(Entry32):
        take(context, entry.guid, entry.place)


@fn
def system_table(context: BootContext, size: usize) -> span[u8]:
    table = reach.view(text("UEFI, system table"), context.efi_system_table, size)
    if not starts_with(table, text("IBI SYST")):
        raise BootError(f"UEFI: there is no system table at {context.efi_system_table:#x}")
    return table


@fn
def list_at(place: u64, count: u64, entry_bytes: usize) -> span[u8]:
    if count > MAX_TABLES:
        raise BootError(f"UEFI: {count} tables, more than {MAX_TABLES}")
    return reach.view(text("UEFI, list of tables"), place, count * entry_bytes)


@fn
def take(context: BootContext, kind: span[u8], place: u64) -> None:
    """Enter one table of the list, if it is one of those that a kernel is told of."""
    is_better_rsdp = equals(kind, ACPI_2) or (equals(kind, ACPI_1) and context.rsdp == 0)
    if is_better_rsdp and tables.find_rsdp(table_at(place)) == 0:
        context.rsdp = place
    elif equals(kind, SMBIOS) and tables.find_smbios(table_at(place)) == 0:
        context.smbios = place
    elif equals(kind, SMBIOS_3) and tables.find_smbios3(table_at(place)) == 0:
        context.smbios3 = place


@fn
def table_at(place: u64) -> span[u8]:
    return reach.view(text("UEFI, a table"), place, TABLE_BYTES)
