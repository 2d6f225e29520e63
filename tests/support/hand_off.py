"""The whole hand-off on this computer: what a kernel of one's own finds at its first instruction."""

from __future__ import annotations

from dataclasses import dataclass

from bootslang.boot.context import LOADER
from bootslang.boot.handoff import BootInformation, MemoryRegion, ModuleInformation
from bootslang.slang import sizeof, span
from support.lift import Door, EnteredError, boot
from support.page_walk import Page, pages
from support.payloads import MIB

PAGE = 0x1000
IMAGE = 8 * MIB
"""Where the loader lies: its image and nothing else."""
IMAGE_PARTS = {"__image_start": 0, "__text_end": 0x8000, "__rodata_end": 0xB000, "__bss_end": 0x1_4000}


@dataclass
class Found:
    """What a kernel finds at its first instruction."""

    door: HandoffDoor
    information: BootInformation
    entry: int
    stack_top: int
    pages: list[Page]

    def physical(self, virtual: int) -> int:
        """What the page tables make of an address."""
        virtual %= 1 << 64
        (page,) = [page for page in self.pages if 0 <= virtual - page.virtual < page.size]
        return page.physical + virtual - page.virtual

    def read(self, virtual: int, size: int) -> bytes:
        """Memory through the page tables; it does not cross a page that lies elsewhere."""
        return self.door.read(self.physical(virtual), size) if size else b""

    def text(self, virtual: int, size: int) -> bytes:
        data = self.read(virtual, size + 1)
        assert data[size] == 0
        return data[:size]

    @property
    def regions(self) -> list[tuple[int, int, int]]:
        """(offset in the machine's memory, end, kind)."""
        data = self.read(self.information.memory, self.information.memory_count * sizeof(MemoryRegion))
        found = [
            MemoryRegion.of(span(data[at : at + sizeof(MemoryRegion)]))
            for at in range(0, len(data), sizeof(MemoryRegion))
        ]
        base = self.door.base
        return [(region.base - base, region.base + region.size - base, region.kind) for region in found]

    @property
    def modules(self) -> list[ModuleInformation]:
        size = sizeof(ModuleInformation)
        data = self.read(self.information.modules, self.information.module_count * size)
        return [ModuleInformation.of(span(data[at : at + size])) for at in range(0, len(data), size)]


class HandoffDoor(Door):
    """A door whose loader has an image at IMAGE, and whose stage 4 enters a kernel by the hand-off."""

    def __init__(self, mib: int = 64) -> None:
        super().__init__(mib)
        self.context.loader_base = self.base + IMAGE
        self.context.loader_size = IMAGE_PARTS["__bss_end"]
        self.reserve(self.base + IMAGE, IMAGE_PARTS["__bss_end"], LOADER)

    def assembly(self, code: str, registers: dict[str, int]) -> dict[str, int]:
        if code == "hand off":
            raise EnteredError(registers)
        place = next((place for name, place in IMAGE_PARTS.items() if name in code), None)
        return super().assembly(code, registers) if place is None else {"rax": self.base + IMAGE + place}

    def hand_off(self) -> Found:
        """Run stage 4 until it enters the kernel."""
        try:
            boot(self.context)
        except EnteredError as entered:
            return self.found(entered.registers)
        raise AssertionError("stage 4 came back")

    def found(self, registers: dict[str, int]) -> Found:
        found = pages(registers["rcx"], self.read)
        result = Found(self, BootInformation.zeroed(), registers["rsi"], registers["rdx"], found)
        start = result.physical(registers["rdi"])
        result.information = BootInformation.of(span(self.read(start, sizeof(BootInformation))))
        assert result.information.physical == start
        return result
