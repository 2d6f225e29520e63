"""Memory below 4 GiB that is all that a door may read: on both sides of it are pages that end the process if read."""

import ctypes
import mmap

from bootslang.boot.doors import keep, reach
from bootslang.slang import span
from support.low_memory import LowMemory

PROT_NONE = 0
PAGE = mmap.PAGESIZE
PROTECT = ctypes.CDLL(None, use_errno=True).mprotect
PROTECT.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)


class Reach(LowMemory):
    """Whole pages from `start` to before `end`; while it is open, `reach` lets the doors see nothing else."""

    def __init__(self, pages: int = 4) -> None:
        super().__init__((pages + 2) * PAGE)
        self.start = self.cursor = self.base + PAGE
        self.end = self.start + pages * PAGE
        for guard in (self.base, self.end):
            if PROTECT(guard, PAGE, PROT_NONE):
                raise OSError(ctypes.get_errno(), "mprotect")
        reach.text_in(span(b""))  # loaded with its own values, which are those after the test too
        keep.keep(span(b""))
        self.renew()

    def renew(self) -> None:
        """Begin anew: nothing is kept, all memory is to be had, and it is what the doors see."""
        keep.used = 0
        reach.lowest, reach.end = self.start, self.end
        self.cursor = self.start

    def put(self, data: bytes) -> int:
        """Put bytes behind the last ones, at a multiple of 8; return their address."""
        place = -(-self.cursor // 8) * 8
        self.write(place, data)
        self.cursor = place + len(data)
        return place

    def put_last(self, data: bytes) -> int:
        """Put bytes so that the memory ends with them; return their address."""
        self.write(self.end - len(data), data)
        return self.end - len(data)

    def text(self, line: bytes | None) -> int:
        """Put a text with its end; return its address, 0 for None."""
        return 0 if line is None else self.put(line + b"\0")


def kept(address: int, size: int) -> bytes:
    """Bytes that a door has kept in the arena."""
    arena = keep.arena.address
    assert arena <= address <= address + size <= arena + len(keep.arena)
    return ctypes.string_at(address, size)
