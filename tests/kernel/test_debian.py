"""Are Debian's kernels read as binutils and their own headers describe them?"""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from bootslang.errors import ToolMissing
from bootslang.kernel import Kernel, KernelKind
from bootslang.kernel.debian import modules
from bootslang.kernel.payload import vmlinux
from support.kernels import (
    cloud_kernel,
    cloud_modules,
    cloud_vmlinux,
    i386_kernel,
    i386_modules,
    i386_vmlinux,
)

RIGHTS = {"R": 4, "W": 2, "E": 1}
ELF_KERNELS = pytest.mark.parametrize("path", [cloud_vmlinux, i386_vmlinux], ids=["amd64", "i386"])


def readelf(path: Path) -> tuple[int, list[tuple[int, ...]]]:
    """The entry and the PT_LOADs: offset, virtual, physical, bytes in file, in memory, rights, alignment."""
    text = subprocess.run(["readelf", "-lW", path], capture_output=True, check=True, text=True).stdout
    entry = re.search(r"Entry point (0x[0-9a-f]+)", text)
    assert entry
    numbers = r" +(0x[0-9a-f]+)" * 5
    rows = re.findall(rf"LOAD{numbers} ([RWE ]{{3}}) (0x[0-9a-f]+)", text)
    loads = []
    for *places, rights, align in rows:
        flags = sum(RIGHTS[letter] for letter in rights.replace(" ", ""))
        loads.append((*(int(place, 16) for place in places), flags, int(align, 16)))
    return int(entry[1], 16), loads


@ELF_KERNELS
def test_segments_are_those_that_readelf_sees(path: Callable[[], Path]) -> None:
    kernel = Kernel.read(path())
    entry, rows = readelf(path())
    assert kernel.entry == entry
    assert rows == [
        (part.offset, part.virtual, part.physical, part.file_bytes, part.memory_bytes, part.flags, part.align)
        for part in kernel.segments
    ]


@ELF_KERNELS
def test_the_blob_is_a_kernel_to_readelf_too(path: Callable[[], Path], tmp_path: Path) -> None:
    """Does somebody else's reader find the same segments in the compacted file, with the same contents?"""
    kernel = Kernel.read(path())
    blob = tmp_path / "blob"
    blob.write_bytes(b"".join(kernel.pieces()))
    assert blob.stat().st_size == kernel.blob_bytes < kernel.file.size
    entry, rows = readelf(blob)
    before_entry, before = readelf(path())
    assert entry == before_entry
    assert [row[1:] for row in rows] == [row[1:] for row in before]
    with blob.open("rb") as new, path().open("rb") as old:
        for after, former in zip(rows, before, strict=True):
            new.seek(after[0])
            old.seek(former[0])
            assert new.read(after[3]) == old.read(former[3])
    warnings = subprocess.run(["readelf", "-hlnW", blob], capture_output=True, check=True, text=True)
    assert warnings.stderr == ""
    assert "Linux" in warnings.stdout, "the note with the kernel's version"


def test_the_cloud_kernel() -> None:
    kernel = Kernel.read(cloud_kernel())
    assert (kernel.kind, kernel.bits, kernel.limits.command_line_bytes) == (KernelKind.BZIMAGE, 64, 2047)
    assert "cloud-amd64" in kernel.version
    assert kernel.setup is not None
    assert kernel.setup.relocatable
    assert kernel.setup.above_4g
    unpacked = Kernel.read(cloud_vmlinux())
    assert (unpacked.kind, unpacked.bits) == (KernelKind.ELF64, 64)
    assert unpacked.entry == kernel.memory.start
    assert unpacked.version.split()[0] == kernel.version.split()[0]
    assert unpacked.memory.stop <= kernel.memory.stop


def test_the_i386_kernel() -> None:
    kernel = Kernel.read(i386_kernel())
    assert (kernel.kind, kernel.bits) == (KernelKind.BZIMAGE, 32)
    assert kernel.version.split()[0].endswith("-686")
    assert kernel.limits.initrd_address_max == 0x7FFF_FFFF
    unpacked = Kernel.read(i386_vmlinux())
    assert (unpacked.kind, unpacked.bits) == (KernelKind.ELF32, 32)
    assert unpacked.memory.start == kernel.memory.start


def test_the_payload_begins_with_the_vmlinux_and_has_its_length() -> None:
    """Does the unpacked length agree with the one that the kernel itself stores, relocations included?"""
    data = vmlinux(i386_kernel())
    assert data == i386_vmlinux().read_bytes()
    assert len(data) > Kernel.read(data).blob_bytes


def test_modules_come_after_what_they_need() -> None:
    """Is the order one in which insmod can load them, without what is built in?"""
    names = [path.name for path in cloud_modules("virtio_blk", "ext4")]
    assert names.index("virtio_ring.ko") < names.index("virtio.ko") < names.index("virtio_blk.ko")
    assert "ext4.ko" not in names, "built into the cloud kernel"
    assert [path.name for path in i386_modules()][-1] == "ext4.ko"
    with pytest.raises(ToolMissing) as caught:
        modules(cloud_kernel(), ["no-such"])
    assert caught.value.message == "linux-image-cloud-amd64_amd64 has no module no_such."
