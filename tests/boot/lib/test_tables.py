"""Are the firmware's tables found where they are, and lookalikes passed over?"""

from __future__ import annotations

import pytest

from bootslang.boot.lib.tables import NOWHERE, find_rsdp, find_smbios, find_smbios3
from bootslang.slang import span
from support.firmware_tables import RSDP1, RSDP2, SMBIOS, SMBIOS3, SMBIOS_2_1, summed

FINDERS = {"rsdp": find_rsdp, "smbios": find_smbios, "smbios3": find_smbios3}


def area(**tables: bytes) -> bytearray:
    """64 KiB with tables at the named addresses: `at_1000` is 0x1000."""
    memory = bytearray(0x10000)
    for name, table in tables.items():
        start = int(name.removeprefix("at_"), 16)
        memory[start : start + len(table)] = table
    return memory


@pytest.mark.parametrize(
    ("kind", "table"),
    [
        ("rsdp", RSDP1),
        ("rsdp", RSDP2),
        ("smbios", SMBIOS),
        ("smbios", SMBIOS_2_1),
        ("smbios3", SMBIOS3),
    ],
    ids=["ACPI 1", "ACPI 2", "SMBIOS", "SMBIOS 2.1 with its wrong length", "SMBIOS 3"],
)
def test_a_table_is_found_and_its_damage_seen(kind: str, table: bytes) -> None:
    """Is a whole table found on a 16-byte boundary only, and not with any one byte of it changed?"""
    find = FINDERS[kind]
    assert find(span(area(at_1230=table))) == 0x1230
    assert find(span(area(at_1238=table))) == NOWHERE
    for index in range(len(table) - (kind == "smbios" and table is SMBIOS_2_1)):
        damaged = bytearray(table)
        damaged[index] ^= 0x40
        assert find(span(area(at_1230=bytes(damaged)))) == NOWHERE, index
    damaged = bytearray(table)
    damaged[1] ^= 0x40
    assert find(span(area(at_1000=bytes(damaged), at_2000=table))) == 0x2000


@pytest.mark.parametrize("kind", ["rsdp", "smbios", "smbios3"])
def test_nothing_to_be_found(kind: str) -> None:
    """Is an empty area, or one without any bytes, searched to its end?"""
    assert FINDERS[kind](span(area())) == NOWHERE
    assert FINDERS[kind](span(b"")) == NOWHERE


@pytest.mark.parametrize(("kind", "table"), [("rsdp", RSDP2), ("smbios", SMBIOS), ("smbios3", SMBIOS3)])
def test_a_table_cut_off_by_the_end_of_the_area(kind: str, table: bytes) -> None:
    """Is a table of which the last byte lies outside the area not read beyond it?"""
    whole = bytes(-len(table) % 16) + table
    for kept in range(16, len(whole), 16):
        assert FINDERS[kind](span(table[:kept])) == NOWHERE


@pytest.mark.parametrize("size", [0, 35, 37, 0xFFFF_FFFF])
def test_an_acpi_table_of_a_wrong_length(size: int) -> None:
    """Is a root pointer with an impossible length not believed?"""
    table = summed(RSDP2[:20] + size.to_bytes(4, "little") + bytes(12), 32, 36)
    assert find_rsdp(span(area(at_0=table))) == (NOWHERE if size != 37 else 0)
