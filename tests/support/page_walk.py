"""Page tables as the CPU reads them (Intel SDM vol. 3A, 4.5): which pages there are, and with which rights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

PRESENT, WRITABLE, USER, LARGE, NO_EXECUTE = 1, 2, 4, 0x80, 1 << 63
ADDRESS = 0x000F_FFFF_FFFF_F000
ENTRIES = 512

Reader = Callable[[int, int], bytes]
"""Gives bytes of physical memory: address, size."""


@dataclass(frozen=True)
class Page:
    virtual: int
    physical: int
    size: int
    rights: str
    """`r--`, `rw-`, `r-x` or `rwx`."""


def pages(root: int, read: Reader) -> list[Page]:
    """Every page of a 4-level tree, by virtual address."""
    return list(walk(root, read, 39, 0, writable=True, executable=True))


def walk(table: int, read: Reader, level: int, base: int, *, writable: bool, executable: bool) -> Iterator[Page]:
    data = read(table, ENTRIES * 8)
    for index in range(ENTRIES):
        entry = int.from_bytes(data[index * 8 : index * 8 + 8], "little")
        if not entry & PRESENT:
            assert not entry, "what is absent is empty"
            continue
        assert not entry & USER
        virtual = base + (index << level)
        if level == 39 and index >= ENTRIES // 2:
            virtual += 0xFFFF_0000_0000_0000
        may_write = writable and bool(entry & WRITABLE)
        may_execute = executable and not entry & NO_EXECUTE
        if level > 12 and not (level < 39 and entry & LARGE):
            yield from walk(entry & ADDRESS, read, level - 9, virtual, writable=may_write, executable=may_execute)
            continue
        physical = entry & ADDRESS
        assert physical % (1 << level) == 0, "a reserved bit is set"
        rights = f"r{'w' if may_write else '-'}{'x' if may_execute else '-'}"
        yield Page(virtual, physical, 1 << level, rights)


def ranges(found: list[Page]) -> list[tuple[int, int, int, str]]:
    """Pages joined where they go on alike: (virtual, physical, size, rights)."""
    joined: list[tuple[int, int, int, str]] = []
    for page in found:
        if joined:
            virtual, physical, size, rights = joined[-1]
            if (virtual + size, physical + size, rights) == (page.virtual, page.physical, page.rights):
                joined[-1] = (virtual, physical, size + page.size, rights)
                continue
        joined.append((page.virtual, page.physical, page.size, page.rights))
    return joined
