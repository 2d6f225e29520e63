"""What the linker is asked for, and what it gives back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bootslang.slang.link.elf import Segment

Kind: TypeAlias = Literal["flat", "elf32", "elf64"]


class ObjectFile(NamedTuple):
    """A relocatable ELF object, and what messages and maps call it."""

    name: str
    data: bytes


class Reserved(NamedTuple):
    """Memory that an image must not touch, from `start` up to, not including, `end`."""

    name: str
    start: int
    end: int


class AbsoluteAddress(NamedTuple):
    """A place in an image that holds an absolute address: to be adjusted by whoever moves the image.

    `offset` is counted from the image's first byte; `size` is 1, 2, 4 or 8 bytes.
    """

    offset: int
    size: int


@dataclass(frozen=True, kw_only=True)
class LinkRequest:
    """One image to make.

    Attributes:
        name: What messages call it: "stage 1".
        objects: What it is made of. Sections are placed in this order.
        base: The address of its first byte.
        kind: `flat` gives bytes to be put at `base`; `elf32` and `elf64` give an executable.
        relocatable: Whether it may be moved. A flat image finds in itself what that takes (`moving.py`), and its rights
            change at pages only; an `elf64` is a position-independent executable (`dynamic.py`). 64-bit code alone.
        lines: Whether the image holds a table of its source lines (`lines.py`).
        head: Bytes that stay free at the image's beginning, for headers: an executable's own, or a loader's.
        entry: The symbol where it is entered. Without one, its `.start` section is the entry.
        file_limit: The most bytes that its file part may have.
        memory_limit: The most bytes that it may occupy, zero-filled data included.
        reserved: Memory of others, to stay clear of.
        keep: Symbols to keep although nothing refers to them.
        symbols: Absolute symbols, for the objects to refer to.
        fill: The value of the bytes between sections of a flat image.

    """

    name: str
    objects: tuple[ObjectFile, ...]
    base: int
    kind: Kind = "flat"
    relocatable: bool = False
    lines: bool = False
    head: int = 0
    entry: str | None = None
    file_limit: int | None = None
    memory_limit: int | None = None
    reserved: tuple[Reserved, ...] = ()
    keep: tuple[str, ...] = ()
    symbols: Mapping[str, int] = field(default_factory=dict)
    fill: int = 0

    @property
    def paged(self) -> bool:
        """Whether sections of different rights lie on different pages."""
        return self.relocatable or self.kind != "flat"

    @property
    def position_independent(self) -> bool:
        """Whether it is an executable that its loader moves."""
        return self.relocatable and self.kind != "flat"


@dataclass(frozen=True, kw_only=True)
class Image:
    """A linked program.

    Attributes:
        name: What the request called it.
        data: The bytes to put at `base`; for an executable, the ELF file.
        base: The address of the first byte.
        entry: The address where it is entered.
        memory_bytes: How much memory it occupies from `base`, zero-filled data included.
        symbols: Every symbol's address: the programs' own, those of `resolve.BOUNDS`, and `__start_set_X` and
            `__stop_set_X` of each set.
        relocations: Where absolute addresses stand, in rising order.
        segments: Its parts by the rights that they need.
        elf: An ELF executable of the same bytes at the same addresses, with symbols and DWARF, for gdb.
        map: What lies where, for people.

    """

    name: str
    data: bytes
    base: int
    entry: int
    memory_bytes: int
    symbols: Mapping[str, int]
    relocations: tuple[AbsoluteAddress, ...]
    segments: tuple[Segment, ...]
    elf: bytes
    map: str
