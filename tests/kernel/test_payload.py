"""Does the ELF file come out of a bzImage whatever it was packed with, and is every damage named?"""

import bz2
import gzip
import lzma
from collections.abc import Callable
from typing import Any

import pytest
from lz4 import block

from bootslang.errors import KernelInvalid, ToolMissing, UsageError
from bootslang.kernel import Kernel, payload
from bootslang.kernel.payload import vmlinux, zstd_module
from support.payloads import Elf, Load, kernel_with

zstd: Any = zstd_module()
ELF = b"\x7fELF" + bytes(range(256)) * 5000
DAMAGED = "The file is damaged or unfinished: compare it with where it came from, or build it again."


def sized(packed: bytes, size: int = len(ELF)) -> bytes:
    """With the length behind it that Linux's build appends to what its format does not tell."""
    return packed + size.to_bytes(4, "little")


def lz4_legacy(data: bytes) -> bytes:
    """The format of `lz4 -l`: blocks of 8 MiB, each with its packed length before it."""
    out = b"\x02\x21\x4c\x18"
    for start in range(0, len(data), 8 << 20):
        packed = block.compress(data[start : start + (8 << 20)], store_size=False)
        out += len(packed).to_bytes(4, "little") + packed
    return out


def xz_like_linux(data: bytes) -> bytes:
    """The x86 filter and CRC32, as scripts/xz_wrap.sh has it."""
    filters = [{"id": lzma.FILTER_X86}, {"id": lzma.FILTER_LZMA2, "dict_size": 1 << 20}]
    return lzma.compress(data, check=lzma.CHECK_CRC32, filters=filters)


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bzip2": lambda data: sized(bz2.compress(data)),
    "xz": lambda data: sized(xz_like_linux(data)),
    "lzma": lambda data: sized(lzma.compress(data, lzma.FORMAT_ALONE)),
    "zstd": lambda data: sized(zstd.compress(data)),
    "lz4": lambda data: sized(lz4_legacy(data)),
}


def fault(file: bytes) -> str:
    """The error that taking the payload out ends with, without what all begin with."""
    with pytest.raises(KernelInvalid) as caught:
        vmlinux(Kernel.read(file, name="vmlinuz"))
    before = "The payload of vmlinuz cannot be taken out: "
    assert caught.value.message.startswith(before)
    return caught.value.message.removeprefix(before)


@pytest.mark.parametrize("name", PACKERS)
def test_every_compression_that_linux_has(name: str) -> None:
    assert vmlinux(kernel_with(PACKERS[name](ELF))) == ELF


def test_lz4_of_several_blocks() -> None:
    """Is a block that is not the first one found and unpacked?"""
    data = b"\x7fELF" + bytes(17 << 20)
    assert vmlinux(kernel_with(sized(lz4_legacy(data), len(data)))) == data


@pytest.mark.parametrize("name", PACKERS)
def test_a_cut_payload_is_damage(name: str) -> None:
    """Does half a payload end in an error that names the compression?"""
    packed = PACKERS[name](ELF)
    assert fault(kernel_with(sized(packed[: len(packed) // 2]))).startswith(f"it does not unpack ({name}: ")


@pytest.mark.parametrize("name", PACKERS)
def test_more_or_less_than_was_told_is_damage(name: str) -> None:
    """Is a length that does not agree with the contents an error, and no bomb unpacked further than that?"""
    packed = PACKERS[name](ELF)[:-4]
    less = fault(kernel_with(sized(packed, len(ELF) + 1)))
    more = fault(kernel_with(sized(packed, 1000)))
    if name == "gzip":  # The length is the format's own there, and it notices by itself.
        assert less.startswith("it does not unpack (gzip: ")
    else:
        assert less == f"it unpacks ({name}) to {len(ELF):,} instead of {len(ELF) + 1:,} bytes."
    if name == "lz4":  # Its block says no more than that it does not fit.
        assert more.startswith("it does not unpack (lz4: ")
    else:
        assert more == f"it unpacks ({name}) to more instead of 1,000 bytes."


def test_a_length_that_no_kernel_has() -> None:
    assert fault(kernel_with(sized(bz2.compress(ELF), 0x4000_0001))) == (
        "it claims to unpack to 1,073,741,825 bytes, and no kernel has over 1,073,741,824."
    )


def test_what_is_no_elf_file() -> None:
    assert fault(kernel_with(sized(bz2.compress(b"text"), 4))) == "what it unpacks to (bzip2) is no ELF file."


def test_an_unknown_compression() -> None:
    assert fault(kernel_with(sized(b"unknown " * 4))) == (
        "it is compressed in no known way (it begins with 75 6e 6b 6e 6f 77)."
    )


def test_a_payload_outside_of_the_file() -> None:
    """Are pointers behind the file's end, and no payload at all, refused?"""
    packed = gzip.compress(ELF)
    file = kernel_with(packed, length=0x1000_0000)
    assert fault(file) == f"it ends at 0x10000840, but the file at {len(file):#x}."
    assert fault(kernel_with(packed, length=0)) == "its header gives it 0 bytes (payload_length)."


def test_a_kernel_that_is_an_elf_file_already() -> None:
    with pytest.raises(UsageError) as caught:
        vmlinux(Kernel.read(Elf([Load(1 << 24, b"code")]).head + b"code", name="vmlinux"))
    assert str(caught.value) == "vmlinux is an ELF file already.\nA vmlinux is taken out of a bzImage."


def test_a_compression_without_its_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Is the user told what to install, or for lzo what to do?"""
    monkeypatch.setattr(payload, "zstd_module", lambda: None)
    with pytest.raises(ToolMissing) as caught:
        vmlinux(kernel_with(PACKERS["zstd"](ELF)))
    assert str(caught.value) == (
        "This kernel is compressed with zstd, and this Python has no module for it.\n"
        "Install it: `pip install backports.zstd` (Python 3.14 has it built in)."
    )
    with pytest.raises(ToolMissing) as caught:
        vmlinux(kernel_with(sized(b"\x89LZO\0\r\n\x1a\n" + bytes(20))))
    assert caught.value.message == (
        "This kernel is compressed with lzo (33 bytes for 1,280,004), which has no decoder here."
    )
