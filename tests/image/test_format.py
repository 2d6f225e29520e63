"""Do the host and the machine mean the same bytes, and does only what is sound decode?"""

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bootslang.boot import disk as machine
from bootslang.boot import layout
from bootslang.errors import FormatInvalid
from bootslang.image import format as disk
from bootslang.image import loader
from bootslang.slang import Struct, offsetof, sizeof

ROOM = 64 << 20

TWINS = [
    (disk.STAGE_LAYOUT, machine.StageRecord),
    (disk.LOADER_LAYOUT, machine.LoaderHeader),
    (disk.CHUNK_LAYOUT, machine.ChunkRecord),
    (disk.BLOB_LAYOUT, machine.BlobRecord),
]


@pytest.mark.parametrize(("ours", "theirs"), TWINS)
def test_the_structures_are_those_of_the_machine(ours: disk.Layout, theirs: type[Struct]) -> None:
    assert ours.size == sizeof(theirs)
    assert {name: ours.offset(name) for name in ours.fields} == {name: offsetof(theirs, name) for name in ours.fields}


def test_the_manifest_is_that_of_the_machine() -> None:
    fields = disk.MANIFEST_LAYOUT.fields
    assert {name: disk.MANIFEST_LAYOUT.offset(name) for name in fields} == {
        name: offsetof(machine.Manifest, name) for name in fields
    }
    assert disk.MANIFEST_LAYOUT.size == offsetof(machine.Manifest, "blobs")
    assert sizeof(machine.Manifest) == disk.MANIFEST_LAYOUT.size + disk.MAX_BLOBS * disk.BLOB_LAYOUT.size
    assert sizeof(machine.Manifest) <= disk.MANIFEST_SLOT_BYTES


def test_the_constants_are_those_of_the_machine() -> None:
    shared = {name for name in vars(disk) if name.isupper()} & {name for name in vars(machine) if name.isupper()}
    assert {name: vars(disk)[name] for name in shared} == {name: vars(machine)[name] for name in shared}
    assert {name for name in vars(machine) if name.isupper()} <= shared
    assert (loader.BOOT_SECTOR, loader.STAGE2) == (layout.BOOT_SECTOR, layout.STAGE2)
    assert layout.STAGE2_END - layout.STAGE2 == loader.STAGE2_READ_BYTES
    assert layout.STAGE3_END - layout.STAGE3 == loader.STAGE3_ROOM
    assert layout.STAGE4_END - layout.STAGE4 == loader.STAGE4_ROOM


def test_the_rotating_sum_rotates() -> None:
    assert disk.rotating_sum(b"") == 0
    assert disk.rotating_sum((0x8000_0000).to_bytes(4, "little") + bytes(4)) == 1
    assert disk.rotating_sum(b"\x01\0\0\0\x02\0\0\0") == 4


def blob(kind: int, *, size: int = 5000, table: int = disk.DATA_OFFSET, chunks: int = 1) -> disk.BlobRecord:
    return disk.BlobRecord(kind=kind, size=size, checksum=7, table=table, table_checksum=9, chunks=chunks)


MANIFEST = disk.Manifest(5, (blob(disk.KERNEL_ELF), blob(disk.INITRD), blob(disk.COMMAND_LINE)))


def sealed(data: bytes) -> bytes:
    """The manifest with its checksum mended."""
    patched = bytearray(data)
    patched[disk.Manifest.CHECKSUM] = bytes(8)
    size = int.from_bytes(patched[16:20], "little")
    patched[disk.Manifest.CHECKSUM] = disk.xxh64(patched[:size]).to_bytes(8, "little")
    return bytes(patched)


def complaint(slot: bytes) -> str:
    with pytest.raises(FormatInvalid) as caught:
        disk.Manifest.decode(slot, ROOM)
    return caught.value.message


def test_a_manifest_reads_as_it_was_written() -> None:
    slot = MANIFEST.encode().ljust(disk.MANIFEST_SLOT_BYTES, b"\xaa")
    assert disk.Manifest.decode(slot, ROOM) == MANIFEST


def test_the_flags_of_a_handoff_kernel_and_names_read_as_they_were_written() -> None:
    kernel = replace(blob(disk.KERNEL_HANDOFF), flags=disk.BLOB_ALLOW_WX | disk.BLOB_RANDOMISE)
    manifest = disk.Manifest(1, (kernel, replace(blob(disk.INITRD), name=b"modules.cpio")))
    assert disk.Manifest.decode(manifest.encode(), ROOM) == manifest


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("initrd.gz", b"initrd.gz"),
        ("initramfs.cpio.gz.old", b"initramfs.cpio.gz.ol"),
        ("nineteen letters:: \N{SNOWMAN}", b"nineteen letters:: "),
        ("\udcff", b"?"),
    ],
)
def test_of_a_long_name_whole_characters_are_kept(name: str, kept: bytes) -> None:
    assert disk.short_name(name) == kept


