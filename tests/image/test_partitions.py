"""Is every sound partition table read as sfdisk reads it, and every unsound one refused by name?"""

import json
import struct
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bootslang.errors import PartitionTableInvalid
from bootslang.image.partitions import Partition, read_partition_table, write_partition_table
from support.disks import MIB, MemoryDisk, partitioned

EXTENDED = 0x05
LINUX = 0x83


def entry(status: int, kind: int, first: int, sectors: int) -> bytes:
    return struct.pack("<B3xB3xII", status, kind, first, sectors)


def table(*entries: bytes, magic: bytes = b"\x55\xaa") -> bytes:
    return bytes(446) + b"".join(entries).ljust(64, b"\0") + magic


def disk(sectors: dict[int, bytes], size: int = 16 * MIB, sector_size: int = 512) -> MemoryDisk:
    data = bytearray(size)
    for lba, content in sectors.items():
        data[lba * sector_size : lba * sector_size + len(content)] = content
    return MemoryDisk(data)


def complaint(medium: MemoryDisk, sector_size: int = 512) -> str:
    with pytest.raises(PartitionTableInvalid) as caught:
        read_partition_table(medium, sector_size)
    return caught.value.message


def boot_partition(first: int, sectors: int, sector_size: int = 512) -> Partition:
    return Partition(1, 0xDA, active=True, first_lba=first, sectors=sectors, sector_size=sector_size)


def root_partition(first: int, sectors: int, sector_size: int = 512, number: int = 2) -> Partition:
    return Partition(number, LINUX, active=False, first_lba=first, sectors=sectors, sector_size=sector_size)


SCRIPT = """\
label: dos
label-id: 0x12345678
start=2048, size=4096, type=83
start=8192, size=20480, type=5
start=10240, size=2048, type=83, bootable
start=14336, size=4096, type=82
start=28672, type=c
"""


def test_reads_what_sfdisk_wrote(tmp_path: Path) -> None:
    image = tmp_path / "disk.img"
    partitioned(image, 32 * MIB, SCRIPT)
    told = json.loads(subprocess.run(["/usr/sbin/sfdisk", "-J", image], capture_output=True, check=True).stdout)
    found = read_partition_table(MemoryDisk(bytearray(image.read_bytes())), 512)
    assert found.disk_signature == 0x12345678
    assert [(one.first_lba, one.sectors, one.type, one.active) for one in found.partitions] == [
        (one["start"], one["size"], int(one["type"], 16), one.get("bootable", False))
        for one in sorted(
            told["partitiontable"]["partitions"], key=lambda one: int(one["node"].removeprefix(f"{image}"))
        )
    ]
    assert found.active is not None
    assert found.active.logical
    assert found.active.number == 5


def test_what_we_write_is_sound_to_sfdisk_and_file(tmp_path: Path) -> None:
    partitions = [boot_partition(2048, 6144), root_partition(8192, 24576)]
    image = tmp_path / "disk.img"
    image.write_bytes(write_partition_table(0xCAFE_F00D, partitions).ljust(16 * MIB, b"\0"))
    checked = subprocess.run(["/usr/sbin/sfdisk", "--verify", image], capture_output=True, text=True, check=True)
    assert "No errors detected" in checked.stdout
    dump = subprocess.run(["/usr/sbin/sfdisk", "-d", image], capture_output=True, text=True, check=True).stdout
    assert "label-id: 0xcafef00d" in dump
    assert "start=        2048, size=        6144, type=da, bootable" in dump
    told = subprocess.run(["file", "-b", image], capture_output=True, text=True, check=True).stdout
    assert "ID=0xda, active, start-CHS (0x0,32,33), end-CHS (0x0,130,2)" in told


def test_far_partitions_have_the_highest_chs_numbers() -> None:
    sector = write_partition_table(1, [root_partition(0xFFFF_0000, 0xFFFF, number=1)])
    assert sector[446 + 1 : 446 + 4] == sector[446 + 5 : 446 + 8] == bytes([254, 255, 255])


def test_written_tables_are_read_back_for_both_sector_sizes() -> None:
    for sector_size in (512, 4096):
        partitions = (boot_partition(256, 512, sector_size), root_partition(768, 256, sector_size))
        medium = disk({0: write_partition_table(7, partitions)}, sector_size=sector_size)
        found = read_partition_table(medium, sector_size)
        assert found.partitions == partitions
        assert partitions[0].offset == 256 * sector_size


