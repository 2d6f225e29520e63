"""Buffers that notice when a slang function writes beside them."""

from __future__ import annotations

from bootslang.slang import span, u8

GUARD_BYTES = 256
PATTERN = bytes(range(GUARD_BYTES))


class Guarded:
    """`size` bytes between two zones of a known pattern, to be lent to slang functions as `span`."""

    def __init__(self, size: int, *, content: bytes = b"") -> None:
        self.size = size
        self.memory = bytearray(PATTERN + content.ljust(size, b"\xa5") + PATTERN)

    @property
    def span(self) -> span[u8]:
        return span(memoryview(self.memory)[GUARD_BYTES : GUARD_BYTES + self.size])

    def check(self) -> None:
        """Raise if one of the zones has changed."""
        assert self.memory[:GUARD_BYTES] == PATTERN, "bytes were written below the buffer"
        assert self.memory[GUARD_BYTES + self.size :] == PATTERN, "bytes were written above the buffer"

    @property
    def data(self) -> bytes:
        """What stands between the zones, which are checked."""
        self.check()
        return bytes(self.memory[GUARD_BYTES : GUARD_BYTES + self.size])
