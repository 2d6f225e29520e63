"""Take the ELF `vmlinux` out of a bzImage, as Linux's scripts/extract-vmlinux does, but by the header, not by a search.

The setup header says where the compressed payload lies and how long it is; its last four bytes are the length that
comes out (for gzip these are part of the format, for the others the kernel's build appends them). What comes out is the
ELF file and, in a relocatable kernel, its relocations behind it.
"""

import bz2
import importlib
import lzma
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bootslang.errors import KernelInvalid, ToolMissing, UsageError
from bootslang.kernel.file import CUT_OFF, DAMAGED, FileBytes
from bootslang.kernel.model import Kernel

UNPACKED_BYTES_MAX = 1 << 30
"""Linux's KERNEL_IMAGE_SIZE: no x86 kernel is larger. A payload that claims more is refused before it is unpacked."""
_LEAST_BYTES = 16
_LZ4_BLOCK_BYTES = 8 << 20
"""The legacy lz4 format unpacks to blocks of this size, all but the last."""


def vmlinux(source: Kernel | str | Path | bytes) -> bytes:
    """Return the ELF file inside a bzImage, with the relocations that follow it.

    Raises `KernelInvalid` if there is none or it is damaged, `UsageError` if the kernel is an ELF file already, and
    `ToolMissing` if the library that its compression needs is not installed.
    """
    kernel = source if isinstance(source, Kernel) else Kernel.read(source)
    packed = _payload(kernel)
    size = int.from_bytes(packed[-4:], "little")
    name, unpack = _format(kernel.file, packed)
    if size > UNPACKED_BYTES_MAX:
        raise _fault(
            kernel.file,
            f"it claims to unpack to {size:,} bytes, and no kernel has over {UNPACKED_BYTES_MAX:,}",
            DAMAGED,
        )
    try:
        unpacked = unpack(packed, size)
    except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError) as error:
        raise _fault(kernel.file, f"it does not unpack ({name}: {error})", DAMAGED) from None
    if len(unpacked) != size:
        raise _fault(
            kernel.file, f"it unpacks ({name}) to {_much(len(unpacked), size)} instead of {size:,} bytes", DAMAGED
        )
    if not unpacked.startswith(b"\x7fELF"):
        raise _fault(kernel.file, f"what it unpacks to ({name}) is no ELF file", DAMAGED)
    return unpacked


def zstd_module() -> Any | None:
    """Return the module that speaks zstd: the standard library's (from 3.14), its backport, or None."""
    for name in ("compression.zstd", "backports.zstd"):
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    return None


def _fault(file: FileBytes, why: str, hint: str) -> KernelInvalid:
    return KernelInvalid(f"The payload of {file.name} cannot be taken out: {why}.", hint=hint)


def _format(file: FileBytes, packed: bytes) -> tuple[str, Callable[[bytes, int], bytes]]:
    for mark, name, unpack in _FORMATS:
        if packed.startswith(mark):
            return name, unpack
    raise _fault(file, f"it is compressed in no known way (it begins with {packed[:6].hex(' ')})", DAMAGED)


def _much(found: int, size: int) -> str:
    return "more" if found > size else f"{found:,}"


def _payload(kernel: Kernel) -> bytes:
    if kernel.setup is None:
        raise UsageError(f"{kernel.file.name} is an ELF file already.", hint="A vmlinux is taken out of a bzImage.")
    setup = kernel.setup
    start = setup.setup_bytes + setup.payload_offset
    if setup.payload_length < _LEAST_BYTES:
        raise _fault(kernel.file, f"its header gives it {setup.payload_length} bytes (payload_length)", DAMAGED)
    if start + setup.payload_length > kernel.file.size:
        end = start + setup.payload_length
        raise _fault(kernel.file, f"it ends at {end:#x}, but the file at {kernel.file.size:#x}", CUT_OFF)
    return kernel.file.read(start, setup.payload_length)


# Each takes the whole payload and the size that should come out, and never makes more than a byte over it. The length
# that the kernel's build appends is trailing data to the formats that do not have one.


def _gunzip(packed: bytes, size: int) -> bytes:
    return _at_end(zlib.decompressobj(31), packed, size)


def _bunzip2(packed: bytes, size: int) -> bytes:
    return _at_end(bz2.BZ2Decompressor(), packed[:-4], size)


def _unxz(packed: bytes, size: int) -> bytes:
    return _at_end(lzma.LZMADecompressor(memlimit=UNPACKED_BYTES_MAX), packed[:-4], size)


def _at_end(decompressor: Any, packed: bytes, size: int) -> bytes:
    unpacked: bytes = decompressor.decompress(packed, size + 1)
    if not decompressor.eof and len(unpacked) <= size:
        raise EOFError("it ends too early")
    return unpacked


def _unzstd(packed: bytes, size: int) -> bytes:
    zstd = zstd_module()
    if zstd is None:
        raise ToolMissing(
            "This kernel is compressed with zstd, and this Python has no module for it.",
            hint="Install it: `pip install backports.zstd` (Python 3.14 has it built in).",
        )
    try:
        return _at_end(zstd.ZstdDecompressor(), packed[:-4], size)
    except zstd.ZstdError as error:
        raise ValueError(error) from None


def _unlz4(packed: bytes, size: int) -> bytes:
    """Unpack the legacy lz4 format: a magic, then blocks, each with its packed length before it."""
    try:
        block = importlib.import_module("lz4.block")
    except ImportError:
        raise ToolMissing(
            "This kernel is compressed with lz4, and there is no module for it.", hint="Install it: `pip install lz4`."
        ) from None
    unpacked = bytearray()
    at = 4
    while at + 4 <= len(packed) - 4 and len(unpacked) <= size:
        length = int.from_bytes(packed[at : at + 4], "little")
        part = packed[at + 4 : min(at + 4 + length, len(packed) - 4)]
        if not part or len(part) < length:
            raise EOFError("it ends inside a block")
        try:
            unpacked += block.decompress(part, uncompressed_size=min(_LZ4_BLOCK_BYTES, size - len(unpacked) + 1))
        except block.LZ4BlockError as error:
            raise ValueError(error) from None
        at += 4 + length
    return bytes(unpacked)


def _unlzo(packed: bytes, size: int) -> bytes:
    raise ToolMissing(
        f"This kernel is compressed with lzo ({len(packed):,} bytes for {size:,}), which has no decoder here.",
        hint="Take the vmlinux out with Linux's scripts/extract-vmlinux and the program lzop, and give that.",
    )


_FORMATS: tuple[tuple[bytes, str, Callable[[bytes, int], bytes]], ...] = (
    (b"\x1f\x8b", "gzip", _gunzip),
    (b"BZh", "bzip2", _bunzip2),
    (b"\xfd7zXZ\0", "xz", _unxz),
    (b"\x5d\0\0", "lzma", _unxz),
    (b"\x28\xb5\x2f\xfd", "zstd", _unzstd),
    (b"\x02\x21\x4c\x18", "lz4", _unlz4),
    (b"\x89LZO", "lzo", _unlzo),
)
