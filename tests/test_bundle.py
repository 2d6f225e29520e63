"""Does a bundle hold what it was made of, is it the same every time, and is damage found?"""

from pathlib import Path

import pytest

from bootslang import Bundle, Image, verify
from bootslang.errors import KernelInvalid, TargetRefused
from bootslang.image import format as disk
from bootslang.image.codecs import unpack_chunk
from bootslang.kernel import Kernel
from support.disks import elf_kernel

INITRD = b"initrd " * 300_000


@pytest.fixture
def kernel(tmp_path: Path) -> Path:
    path = tmp_path / "vmlinux"
    path.write_bytes(elf_kernel(300_000))
    return path


@pytest.fixture
def initrd(tmp_path: Path) -> Path:
    path = tmp_path / "initrd.gz"
    path.write_bytes(INITRD)
    return path


def blobs(bundle: bytes) -> list[tuple[int, bytes]]:
    """Kind and unpacked bytes of every blob."""
    start, end = disk.BUNDLE_DATA_OFFSET, len(bundle)
    manifest = disk.Manifest.decode(bundle[:start], end, start=start)
    found = []
    for blob in manifest.blobs:
        chunks = blob.decode_table(bundle[blob.table : blob.table + blob.table_bytes], end, start=start)
        packed = [bundle[chunk.offset : chunk.offset + chunk.packed] for chunk in chunks]
        unpacked = [unpack_chunk(one.codec, data, one.unpacked) for one, data in zip(chunks, packed, strict=True)]
        assert [disk.xxh64(data) for data in packed] == [chunk.checksum for chunk in chunks]
        found.append((blob.kind, b"".join(unpacked)))
        assert disk.xxh64(found[-1][1]) == blob.checksum
    return found


@pytest.mark.parametrize("codec", ["none", "bzip2"])
def test_a_bundle_holds_what_a_disk_would(tmp_path: Path, kernel: Path, initrd: Path, codec: str) -> None:
    path = tmp_path / "linux.bundle"
    report = Bundle(kernel=kernel, initrds=[initrd, initrd], command_line="quiet", codec=codec).build(path)
    data = path.read_bytes()
    assert blobs(data) == [
        (disk.KERNEL_ELF, b"".join(Kernel.read(kernel).pieces())),
        (disk.INITRD, INITRD),
        (disk.INITRD, INITRD),
        (disk.COMMAND_LINE, b"quiet"),
    ]
    assert len(data) == report.size
    assert next(report.lines()) == f"{path}: bundle, {report.size} bytes"
    on_disk = Image(kernel=kernel, initrds=[initrd, initrd], command_line="quiet", codec=codec)
    assert report.blobs == on_disk.build(tmp_path / "disk.img").blobs
    assert verify(path) == []


def test_the_same_inputs_give_the_same_bytes_and_replace_what_was_there(tmp_path: Path, kernel: Path) -> None:
    one, other = tmp_path / "1", tmp_path / "2"
    other.write_bytes(b"something longer" * 100_000)
    for path in (one, other):
        Bundle(kernel=kernel, codec="bzip2").build(path)
    assert one.read_bytes() == other.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "2", "vmlinux"]


def test_progress_goes_to_the_end_twice(tmp_path: Path, kernel: Path, initrd: Path) -> None:
    told: list[tuple[str, int, int]] = []
    Bundle(kernel=kernel, initrds=[initrd]).build(tmp_path / "b", lambda *now: told.append(now))
    total = Kernel.read(kernel).blob_bytes + len(INITRD)
    assert [now for now in told if now[1] == now[2]] == [("pack", total, total), ("write", total, total)]


@pytest.mark.parametrize("place", [0x20, disk.BUNDLE_DATA_OFFSET + 3, -5000])
def test_verify_finds_a_byte_that_changed(tmp_path: Path, kernel: Path, place: int) -> None:
    path = tmp_path / "damaged"
    Bundle(kernel=kernel).build(path)
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    assert [finding.where for finding in verify(path)] == ["manifest" if place == 0x20 else "kernel (ELF) (blob 0)"]


@pytest.mark.parametrize("length", [8, 100, disk.BUNDLE_DATA_OFFSET])
def test_verify_finds_that_the_end_is_missing(tmp_path: Path, kernel: Path, length: int) -> None:
    path = tmp_path / "short"
    Bundle(kernel=kernel).build(path)
    path.write_bytes(path.read_bytes()[:length])
    assert [finding.where for finding in verify(path)] == ["manifest"]


def test_what_cannot_be_is_refused_and_leaves_nothing(tmp_path: Path, kernel: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(TargetRefused, match="folder is a directory"):
        Bundle(kernel=kernel).build(tmp_path / "folder")
    (tmp_path / "text").write_text("no kernel")
    with pytest.raises(KernelInvalid):
        Bundle(kernel=tmp_path / "text").build(tmp_path / "b")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "text", "vmlinux"]
