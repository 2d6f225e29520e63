"""Buffers for slang functions that end the process when they are left, be it by reading: no page follows them."""

from __future__ import annotations

import ctypes
import mmap

from bootslang.slang import span, u8

PROT_NONE = 0
PAGE = mmap.PAGESIZE
PROTECT = ctypes.CDLL(None, use_errno=True).mprotect
PROTECT.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)


class Fence:
    """Room for `limit` bytes between two pages that nobody may touch."""

    def __init__(self, limit: int) -> None:
        self.end = PAGE + -(-limit // PAGE) * PAGE
        self.memory = mmap.mmap(-1, self.end + PAGE)
        base = ctypes.addressof(ctypes.c_char.from_buffer(self.memory))
        for guard in (base, base + self.end):
            if PROTECT(guard, PAGE, PROT_NONE):
                raise OSError(ctypes.get_errno(), "mprotect")

    def last(self, data: bytes) -> span[u8]:
        """Put bytes where a page of no access follows them."""
        return self._put(self.end - len(data), data)

    def first(self, data: bytes) -> span[u8]:
        """Put bytes where they follow a page of no access."""
        return self._put(PAGE, data)

    def _put(self, place: int, data: bytes) -> span[u8]:
        lent = memoryview(self.memory)[place : place + len(data)]
        lent[:] = data
        return span(lent)
