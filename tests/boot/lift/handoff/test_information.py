"""Does the boot information say what the door has told, with pointers that lead to it?"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from bootslang.boot import context as kinds
from bootslang.boot import handoff, version
from bootslang.boot.context import BootContext
from bootslang.boot.handoff import BootInformation, MemoryRegion
from bootslang.boot.lift.allocator import reserve
from bootslang.boot.lift.handoff import information
from bootslang.boot.lift.handoff.information import Room
from bootslang.slang import offsetof, sizeof, span
from support.guarded import Guarded
from support.payloads import MIB, pc

if TYPE_CHECKING:
    from bootslang.boot.lift.memory_map import MemoryMap

ROOT = Path(__file__).parents[4]
DISTANCE = 0xFFFF_8000_0000_0000


class Told:
    """A boot information that was written into memory of this process."""

    def __init__(self, memory: MemoryMap, context: BootContext, *names: bytes) -> None:
        size = information.bytes_needed(sum(map(len, names)), len(names), memory, context)
        self.guarded = Guarded(size)
        self.room = Room.zeroed()
        self.room.memory = self.guarded.span
        self.room.distance = DISTANCE
        reserve(context, 32 * MIB, size, kinds.LOADER)
        self.place = self.room.memory.address
        information.begin(self.room, context, len(names))
        self.names = [written(self.room, name) for name in names]
        self.found = BootInformation.of(self.room.memory)
        information.finish(self.room, self.found, memory, context)

    def text(self, pointer: int, size: int) -> bytes:
        """What a pointer of the kernel's leads to; the zero behind it is checked."""
        start = (pointer - DISTANCE) % (1 << 64) - self.place
        data = self.guarded.data
        assert data[start + size] == 0
        return data[start : start + size]

    @property
    def regions(self) -> list[tuple[int, int, int]]:
        start = (self.found.memory - DISTANCE) % (1 << 64) - self.place
        assert start % 8 == 0
        assert start + self.found.memory_count * sizeof(MemoryRegion) == self.found.size
        table = [
            MemoryRegion.of(self.room.memory[start + index * sizeof(MemoryRegion) :])
            for index in range(self.found.memory_count)
        ]
        return [(region.base, region.size, region.kind) for region in table]


def written(room: Room, name: bytes) -> int:
    return room.write(span(name))


def told_of(context: BootContext, memory: MemoryMap | None = None, *names: bytes) -> Told:
    small, plain = pc(64)
    context.memory_count = plain.memory_count
    context.memory[:] = plain.memory
    return Told(memory or small, context, *names)


def test_magic_version_and_size_come_first() -> None:
    told = told_of(BootContext.zeroed())
    assert bytes(told.found)[:8] == b"BOOTSLNG"
    assert told.found.version == handoff.VERSION
    assert sizeof(BootInformation) <= told.found.size <= told.guarded.size


def test_the_memory_map_counts_the_boot_information_in() -> None:
    told = told_of(BootContext.zeroed())
    assert told.regions == [
        (0, 0x9_FC00, 1),
        (MIB, 31 * MIB, 1),
        (32 * MIB, 0x1000, kinds.LOADER),
        (32 * MIB + 0x1000, 32 * MIB - 0x1000, 1),
    ]


def test_the_loader_says_who_it_is() -> None:
    found = told_of(BootContext.zeroed())
    name = found.text(found.found.loader_name, found.found.loader_name_size)
    assert name.decode() == f"Bootslang {version.VERSION}"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == version.VERSION


def test_a_door_without_a_name_is_named_by_its_protocol() -> None:
    for door, name in ((1, b"BIOS"), (2, b"Multiboot 1"), (3, b"Multiboot 2"), (4, b"PVH")):
        context = BootContext.zeroed()
        context.door = door
        told = told_of(context)
        assert told.found.door == door
        assert told.text(told.found.door_name, told.found.door_name_size) == name


def test_a_loader_before_us_that_has_told_its_name_is_called_by_it() -> None:
    context = BootContext.zeroed()
    name = bytearray(b"GRUB 2.06")
    context.loader_name, context.loader_name_size = span(name).address, len(name)
    told = told_of(context)
    assert told.text(told.found.door_name, told.found.door_name_size) == b"GRUB 2.06"


def test_tables_of_the_firmware_and_the_framebuffer_are_passed_on() -> None:
    context = BootContext.zeroed()
    context.rsdp, context.smbios, context.smbios3, context.efi_system_table = 0xF_0000, 0xF_1000, 0xF_2000, 0x7F00_0000
    screen = context.framebuffer
    screen.base, screen.size, screen.pitch, screen.width, screen.height, screen.depth = (
        0xFD00_0000,
        3 * MIB,
        4096,
        1024,
        768,
        32,
    )
    screen.red_size, screen.red_position, screen.green_size, screen.green_position = 8, 16, 8, 8
    screen.blue_size, screen.blue_position = 8, 0
    found = told_of(context).found
    assert (found.rsdp, found.smbios, found.smbios3, found.efi_system_table) == (
        0xF_0000,
        0xF_1000,
        0xF_2000,
        0x7F00_0000,
    )
    seen = found.framebuffer
    assert (seen.physical, seen.size, seen.pitch, seen.width, seen.height, seen.depth) == (
        0xFD00_0000,
        3 * MIB,
        4096,
        1024,
        768,
        32,
    )
    assert (seen.red_position, seen.red_size, seen.green_position, seen.blue_position) == (16, 8, 8, 0)


def test_there_is_room_for_every_name() -> None:
    names = [b"initrd.img", b"", b"x" * 500]
    told = told_of(BootContext.zeroed(), None, *names)
    assert [told.text(place, len(name)) for place, name in zip(told.names, names, strict=True)] == names
    assert told.found.module_count == 3


def test_fields_lie_where_c_puts_them() -> None:
    for struct in (BootInformation, handoff.ModuleInformation, MemoryRegion, handoff.FramebufferInformation):
        assert sizeof(struct) % 8 == 0
    assert offsetof(BootInformation, "framebuffer") % 8 == 0
    assert offsetof(BootInformation, "stamps") % 8 == 0
