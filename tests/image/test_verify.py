"""Does `verify` find every kind of damage, and `inspect` show a damaged disk all the same?"""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bootslang.errors import BootslangError, ImageInvalid, PartitionTableInvalid
from bootslang.image import Image, inspect, verify
from bootslang.image import format as disk
from support.disks import MIB

START = MIB


@pytest.fixture
def image(tmp_path: Path, kernel: Path, initrd: Path) -> Path:
    """Two generations, the second packed."""
    path = tmp_path / "disk.img"
    Image(kernel=kernel, initrds=[initrd], command_line="one").build(path)
    Image(kernel=kernel, initrds=[initrd], command_line="two", codec="bzip2").build(path)
    assert verify(path) == []
    return path


def flip(image: Path, offset: int) -> None:
    with image.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 0x10]))


def findings(image: Path) -> list[str]:
    return [str(finding) for finding in verify(image)]


def test_damage_in_the_loader_is_found(image: Path) -> None:
    flip(image, START + 200)
    flip(image, START + disk.LOADER_SLOT_BYTES + 0x5000)
    first, second = findings(image)
    assert first.startswith("loader slot A: loader header: sum at +8")
    assert second == "loader slot B: stage 4 (64-bit) at 0x5000 of the loader slot: its checksum is wrong"


def test_damage_in_a_manifest_is_found(image: Path) -> None:
    flip(image, START + disk.MANIFEST_OFFSET + 100)
    (finding,) = findings(image)
    assert finding.startswith("manifest 0: manifest: checksum at +8")
    node = inspect(image)
    assert node.boot is not None
    assert node.boot.boots == 2
    assert node.boot.manifests[0].problem.startswith("manifest: checksum")


def test_damage_in_any_blob_is_found(image: Path) -> None:
    node = inspect(image)
    assert node.boot is not None
    for manifest in node.boot.manifests:
        for index, blob in enumerate(manifest.blobs):
            chunk = blob.chunks[-1]
            place = START + chunk.offset + chunk.packed - 1
            flip(image, place)
            (finding,) = findings(image)
            assert finding == (
                f"generation {manifest.sequence}, {blob.kind} (blob {index}): "
                f"chunk {len(blob.chunks) - 1} at {chunk.offset:#x}: its checksum is wrong"
            )
            flip(image, place)
            flip(image, START + blob.table)
            (finding,) = findings(image)
            assert f"chunk table at {blob.table:#x}: its checksum is wrong" in finding
            flip(image, START + blob.table)
    assert findings(image) == []


def test_a_whole_that_is_not_the_sum_of_its_chunks_is_found(image: Path) -> None:
    offset = START + disk.MANIFEST_OFFSET
    with image.open("r+b") as file:
        file.seek(offset)
        data = bytearray(file.read(disk.MANIFEST_SLOT_BYTES))
        data[disk.MANIFEST_LAYOUT.size + disk.BLOB_LAYOUT.offset("checksum")] ^= 1
        data[disk.Manifest.CHECKSUM] = bytes(8)
        size = int.from_bytes(data[16:20], "little")
        data[disk.Manifest.CHECKSUM] = disk.xxh64(data[:size]).to_bytes(8, "little")
        file.seek(offset)
        file.write(data)
    assert findings(image) == ["generation 1, kernel (ELF) (blob 0): the checksum of the unpacked whole is wrong"]


def test_a_chunk_that_does_not_unpack_is_found(image: Path) -> None:
    """The sums are right and the codec's bytes are wrong, as a tool with a mistake would write them."""
    node = inspect(image)
    assert node.boot is not None
    manifest = node.boot.manifests[1]
    blob = manifest.blobs[1]
    chunk = blob.chunks[0]
    with image.open("r+b") as file:
        rubbish = Random(1).randbytes(chunk.packed)
        file.seek(START + chunk.offset)
        file.write(rubbish)
        file.seek(START + blob.table)
        table = bytearray(file.read(len(blob.chunks) * disk.CHUNK_LAYOUT.size))
        table[16:24] = disk.xxh64(rubbish).to_bytes(8, "little")
        file.seek(START + blob.table)
        file.write(table)
        file.seek(START + manifest.offset)
        found = disk.Manifest.decode(file.read(disk.MANIFEST_SLOT_BYTES), 1 << 40)
        blobs = [
            replace(one, table_checksum=disk.xxh64(table)) if one.table == blob.table else one for one in found.blobs
        ]
        file.seek(START + manifest.offset)
        file.write(replace(found, blobs=tuple(blobs)).encode())
    assert findings(image) == [
        f"generation 2, initrd (blob 1): chunk 0 at {chunk.offset:#x}: bzip2: Invalid data stream"
    ]


