"""The whole of stage 4 on this computer: in goes what a door has left in memory, out comes what kernel is entered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from bootslang.boot.codecs import bzip2  # noqa: F401 - linked, where it is imported
from bootslang.boot.context import (
    DOOR_MULTIBOOT2,
    MODULE,
    SOURCE_MEMORY,
    SPENT_MEMORY,
    BootContext,
    Module,
)
from bootslang.boot.lift import main, payload
from bootslang.boot.lift.blob import Reader
from bootslang.boot.lift.zero_page import ZeroPage
from bootslang.slang import FakeMachine, address, fn, sizeof, span, u8
from support.low_memory import LowMemory
from support.payloads import MIB

PAGE = 4096


@fn
def boot(context: BootContext) -> None:
    span[u8](address(payload.reader), sizeof(Reader)).fill(0)
    main.main(address(context))


class EnteredError(Exception):
    """The kernel is entered: what a machine never comes back from."""

    def __init__(self, registers: dict[str, int]) -> None:
        super().__init__("entered")
        self.registers = registers


@dataclass(frozen=True)
class Entered:
    """What Linux finds at its first instruction."""

    entry: int
    zero_page: ZeroPage
    command_line: bytes
    initrd: bytes
    initrd_place: int
    long_mode: bool


class Door(FakeMachine):
    """A machine with `mib` of memory, and what a loader before us has put there; use it as a context manager.

    Places are offsets in the machine's memory, which begins at `base`.
    """

    def __init__(self, mib: int = 64) -> None:
        self.low = LowMemory((mib + 2) * MIB)
        self.base = (self.low.base // (2 * MIB) + 1) * (2 * MIB)
        start = self.base - self.low.base
        self.memory, self.context = self.low.machine(start, start + mib * MIB)
        self.context.door = DOOR_MULTIBOOT2
        self.kept = self.low.base

    def __enter__(self) -> Self:
        super().__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        self.low.map.close()

    def add(self, data: bytes, offset: int, line: bytes = b"") -> int:
        """Let a module of these bytes lie at an offset; return its address."""
        place = self.put(data, offset)
        text = self.keep(line)
        index = self.context.module_count
        self.context.modules[index] = Module(base=place, size=len(data), text=text, text_size=len(line))
        self.context.module_count += 1
        self.reserve(place, len(data), MODULE if index else SPENT_MEMORY)
        return place

    def seal(self, bundle: bytes, offset: int) -> None:
        """Let a bundle that was sealed in lie at an offset."""
        self.context.source = SOURCE_MEMORY
        self.context.memory_base = self.put(bundle, offset)
        self.context.memory_size = len(bundle)
        self.reserve(self.context.memory_base, len(bundle), SPENT_MEMORY)

    def set_line(self, line: bytes) -> None:
        """The rest of the loader's own command line."""
        self.context.command_line, self.context.command_line_size = self.keep(line), len(line)

    def put(self, data: bytes, offset: int) -> int:
        self.low.write(self.base + offset, data)
        return self.base + offset

    def keep(self, line: bytes) -> int:
        """Texts lie below what counts as memory, as in the loader's own."""
        place = self.kept
        self.low.write(place, line)
        self.kept += len(line)
        assert self.kept <= self.base
        return place

    def reserve(self, base: int, size: int, kind: int) -> None:
        entry = self.context.reservations[self.context.reservation_count]
        entry.base, entry.size, entry.kind = base, size, kind
        self.context.reservation_count += 1

    def taken(self, kind: int) -> list[tuple[int, int]]:
        """The reservations of a kind: offset and size, sorted."""
        entries = [self.context.reservations[index] for index in range(self.context.reservation_count)]
        return sorted((entry.base - self.base, entry.size) for entry in entries if entry.kind == kind)

    def read(self, place: int, size: int) -> bytes:
        return self.low.read(place, size)

    def boot(self) -> Entered:
        """Run stage 4 until it enters Linux."""
        try:
            boot(self.context)
        except EnteredError as entered:
            return self.entered(entered.registers)
        raise AssertionError("stage 4 came back")

    def entered(self, registers: dict[str, int]) -> Entered:
        page = ZeroPage.of(span(self.read(registers["rsi"], PAGE)))
        header = page.header
        line = self.read(header.cmd_line_ptr | page.ext_cmd_line_ptr << 32, 2048)
        place = header.ramdisk_image | page.ext_ramdisk_image << 32
        size = header.ramdisk_size | page.ext_ramdisk_size << 32
        initrd = self.read(place, size) if size else b""
        return Entered(registers["rdi"], page, line[: line.index(0)], initrd, place - self.base, registers["rdx"] != 0)

    def read_port(self, port: int, size: int) -> int:
        assert (port, size) in {(0x71, 1), (0xE9, 1)}, "only the clock is asked"
        return 0

    def write_port(self, port: int, size: int, value: int) -> None:
        assert (port, size) == (0x70, 1), f"only the clock is asked, not {port:#x} ({value:#x})"

    def assembly(self, code: str, registers: dict[str, int]) -> dict[str, int]:
        assert code == "enter"
        raise EnteredError(registers)