def test_every_flipped_bit_of_a_manifest_is_found() -> None:
    good = MANIFEST.encode()
    for bit in range(len(good) * 8):
        bad = bytearray(good)
        bad[bit // 8] ^= 1 << bit % 8
        with pytest.raises(FormatInvalid):
            disk.Manifest.decode(bytes(bad), ROOM)


@pytest.mark.parametrize(
    ("manifest", "problem"),
    [
        (disk.Manifest(1, ()), "manifest: blob_count at +32 (0x0) is not 1 to 48"),
        (disk.Manifest(1, (blob(disk.INITRD),)), "manifest: it has 0 kernels instead of one"),
        (disk.Manifest(1, (blob(1), blob(2))), "manifest: it has 2 kernels instead of one"),
        (disk.Manifest(1, (blob(1), blob(4), blob(4))), "manifest: it has 2 command lines"),
        (disk.Manifest(1, (blob(9),)), "blob record at 0x40: kind at +0 (0x9) is unknown"),
        (disk.Manifest(1, (replace(blob(1), flags=1),)), "blob record at 0x40: flags at +4 (0x1) has unknown bits"),
        (disk.Manifest(1, (replace(blob(5), flags=4),)), "blob record at 0x40: flags at +4 (0x4) has unknown bits"),
        (disk.Manifest(1, (blob(1, size=0),)), "blob record at 0x40: size at +8 (0x0) is zero"),
        (disk.Manifest(1, (blob(1, chunks=0),)), "blob record at 0x40: chunks at +40 (0x0) is no number of chunks"),
        (
            disk.Manifest(1, (blob(1, chunks=disk.MAX_CHUNKS + 1),)),
            "blob record at 0x40: chunks at +40 (0x80001) is no number of chunks",
        ),
        (
            disk.Manifest(1, (blob(1, size=disk.CHUNK_BYTES + 1),)),
            "blob record at 0x40: chunks at +40 (0x1) is too small for the size",
        ),
        (disk.Manifest(1, (blob(1, table=0x90010),)), "blob record at 0x40: table at +24 (0x90010) is not aligned"),
        (
            disk.Manifest(1, (blob(1, table=0x8F000),)),
            "blob record at 0x40: table at +24 (0x8f000) lies before the data area",
        ),
        (
            disk.Manifest(1, (blob(1, table=ROOM),)),
            "blob record at 0x40: table at +24 (0x4000000) leads beyond the partition",
        ),
        (
            disk.Manifest(1, (blob(1, table=0xFFFF_FFFF_FFFF_F000),)),
            "blob record at 0x40: table at +24 (0xfffffffffffff000) leads beyond the partition",
        ),
        (
            disk.Manifest(1, (blob(1),), signature=ROOM, signature_size=64),
            "manifest: signature at +40 (0x4000000) leads beyond the partition",
        ),
    ],
)
def test_unsound_manifests_say_what_and_where(manifest: disk.Manifest, problem: str) -> None:
    assert complaint(manifest.encode()) == problem


def test_a_manifest_of_another_version_or_size_is_none() -> None:
    good = MANIFEST.encode()
    assert "version at +20 (0x2) should be 0x1" in complaint(sealed(good[:20] + b"\x02" + good[21:]))
    assert "size at +16 (0xff) should be 0x100" in complaint(sealed(good[:16] + b"\xff\0" + good[18:]))
    assert complaint(good[:30]) == "manifest: 30 bytes are too few"
    assert "leads beyond the slot" in complaint(good[:200])


def chunk(offset: int = 0xA0000, packed: int = 100, unpacked: int = 100, codec: int = 0) -> disk.ChunkRecord:
    return disk.ChunkRecord(offset, packed, unpacked, 1, codec)


def with_table(*chunks: disk.ChunkRecord, size: int | None = None) -> tuple[disk.BlobRecord, bytes]:
    table = disk.encode_table(chunks)
    total = sum(one.unpacked for one in chunks) if size is None else size
    return disk.BlobRecord(1, total, 0, disk.DATA_OFFSET, disk.xxh64(table), len(chunks)), table


def test_a_chunk_table_reads_as_it_was_written() -> None:
    chunks = (chunk(), chunk(0xA1000, 50, 100, 1))
    record, table = with_table(*chunks)
    assert record.decode_table(table, ROOM) == chunks


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        (chunk(packed=0), "chunk record at 0x90000: packed at +8 (0x0) is no chunk's size"),
        (chunk(packed=0x100001, unpacked=0x100001), "packed at +8 (0x100001) is no chunk's size"),
        (chunk(unpacked=99), "unpacked at +12 (0x63) is no chunk's size"),
        (chunk(unpacked=0x100001, codec=1), "unpacked at +12 (0x100001) is no chunk's size"),
        (chunk(unpacked=101), "packed at +8 (0x64) differs from the unpacked size without a codec"),
        (chunk(codec=77), "codec at +24 (0x4d) is unknown"),
        (chunk(offset=0xA0001), "offset at +0 (0xa0001) is not aligned"),
        (chunk(offset=0), "offset at +0 (0x0) lies before the data area"),
        (chunk(offset=ROOM), "offset at +0 (0x4000000) leads beyond the partition"),
    ],
)
def test_unsound_chunks_say_what_and_where(bad: disk.ChunkRecord, problem: str) -> None:
    record, table = with_table(bad)
    with pytest.raises(FormatInvalid, match=r"chunk record at 0x90000") as caught:
        record.decode_table(table, ROOM)
    assert problem in caught.value.message