def test_a_missing_boot_code_is_found(image: Path) -> None:
    with image.open("r+b") as file:
        file.write(bytes(440))
    assert findings(image) == ["sector 0: there is no boot code"]


def test_an_empty_boot_partition_is_no_sound_one(image: Path) -> None:
    with image.open("r+b") as file:
        file.seek(START)
        file.write(bytes(disk.DATA_OFFSET))
    assert [finding.where for finding in verify(image)] == ["loader slot A", "loader slot B", "manifests"]
    node = inspect(image)
    assert node.boot is not None
    assert node.boot.boots is None
    assert [manifest.problem for manifest in node.boot.manifests] == ["empty", "empty"]


def test_a_partition_that_was_resized_is_found(image: Path) -> None:
    with image.open("r+b") as file:
        file.seek(446 + 12)
        sectors = int.from_bytes(file.read(4), "little")
        file.seek(446 + 12)
        file.write((sectors - 8).to_bytes(4, "little"))
    size = sectors * 512
    assert findings(image)[0] == f"loader slot A: made for a partition of {size} bytes, this one has {size - 4096}"


def test_damage_in_the_partition_table_is_found(image: Path) -> None:
    flip(image, 510)
    assert findings(image) == [
        "partition table: There is no partition table: sector 0 ends with 45 aa instead of 55 aa."
    ]
    with pytest.raises(PartitionTableInvalid):
        inspect(image)


def test_a_disk_that_boots_nothing_is_shown(image: Path) -> None:
    with image.open("r+b") as file:
        file.seek(446)
        file.write(b"\0")
    node = inspect(image)
    assert node.boot is None
    assert node.problem == "The disk has no active partition."
    assert findings(image) == ["partition table: The disk has no active partition."]


@pytest.mark.parametrize("look", [inspect, verify])
def test_what_cannot_be_read_is_named(tmp_path: Path, look: Callable[[Path], object]) -> None:
    for path in (tmp_path / "missing", tmp_path):
        with pytest.raises(ImageInvalid, match=str(path)):
            look(path)


def test_inspect_is_json(image: Path) -> None:
    told = json.loads(inspect(image).to_json())
    assert told["boot"]["boots"] == 2
    assert told["disk_signature"] == f"{inspect(image).disk_signature:#010x}"
    assert re.fullmatch("0x[0-9a-f]{16}", told["boot"]["manifests"][0]["blobs"][0]["checksum"])
    assert [stage["name"] for stage in told["boot"]["loader_slots"][0]["stages"]] == [
        "stage 2",
        "stage 3",
        "stage 4 (64-bit)",
    ]
    assert told["boot"]["manifests"][1]["blobs"][2]["text"] == "two"
    assert {chunk["codec"] for chunk in told["boot"]["manifests"][1]["blobs"][1]["chunks"]} == {"bzip2"}
    places = {place["what"]: place for place in told["boot"]["memory"]}
    assert places["kernel"]["start"] == 0x100_0000
    assert places["stage 2"]["start"] == 0x8000
    assert not places["kernel"]["fixed"]
    assert "initrd, at most" in places


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(seed=st.integers(0, 1 << 32), count=st.integers(1, 40), width=st.integers(1, 600))
def test_rubbish_anywhere_ends_in_findings_or_named_errors(image: Path, seed: int, count: int, width: int) -> None:
    good = image.read_bytes()
    random = Random(seed)
    with image.open("r+b") as file:
        for _ in range(count):
            area = random.choice([512, START + 600, START + disk.DATA_OFFSET + 0x8000])
            file.seek(max(0, area - random.randrange(1, 1200)))
            file.write(random.randbytes(width))
    try:
        verify(image)
        inspect(image)
    except BootslangError:
        pass
    finally:
        image.write_bytes(good)
