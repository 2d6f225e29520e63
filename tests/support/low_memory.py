"""Memory of this process below 4 GiB, where boot code that runs natively may put things as it would on a machine."""

import mmap
from types import TracebackType
from typing import Self

from bootslang.boot.context import BootContext
from bootslang.boot.lift.memory_map import MemoryMap
from bootslang.slang import span, u8
from support.payloads import machine

MAP_32BIT = 0x40
"""Linux, x86-64: an address in the first 2 GiB."""


class LowMemory:
    """`size` zero bytes."""

    def __init__(self, size: int) -> None:
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_32BIT
        self.map = mmap.mmap(-1, size, flags=flags)
        self.size = size
        whole: span[u8] = span(memoryview(self.map))
        self.base = whole.address

    def machine(self, start: int, end: int) -> tuple[MemoryMap, BootContext]:
        """A machine whose only RAM lies between these offsets."""
        return machine((self.base + start, self.base + end))

    def write(self, address: int, data: bytes) -> None:
        """Put bytes at an address of this memory."""
        self.map[address - self.base : address - self.base + len(data)] = data

    def read(self, address: int, size: int) -> bytes:
        """Get bytes from an address of this memory."""
        assert self.base <= address <= address + size <= self.base + self.size
        return self.map[address - self.base : address - self.base + size]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.map.close()
