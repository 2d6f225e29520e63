"""A segment of a kernel, whatever kind of kernel: which bytes of the file go where in memory."""

from typing import Final

from bootslang.slang import Struct, u32, u64

EXECUTE: Final = 1
WRITE: Final = 2
READ: Final = 4
"""Bits of `Segment.flags`, as ELF has them (PF_X, PF_W, PF_R)."""


class Segment(Struct):
    offset: u64
    """In the file."""
    file_size: u64
    memory_size: u64
    """What has no bytes in the file is zero."""
    physical: u64
    """Where the file says that it should lie; not every kind of kernel means it."""
    virtual: u64
    """Where the kernel sees it, as the file has it."""
    flags: u32
    align: u64
    place: u64
    """Where it really goes: a physical address."""
