"""A decoder of `boot/codecs` under test: between guards, with damage done to what it reads."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Protocol

import pytest

from bootslang.slang import BootError, span, u8
from support.fence import Fence
from support.guarded import Guarded

if TYPE_CHECKING:
    from collections.abc import Iterator

TEXT = b"She sells sea shells by the sea shore; the shells she sells are surely sea shells. " * 3


FENCED_BYTES = 1 << 20
"""Packed bytes up to this end where memory that may be read does."""


class Module(Protocol):
    """What a codec's file has."""

    @property
    def WORK_BYTES(self) -> int: ...  # noqa: N802 - a constant there

    def decode(self, packed: span[u8], out: span[u8], work: span[u8], /) -> None: ...


class Decoder:
    """One codec, natively; nothing but `out` and `work` may be written."""

    def __init__(self, module: Module, *names: str) -> None:
        self.decode = module.decode
        self.names = tuple(f"{name}: " for name in names)
        self.work = Guarded(module.WORK_BYTES)
        self.fence = Fence(FENCED_BYTES)

    def unpack(self, packed: bytes, size: int) -> bytes:
        out = Guarded(size)
        try:
            source = self.fence.last(packed) if len(packed) <= FENCED_BYTES else span(packed)
            self.decode(source, out.span, self.work.span)
        finally:
            out.check()
            self.work.check()
        return out.data

    def complain(self, packed: bytes, size: int) -> str:
        """The error, which begins with the codec's name."""
        with pytest.raises(BootError) as caught:
            self.unpack(packed, size)
        assert str(caught.value).startswith(self.names), caught.value
        return str(caught.value)

    def outcome(self, packed: bytes, size: int) -> bytes | None:
        """What comes out, or None for an error with the codec's name."""
        try:
            return self.unpack(packed, size)
        except BootError as error:
            assert str(error).startswith(self.names), error  # noqa: PT017 - both outcomes are good
            return None


def flips(data: bytes, step: int = 1) -> Iterator[bytes]:
    """Copies with one bit changed, for every `step`th bit."""
    for bit in range(0, len(data) * 8, step):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        yield bytes(damaged)


def mixed(size: int, seed: int = 1) -> bytes:
    """Text-like, random and constant stretches in turn."""
    generator = random.Random(seed)
    data = bytearray()
    while len(data) < size:
        kind = generator.randrange(3)
        if kind == 0:
            data += generator.randbytes(generator.randrange(1, 5000))
        elif kind == 1:
            data += bytes([generator.randrange(256)]) * generator.randrange(1, 5000)
        else:
            data += bytes(generator.choices(b"etaoin shrdlu\n", k=generator.randrange(1, 5000)))
    return bytes(data[:size])


def calls(size: int, seed: int = 1) -> bytes:
    """What the x86 filter finds hard: many opcodes of calls and jumps, and operands that look like signs."""
    return bytes(random.Random(seed).choices(b"\xe8\xe9\0\xff\1\x90", k=size))
