"""Is the loader's file what other loaders want: by their own readers, by its sizes, and with its payload in it?"""

import struct
import subprocess
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import pytest
from elftools.elf.elffile import ELFFile

from bootslang import Bundle, Loader, verify
from bootslang.doors import Relocation, read_doors
from bootslang.errors import UsageError
from bootslang.image import format as disk
from bootslang.rocket import PVH_ENTRY, SEALED_SIZE, loader, loader_image
from support.disks import elf_kernel

WITHOUT_CODECS_MOST = 64 << 10
"""What the file may have in bytes, without codecs and payload."""
MULTIBOOT1 = struct.pack("<I", 0x1BAD_B002)
BITS = pytest.mark.parametrize("bits", [32, 64])


def grub_says(path: Path, kind: str) -> bool:
    """What GRUB's own reader of headers says."""
    return subprocess.run(["grub-file", f"--is-x86-{kind}", path], check=False).returncode == 0


def built(path: Path, **options: Any) -> bytes:
    Loader(**options).build(path)
    return path.read_bytes()


@pytest.fixture
def kernel(tmp_path: Path) -> Path:
    path = tmp_path / "vmlinux"
    path.write_bytes(elf_kernel(300_000))
    return path


@BITS
def test_grub_finds_multiboot_2_in_both_and_multiboot_1_in_the_elf32(tmp_path: Path, bits: Literal[32, 64]) -> None:
    path = tmp_path / "loader"
    file = built(path, elf32=bits == 32)
    assert grub_says(path, "multiboot2")
    assert grub_says(path, "multiboot") == (bits == 32)
    assert (MULTIBOOT1 in file[:8192]) == (bits == 32)
    assert ELFFile(BytesIO(file)).elfclass == bits


@BITS
def test_it_can_be_moved_anywhere_below_4_gib(tmp_path: Path, bits: Literal[32, 64]) -> None:
    path = tmp_path / "loader"
    anywhere = Relocation(0x10_0000, 0xFFFF_FFFF, 0x1000)
    report = Loader(elf32=bits == 32).build(path)
    doors = read_doors(path.read_bytes())
    assert (doors.multiboot2_relocation, doors.pvh_relocation) == (anywhere, anywhere)
    assert doors.pvh_entry == loader_image().symbols[PVH_ENTRY]
    assert doors.names == report.doors == ((("Multiboot 1",) if bits == 32 else ()) + ("Multiboot 2", "PVH"))


@BITS
def test_readers_of_elf_have_nothing_to_say_but_that_they_do_not_know_xen(
    tmp_path: Path, bits: Literal[32, 64]
) -> None:
    built(tmp_path / "loader", elf32=bits == 32)
    read = subprocess.run(["readelf", "--all", "--wide", tmp_path / "loader"], capture_output=True, check=True)
    assert read.stderr == b""
    assert b"Warning" not in read.stdout
    lint = subprocess.run(["eu-elflint", "--gnu-ld", tmp_path / "loader"], capture_output=True, text=True, check=False)
    notes = [f"unknown object file note type {kind} with owner name 'Xen'" for kind in (18, 19)]
    assert [note in line for note, line in zip(notes, lint.stdout.splitlines(), strict=True)] == [True, True]


def test_it_is_small_enough() -> None:
    assert len(loader(bits=32, codecs=()).file) <= WITHOUT_CODECS_MOST
    assert len(loader(bits=64, codecs=()).file) <= WITHOUT_CODECS_MOST


@BITS
@pytest.mark.parametrize("codec", ["none", "bzip2"])
def test_what_is_sealed_in_is_the_bundle_in_a_segment_of_its_own(
    tmp_path: Path, kernel: Path, bits: Literal[32, 64], codec: str
) -> None:
    options: dict[str, Any] = {"kernel": kernel, "initrds": [kernel], "command_line": "quiet", "codec": codec}
    report = Loader(elf32=bits == 32, **options).build(tmp_path / "sealed")
    bundle = Bundle(**options).build(tmp_path / "bundle")
    file = (tmp_path / "sealed").read_bytes()
    elf = ELFFile(BytesIO(file))
    *loads, last = elf.iter_segments("PT_LOAD")
    assert last.data() == (tmp_path / "bundle").read_bytes()
    assert verify(tmp_path / "bundle") == []
    assert (last["p_flags"], last["p_vaddr"] % 4096, last["p_offset"] % 4096) == (4, 0, 0)
    assert last["p_vaddr"] == loads[-1]["p_vaddr"] + loads[-1]["p_memsz"]  # which is where the loader looks
    image = loader_image(codecs=[codec])
    place = image.symbols[SEALED_SIZE] - image.base
    assert struct.unpack_from("<Q", file, place) == (bundle.size,)
    assert (report.size, report.blobs) == (len(file), bundle.blobs)
    assert len(file) == report.loader.size + bundle.size
    assert len(file) % disk.ALIGNMENT == 0


def test_the_same_inputs_give_the_same_bytes(tmp_path: Path, kernel: Path) -> None:
    assert built(tmp_path / "1") == built(tmp_path / "2")
    assert built(tmp_path / "1", kernel=kernel) == built(tmp_path / "2", kernel=kernel)


@pytest.mark.parametrize(
    ("options", "what"), [({"initrds": ["initrd.gz"]}, "an initrd"), ({"command_line": "quiet"}, "a command line")]
)
def test_what_belongs_to_a_kernel_is_not_sealed_in_without_one(
    tmp_path: Path, options: dict[str, Any], what: str
) -> None:
    with pytest.raises(UsageError) as caught:
        Loader(**options).build(tmp_path / "loader")
    assert str(caught.value) == (
        f"The loader cannot have {what} sealed in without a kernel.\n"
        "Name the kernel as well, or hand them over as modules when the loader is started."
    )
    assert list(tmp_path.iterdir()) == []
