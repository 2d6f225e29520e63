"""Do the host's kernel readers end every input in a kernel or in an error of their own?"""

from __future__ import annotations

import bz2
import gzip
import lzma
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bootslang.errors import InputInvalid, ToolMissing
from bootslang.kernel import PROTOCOLS, Kernel, KernelKind
from bootslang.kernel.model import ADDRESS_BITS_MAX, LOW_MEMORY_END, PIECE_BYTES
from bootslang.kernel.payload import vmlinux
from support.elf_writer import movable, relocation, static
from support.fuzzing import field_changes, fuzzed, mutations
from support.payloads import MIB, Elf, Load, bzimage


def elf(bits: int) -> bytes:
    kernel = Elf([Load(16 * MIB, b"code" * 9), Load(20 * MIB, b"data" * 5, memory=MIB, flags=6)], bits=bits)
    return kernel.head + kernel.body


def packed_kernel(packed: bytes) -> bytes:
    file = bytearray(bzimage(protected=packed.ljust(4096, b"\0")))
    file[0x248:0x250] = struct.pack("<II", 0, len(packed))
    return bytes(file)


INNER = b"\x7fELF" + b"inner" * 100
SIZE = len(INNER).to_bytes(4, "little")
PIE = movable(relocation() + relocation(0x1008)).build()
STATIC = static().build()
KERNELS = [elf(64), elf(32), PIE, STATIC, bzimage(), bzimage({"xloadflags": 0, "relocatable": 0})]
PACKED = [
    packed_kernel(gzip.compress(INNER, mtime=0)),
    packed_kernel(bz2.compress(INNER) + SIZE),
    packed_kernel(lzma.compress(INNER) + SIZE),
    packed_kernel(lzma.compress(INNER, lzma.FORMAT_ALONE) + SIZE),
]
OTHERS = [gzip.compress(INNER, mtime=0), bz2.compress(INNER), lzma.compress(INNER), b"MZ" + bytes(600), b"070701" * 30]


FILES = st.one_of(
    st.sampled_from(KERNELS + OTHERS).flatmap(mutations),
    st.sampled_from([(elf(64), 176), (elf(32), 116), (PIE, len(PIE)), (STATIC, 176), (bzimage(), 0x290)]).flatmap(
        lambda pair: field_changes(*pair)
    ),
    st.binary(max_size=2000),
)


@given(FILES, st.sampled_from(PROTOCOLS), st.booleans())
@fuzzed
def test_a_kernel_or_an_error(data: bytes, protocol: str, allow_wx: bool) -> None:  # noqa: FBT001 - what is asked for
    """What is accepted keeps every promise that the image builder and the loader rely on."""
    try:
        kernel = Kernel.read(data, protocol=protocol, allow_wx=allow_wx)
    except InputInvalid:
        return
    pieces = list(kernel.pieces())
    assert all(0 < len(piece) <= PIECE_BYTES for piece in pieces)
    assert sum(map(len, pieces)) == kernel.blob_bytes <= len(data)
    assert kernel.memory.start < kernel.memory.stop <= 1 << (ADDRESS_BITS_MAX if kernel.handoff is None else 64)
    assert kernel.handoff is not None or kernel.memory.start >= LOW_MEMORY_END
    assert kernel.limits.initrd_bytes >= 0
    assert kernel.describe()["kind"] == kernel.kind
    if kernel.kind is KernelKind.BZIMAGE:
        assert b"".join(pieces) == data
        return
    told = "linux" if kernel.handoff is None else "handoff"
    again = Kernel.read(b"".join(pieces), protocol=told, allow_wx=allow_wx)
    assert (again.kind, again.entry, again.memory) == (kernel.kind, kernel.entry, kernel.memory)
    assert again.handoff == kernel.handoff
    assert [part.flags for part in again.segments] == [part.flags for part in kernel.segments]


@given(st.sampled_from(PACKED).flatmap(mutations))
@fuzzed
def test_a_payload_or_an_error(data: bytes) -> None:
    try:
        unpacked = vmlinux(data)
    except (InputInvalid, ToolMissing):  # a flipped bit can turn the kernel into one that is packed with lzo
        return
    assert unpacked.startswith(b"\x7fELF")


@pytest.mark.parametrize("data", PACKED)
def test_the_payloads_unpack_unharmed(data: bytes) -> None:
    """Is what the fuzzer starts from good, so that it reaches all of the code?"""
    assert vmlinux(data) == INNER