def test_a_table_has_to_match_its_blob() -> None:
    record, table = with_table(chunk(), size=99)
    with pytest.raises(FormatInvalid, match="its chunks have 100 bytes, the blob 99"):
        record.decode_table(table, ROOM)
    with pytest.raises(FormatInvalid, match="its checksum is wrong"):
        record.decode_table(bytes(len(table)), ROOM)


HEADER = disk.LoaderHeader(
    size=4096,
    sector_size=512,
    partition_bytes=ROOM,
    stages=(disk.StageRecord(0x1000, 60, 100, 0x10000, 200, 5), disk.StageRecord(), disk.StageRecord()),
    flags=disk.FLAG_VERBOSE,
    framebuffer=(1024, 768, 32),
)


def test_a_loader_header_reads_as_it_was_sealed() -> None:
    stage2 = bytes(128) + Random(1).randbytes(3900)
    slot = HEADER.seal(stage2)
    assert len(slot) == 4096
    assert slot[128:4028] == stage2[128:]
    assert replace(disk.LoaderHeader.decode(slot), sum=0) == HEADER


def test_every_flipped_bit_of_stage_2_is_found() -> None:
    slot = HEADER.seal(bytes(4000))
    random = Random(2)
    for place in (*range(128), *(random.randrange(128, 4096) for _ in range(200))):
        bad = bytearray(slot)
        bad[place] ^= 1 << random.randrange(8)
        with pytest.raises(FormatInvalid):
            disk.LoaderHeader.decode(bytes(bad))


@pytest.mark.parametrize(
    ("record", "problem"),
    [
        (disk.StageRecord(0x1001, 1, 1, 0, 1, 0), "offset at +0 (0x1001) is not aligned"),
        (disk.StageRecord(0, 1, 1, 0, 1, 0), "offset at +0 (0x0) lies in stage 2"),
        (
            disk.StageRecord(0x1000, 0x40000, 0x40000, 0, 0x40000, 0),
            "packed at +4 (0x40000) leads beyond the loader slot",
        ),
        (disk.StageRecord(0x1000, 60, 100, 0, 99, 0), "memory at +16 (0x63) is less than the size"),
    ],
)
def test_unsound_stage_records_say_what_and_where(record: disk.StageRecord, problem: str) -> None:
    slot = replace(HEADER, stages=(disk.StageRecord(), record, disk.StageRecord())).seal(bytes(4000))
    with pytest.raises(FormatInvalid) as caught:
        disk.LoaderHeader.decode(slot)
    assert caught.value.message == f"stage record at 0x44: {problem}"


@given(st.binary(max_size=400))
def test_rubbish_is_no_manifest(data: bytes) -> None:
    with pytest.raises(FormatInvalid):
        disk.Manifest.decode(data, ROOM)


@given(place=st.integers(20, len(MANIFEST.encode()) - 1), patch=st.binary(min_size=1, max_size=24))
def test_a_patched_manifest_decodes_soundly_or_is_refused_by_name(place: int, patch: bytes) -> None:
    good = MANIFEST.encode()
    bad = sealed((good[:place] + patch + good[place + len(patch) :])[: len(good)])
    try:
        found = disk.Manifest.decode(bad, ROOM)
    except FormatInvalid:
        return
    assert all(one.table >= disk.DATA_OFFSET and one.table + one.table_bytes <= ROOM for one in found.blobs)


@given(place=st.integers(0, 63), patch=st.binary(min_size=1, max_size=24))
def test_a_patched_chunk_table_decodes_soundly_or_is_refused_by_name(place: int, patch: bytes) -> None:
    record, good = with_table(chunk(), chunk(0xA1000, 50, 100, 1))
    bad = (good[:place] + patch + good[place + len(patch) :])[: len(good)]
    try:
        found = replace(record, table_checksum=disk.xxh64(bad)).decode_table(bad, ROOM)
    except FormatInvalid:
        return
    assert all(one.offset >= disk.DATA_OFFSET and one.offset + one.packed <= ROOM for one in found)
    assert sum(one.unpacked for one in found) == record.size
