"""Are UEFI's tables found by its list, whatever that holds, and is the right ACPI root pointer taken?"""

import struct
import uuid
from collections.abc import Iterator, Sequence

import pytest

from bootslang.boot.context import DOOR_MULTIBOOT2, DOOR_PVH, FLAG_EFI64, BootContext
from bootslang.boot.doors import firmware
from support.firmware_tables import RSDP1, RSDP2, SMBIOS, SMBIOS3
from support.reach import Reach

ACPI_1_GUID = "eb9d2d30-2d88-11d3-9a16-0090273fc14d"
ACPI_2_GUID = "8868e871-e4f1-11d3-bc22-0080c73c8881"
SMBIOS_GUID = "eb9d2d31-2d88-11d3-9a16-0090273fc14d"
SMBIOS_3_GUID = "f2fd1544-9794-4a2c-992e-e5bbcf20e394"
OTHER_GUID = "ee4e5898-3914-4259-9d6e-dc7bd79403cf"
"""Of the LZMA decompression section: nothing that a kernel is told of."""
TOLD = 0x1234
OUTSIDE = "lie outside the memory that a loader below 4 GiB can use"


@pytest.fixture
def memory() -> Iterator[Reach]:
    with Reach() as reach:
        yield reach


def put_system_table(
    memory: Reach, entries: Sequence[tuple[str, int]], bits: int = 64, count: int | None = None
) -> int:
    """UEFI 2.10, 4.3: the last two fields are what matters."""
    entry, header, end = ("<16sQ", 0x68, "<QQ") if bits == 64 else ("<16sI", 0x40, "<II")
    listed = memory.put(b"".join(struct.pack(entry, uuid.UUID(kind).bytes_le, place) for kind, place in entries))
    head = b"IBI SYST".ljust(header, b"\xee")
    return memory.put_last(head + struct.pack(end, len(entries) if count is None else count, listed))


def put_table(memory: Reach, table: bytes) -> int:
    return memory.put(table.ljust(64, b"\0"))


def found(system_table: int, *, bits: int = 64, door: int = DOOR_MULTIBOOT2) -> BootContext:
    context = BootContext.zeroed()
    context.door = door
    context.rsdp = TOLD
    context.efi_system_table = system_table
    context.flags = FLAG_EFI64 if bits == 64 else 0
    firmware.find_tables(context)
    return context


@pytest.mark.parametrize("bits", [32, 64])
def test_the_list_tells_where_the_tables_are(memory: Reach, bits: int) -> None:
    tables = [put_table(memory, table) for table in (b"", RSDP1, SMBIOS, RSDP2, SMBIOS3)]
    kinds = [OTHER_GUID, ACPI_1_GUID, SMBIOS_GUID, ACPI_2_GUID, SMBIOS_3_GUID]
    context = found(put_system_table(memory, list(zip(kinds, tables, strict=True)), bits), bits=bits)
    assert [context.rsdp, context.smbios, context.smbios3] == [tables[3], tables[2], tables[4]]


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
def test_the_newer_root_pointer_is_taken_wherever_it_stands(memory: Reach, order: tuple[int, ...]) -> None:
    old, new = put_table(memory, RSDP1), put_table(memory, RSDP2)
    entries = [((ACPI_1_GUID, old), (ACPI_2_GUID, new))[number - 1] for number in order]
    assert found(put_system_table(memory, entries)).rsdp == new
    assert found(put_system_table(memory, [(ACPI_1_GUID, old)])).rsdp == old


def test_what_has_been_told_stays_where_there_is_nothing_better(memory: Reach) -> None:
    assert found(put_system_table(memory, [])).rsdp == TOLD
    broken = put_table(memory, RSDP2[:-1] + b"x")
    assert found(put_system_table(memory, [(ACPI_2_GUID, broken)])).rsdp == TOLD


def test_pvh_tells_the_firmwares_own(memory: Reach) -> None:
    table = put_table(memory, RSDP2)
    assert found(put_system_table(memory, [(ACPI_2_GUID, table)]), door=DOOR_PVH).rsdp == TOLD


def test_a_table_beyond_what_can_be_read(memory: Reach, capsys: pytest.CaptureFixture[str]) -> None:
    place = memory.end - 63
    assert found(put_system_table(memory, [(SMBIOS_3_GUID, place)])).smbios3 == 0
    said = f"UEFI's tables are not read on: UEFI, a table: 64 bytes at {place:#x} {OUTSIDE}"
    assert capsys.readouterr().out == f"{said}\n"


def test_no_system_table(memory: Reach, capsys: pytest.CaptureFixture[str]) -> None:
    place = memory.put(bytes(120))
    assert found(place).rsdp == TOLD
    assert found(memory.end - 119).rsdp == TOLD
    assert capsys.readouterr().out == (
        f"UEFI's tables are not read on: UEFI: there is no system table at {place:#x}\n"
        f"UEFI's tables are not read on: UEFI, system table: 120 bytes at {memory.end - 119:#x} {OUTSIDE}\n"
    )


@pytest.mark.parametrize("count", [1025, (1 << 64) - 1, 1024])
def test_more_tables_than_there_can_be(memory: Reach, count: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert found(put_system_table(memory, [], count=count)).rsdp == TOLD
    reason = f"UEFI: {count} tables, more than 1024" if count > 1024 else "UEFI, list of tables: 24576 bytes at"
    assert capsys.readouterr().out.startswith(f"UEFI's tables are not read on: {reason}")
