"""A kernel of one's own that does nothing but tell when it was reached: 1 MiB, ELF64, static, in the higher half.

Its first instructions leave the time stamp counter in RBX and say so on port 0xE9. RDI, the boot information, stays as
it came.
"""

from __future__ import annotations

import random
import struct
from typing import Final

BASE: Final = 0xFFFF_FFFF_8000_0000
PHYSICAL: Final = 0x10_0000
PAGE: Final = 0x1000
READ, WRITE, EXECUTE = 4, 2, 1
ARRIVED: Final = "\x05"
"""Nothing that the loader writes."""
START: Final = b"".join(
    (
        b"\x0f\x31",  # rdtsc
        b"\x48\xc1\xe2\x20",  # shl rdx, 32
        b"\x48\x09\xd0",  # or rax, rdx
        b"\x48\x89\xc3",  # mov rbx, rax
        b"\xb0" + ARRIVED.encode() + b"\xe6\xe9",  # mov al, 'K'; out 0xe9, al
        b"\xeb\xfe",  # jmp $
    )
)
SEGMENTS: Final = ((EXECUTE | READ, 640 << 10, 0), (READ, 256 << 10, 0), (READ | WRITE, 124 << 10, 64 << 10))
"""Rights, bytes in the file, and bytes of zeros behind them."""
KERNEL_BYTES: Final = PAGE + sum(size for _, size, _ in SEGMENTS)


def own_kernel() -> bytes:
    """Write it; what is in it does not compress, and is the same each time."""
    filling = random.Random(0)  # noqa: S311 - no secret
    headers, body = b"", bytearray()
    for flags, size, zeros in SEGMENTS:
        place = PAGE + len(body)
        values = (place, BASE + place, PHYSICAL + place, size, size + zeros, PAGE)
        headers += struct.pack("<IIQQQQQQ", 1, flags, *values)
        body += filling.randbytes(size)
    body[: len(START)] = START
    identification = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    fields = (2, 62, 1, BASE + PAGE, 64, 0, 0, 64, 56, len(SEGMENTS), 64, 0, 0)
    head = identification + struct.pack("<HHIQQQIHHHHHH", *fields) + headers
    return head.ljust(PAGE, b"\0") + bytes(body)