@pytest.mark.parametrize(
    ("sector", "problem"),
    [
        (
            table(magic=b"\0\0"),
            "There is no partition table: sector 0 ends with 00 00 instead of 55 aa.",
        ),
        (
            table(entry(0x12, LINUX, 2048, 64)),
            "Entry 1 of the partition table has status 0x12, which is neither active nor inactive.",
        ),
        (
            table(entry(0x80, LINUX, 2048, 64), entry(0, LINUX, 4096, 64), entry(0x80, LINUX, 8192, 64)),
            "Partitions 1 and 3 are both active; a BIOS disk boots from one.",
        ),
        (
            table(entry(0, LINUX, 2048, 30721)),
            "Partition 1 ends at sector 32769, beyond the disk, which has 32768 sectors of 512 bytes.",
        ),
        (
            table(entry(0, LINUX, 0xFFFF_FFFF, 0xFFFF_FFFF)),
            "Partition 1 ends at sector 8589934590, beyond the disk, which has 32768 sectors of 512 bytes.",
        ),
        (
            table(entry(0, LINUX, 2048, 4097), entry(0, LINUX, 6144, 64)),
            "Partitions 1 and 2 overlap: one ends at sector 6145, the other starts at 6144.",
        ),
        (table(entry(0, LINUX, 2048, 0)), "Entry 1 of the partition table has type 0x83, but no sectors."),
        (table(entry(0x80, 0, 0, 0)), "Entry 1 of the partition table has no type, but is active."),
        (table(entry(0, 0, 2048, 64)), "Entry 1 of the partition table has no type, but is not empty."),
        (table(entry(0, LINUX, 0, 64)), "Partition 1 starts at sector 0, on the partition table itself."),
        (
            table(entry(0, EXTENDED, 2048, 64), entry(0, EXTENDED, 4096, 64)),
            "The partition table has two extended partitions.",
        ),
        (
            table(entry(0, LINUX, 2048, 4096), entry(0, EXTENDED, 4096, 4096)),
            "There is no partition table: the logical partition table at sector 4096 ends with 00 00 instead of 55 aa.",
        ),
        (
            table(entry(0, 0xEE, 1, 0xFFFF_FFFF)),
            "The disk has a GPT (partition 1 of its MBR is a protective one, type 0xee).",
        ),
    ],
)
def test_unsound_tables_are_refused(sector: bytes, problem: str) -> None:
    assert complaint(disk({0: sector})) == problem


EXTENDED_TABLE = table(entry(0, EXTENDED, 2048, 16384))


@pytest.mark.parametrize(
    ("ebrs", "problem"),
    [
        ({2048: table(b"\0" * 16, entry(0, EXTENDED, 0, 64))}, "loops: its table at sector 2048 comes twice"),
        (
            {2048: table(b"\0" * 16, entry(0, EXTENDED, 64, 64)), 2112: table(b"\0" * 16, entry(0, EXTENDED, 0, 64))},
            "loops: its table at sector 2048 comes twice",
        ),
        (
            {
                2048 + step: table(b"\0" * 16, entry(0, EXTENDED, step + 1, 1)) if step < 999 else table()
                for step in range(1000)
            },
            "has more than 128 tables",
        ),
        ({2048: table(b"\0" * 16, entry(0, EXTENDED, 16384, 1))}, "leads to sector 18432, outside of the extended"),
        ({2048: table(b"\0" * 16, entry(0, LINUX, 64, 1))}, "has type 0x83 and leads to no further table"),
        ({2048: table(entry(0, LINUX, 64, 16384))}, "Logical partition 5 (sectors 2112 to 18496) does not lie inside"),
        ({2048: table(entry(0, LINUX, 0, 64))}, "Logical partition 5 (sectors 2048 to 2112) does not lie inside"),
        ({2048: table(entry(0, EXTENDED, 64, 64))}, "logical partition 5 holds a nested extended partition"),
        ({2048: table(*[b"\0" * 16] * 2, entry(0, LINUX, 64, 64))}, "Entries 3 and 4 of the logical partition table"),
        ({2048: table(entry(0, LINUX, 64, 0))}, "has type 0x83, but no sectors"),
        (
            {
                2048: table(entry(0, LINUX, 8, 100), entry(0, EXTENDED, 64, 64)),
                2112: table(entry(0, LINUX, 64, 64)),
            },
            "Logical partition 5 covers the table at sector 2112",
        ),
        (
            {
                2048: table(entry(0, LINUX, 100, 100), entry(0, EXTENDED, 64, 64)),
                2112: table(entry(0, LINUX, 64, 64)),
            },
            "Partitions 5 and 6 overlap",
        ),
    ],
)
def test_unsound_chains_of_logical_partitions_are_refused(ebrs: dict[int, bytes], problem: str) -> None:
    assert problem in complaint(disk({0: EXTENDED_TABLE, **ebrs}))


def test_a_partition_inside_the_extended_one_is_refused() -> None:
    medium = disk(
        {0: table(entry(0, EXTENDED, 2048, 16384), entry(0, LINUX, 4096, 64)), 2048: table(entry(0, LINUX, 64, 64))}
    )
    assert "overlap" in complaint(medium)


def test_a_disk_smaller_than_a_sector_is_refused() -> None:
    assert "beyond the end of the disk" in complaint(MemoryDisk(bytearray(100)))


field = st.one_of(st.sampled_from([0, 1, 63, 64, 2048, 4096, 0xFFFF_FFFF]), st.integers(0, 0xFFFF_FFFF))
entries = st.builds(
    entry, st.sampled_from([0, 0, 0x80, 1]), st.sampled_from([0, 5, 0xF, 0x83, 0xDA, 0xEE]), field, field
)
tables = st.lists(entries, max_size=4).map(lambda found: table(*found))


@given(first=tables, second=tables, third=tables)
def test_any_table_is_read_or_refused_by_name(first: bytes, second: bytes, third: bytes) -> None:
    medium = disk({0: first, 2048: second, 4096: third}, size=4 * MIB)
    try:
        found = read_partition_table(medium, 512)
    except PartitionTableInvalid:
        return
    solid = sorted((one for one in found.partitions if not one.extended), key=lambda one: one.first_lba)
    assert all(one.end_lba <= other.first_lba for one, other in pairwise(solid))
    assert all(0 < one.first_lba < one.end_lba <= medium.size // 512 for one in solid)
    assert sum(one.active for one in found.partitions) <= 1
