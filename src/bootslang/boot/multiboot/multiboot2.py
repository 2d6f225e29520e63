"""Multiboot 2: what GRUB's `multiboot2` hands over, under a BIOS and under UEFI, becomes a BootContext.

The loader's main calls `find_screen`, then `gather`, in 64-bit mode, the first 4 GiB mapped; natively in tests. The
information is one piece of memory with a list of tags in it, so all reading stays inside of one span. What has to
outlive it is kept. Source: Multiboot2 Specification 2.0, section 3.6, and GRUB 2.06, grub-core/loader/multiboot_mbi2.c.
"""

from __future__ import annotations

from typing import Final

from bootslang.boot.context import DOOR_MULTIBOOT2, FLAG_EFI64, BootContext
from bootslang.boot.doors import reach
from bootslang.boot.doors.intake import add_memory, add_module, require_memory, set_command_line, set_loader_name
from bootslang.boot.doors.keep import keep
from bootslang.boot.lib.tables import is_rsdp
from bootslang.boot.lib.texts import starts_with, trimmed
from bootslang.boot.multiboot import screen
from bootslang.boot.multiboot.screen import Colours, Screen
from bootslang.slang import BootError, Struct, compile_for, fn, sizeof, span, text, u8, u32, u64, usize

compile_for("long64")

MAX_INFORMATION_BYTES: Final = 0x10_0000
"""GRUB's has 3 to 20 KiB; the largest parts are a UEFI memory map and a DHCP answer."""
TAG_ALIGNMENT: Final = 8

END: Final = 0
COMMAND_LINE: Final = 1
LOADER_NAME: Final = 2
MODULE: Final = 3
MEMORY_SIZES: Final = 4
MEMORY_MAP: Final = 6
FRAMEBUFFER: Final = 8
APM: Final = 10
EFI32_SYSTEM_TABLE: Final = 11
EFI64_SYSTEM_TABLE: Final = 12
ACPI_1: Final = 14
ACPI_2: Final = 15
EFI_MEMORY_MAP: Final = 17
EFI_BOOT_SERVICES: Final = 18
EFI32_IMAGE: Final = 19
EFI64_IMAGE: Final = 20
EFI_TAGS: Final = (EFI32_SYSTEM_TABLE, EFI64_SYSTEM_TABLE, EFI_MEMORY_MAP, EFI32_IMAGE, EFI64_IMAGE)
"""Each of them says that the machine has been started by UEFI: there is no BIOS, and maybe no VGA."""

COLOURS: Final = 24
"""Where a framebuffer's tag has its colours: behind the screen and two bytes that are reserved."""
EFI_LEAST_DESCRIPTOR_BYTES: Final = 40
"""UEFI 2.10, 7.2.3: EFI_MEMORY_DESCRIPTOR; a firmware may have longer ones."""


class Information(Struct):
    size: u32
    """Of everything, this included."""
    reserved: u32


class Tag(Struct):
    kind: u32
    size: u32
    """Of the tag, this included, without what fills up to TAG_ALIGNMENT."""


class ModuleTag(Struct):
    start: u32
    end: u32


class MemorySizes(Struct):
    lower: u32
    """KiB from 0 on."""
    upper: u32
    """KiB from 1 MiB on, up to the first gap."""


class MapTag(Struct):
    line_bytes: u32
    version: u32


class Line(Struct):
    """A line of the memory map; a later version's may be longer."""

    base: u64
    bytes: u64
    kind: u32
    reserved: u32


class EfiMapTag(Struct):
    descriptor_bytes: u32
    descriptor_version: u32


class Efi32(Struct):
    system_table: u32


class Efi64(Struct):
    system_table: u64


@fn
def find_screen(information_address: usize, context: BootContext) -> None:
    """Enter the screen that is told, else the one that a BIOS leaves: whether it was one, more than one tag tells."""
    tags = tags_at(information_address)
    framebuffer = tags[:0]
    under_efi = False
    tag = first_tag(tags)
    while tag.kind != END:
        if tag.kind == FRAMEBUFFER:
            framebuffer = tags[sizeof(Tag) : tag.size]
        under_efi |= tag.kind in EFI_TAGS
        tags = behind(tag, tags)
        tag = first_tag(tags)
    if framebuffer:
        take_screen(context, framebuffer, under_efi)
    elif not under_efi:
        screen.take_text(context, screen.COLUMNS, screen.ROWS)


@fn
def take_screen(context: BootContext, body: span[u8], under_efi: bool) -> None:
    there = Screen.of(whole(FRAMEBUFFER, body, sizeof(Screen)))
    if there.kind == screen.DIRECT_COLOURS:
        whole(FRAMEBUFFER, body, COLOURS + sizeof(Colours))
        screen.take(context, there, body[COLOURS:])
    elif there.kind != screen.TEXT or not under_efi:  # no VGA is touched under UEFI
        screen.take(context, there, body[:0])


@fn
def gather(information_address: usize, context: BootContext) -> None:
    """Enter all that a loader has told by Multiboot 2."""
    context.door = DOOR_MULTIBOOT2
    tags = tags_at(information_address)
    tag = first_tag(tags)
    while tag.kind != END:
        read_tag(context, tag.kind, tags[sizeof(Tag) : tag.size])
        tags = behind(tag, tags)
        tag = first_tag(tags)
    require_memory(context)


@fn
def tags_at(place: usize) -> span[u8]:
    """The tags of the information at `place`."""
    what = text("Multiboot 2, information")
    header = Information.of(reach.view(what, place, sizeof(Information)))
    if not sizeof(Information) <= header.size <= MAX_INFORMATION_BYTES:
        raise BootError(
            f"Multiboot 2: the information has {header.size} bytes: 8 to {MAX_INFORMATION_BYTES} are possible"
        )
    return reach.view(what, place, header.size)[sizeof(Information) :]


@fn
def first_tag(tags: span[u8]) -> Tag:
    """The tag that the rest of the information begins with, which is there as a whole."""
    if len(tags) < sizeof(Tag):
        raise BootError("Multiboot 2: the information has no end tag")
    tag = Tag.of(tags)
    if not sizeof(Tag) <= tag.size <= len(tags):
        raise BootError(
            f"Multiboot 2: tag {tag.kind} has {tag.size} bytes: 8 to the {len(tags)} that are left are possible"
        )
    return tag


@fn
def behind(tag: Tag, tags: span[u8]) -> span[u8]:
    """The tags behind the first one, which is whole: no sum here wraps."""
    size: usize = (tag.size + (TAG_ALIGNMENT - 1)) // TAG_ALIGNMENT * TAG_ALIGNMENT
    return tags[min(size, len(tags)) :]


@fn
def whole(kind: u32, body: span[u8], least: usize) -> span[u8]:
    """What a tag holds, of which `least` bytes are needed."""
    if len(body) < least:
        raise BootError(f"Multiboot 2: tag {kind} holds {len(body)} bytes: {least} are needed")
    return body


@fn
def read_tag(context: BootContext, kind: u32, body: span[u8]) -> None:
    """Enter what one tag tells; those that nobody needs, and later ones, are passed over."""
    if kind == COMMAND_LINE:
        set_command_line(context, trimmed(reach.text_in(body)))
    elif kind == LOADER_NAME:
        set_loader_name(context, reach.text_in(body))
    elif kind == MODULE:
        read_module(context, body)
    elif kind == MEMORY_SIZES:
        context.alt_mem_k = MemorySizes.of(whole(kind, body, sizeof(MemorySizes))).upper
    elif kind == MEMORY_MAP:
        read_map(context, body)
    elif kind == APM:
        context.apm[:] = whole(kind, body, len(context.apm))[: len(context.apm)]
    elif kind in (ACPI_1, ACPI_2):
        read_rsdp(context, kind, body)
    else:
        read_efi_tag(context, kind, body)


@fn
def read_efi_tag(context: BootContext, kind: u32, body: span[u8]) -> None:
    """Enter what the kernel wants to know of UEFI, if it is that."""
    if kind == EFI32_SYSTEM_TABLE:
        context.efi_system_table = Efi32.of(whole(kind, body, sizeof(Efi32))).system_table
    elif kind == EFI64_SYSTEM_TABLE:
        context.efi_system_table = Efi64.of(whole(kind, body, sizeof(Efi64))).system_table
        context.flags |= FLAG_EFI64
    elif kind == EFI_MEMORY_MAP:
        read_efi_map(context, body)
    elif kind == EFI_BOOT_SERVICES:
        raise BootError("Multiboot 2: UEFI's boot services still run: its loader has to end them, as GRUB does")


@fn
def read_module(context: BootContext, body: span[u8]) -> None:
    module = ModuleTag.of(whole(MODULE, body, sizeof(ModuleTag)))
    if module.end < module.start:
        raise BootError(f"Multiboot 2: a module ends at {module.end:#x}, before its start at {module.start:#x}")
    line = trimmed(reach.text_in(body[sizeof(ModuleTag) :]))
    add_module(context, module.start, module.end - module.start, line)


@fn
def read_map(context: BootContext, body: span[u8]) -> None:
    """Enter the lines of the memory map, which are all of one length."""
    line_bytes = MapTag.of(whole(MEMORY_MAP, body, sizeof(MapTag))).line_bytes
    if line_bytes < sizeof(Line):
        raise BootError(f"Multiboot 2: the memory map has lines of {line_bytes} bytes: at least {sizeof(Line)} are due")
    rest = body[sizeof(MapTag) :]
    while len(rest) >= line_bytes:
        line = Line.of(rest)
        add_memory(context, line.base, line.bytes, line.kind)
        rest = rest[line_bytes:]
    if rest:
        raise BootError(f"Multiboot 2: the memory map ends with {len(rest)} bytes that are no line")


@fn
def read_rsdp(context: BootContext, kind: u32, body: span[u8]) -> None:
    """Keep a copy of ACPI's root pointer, the newer of the two that there may be, if it is one."""
    if not starts_with(body, text("RSD PTR ")) or not is_rsdp(body):
        print(f"Multiboot 2: tag {kind} is no ACPI root pointer: passed over")
    elif kind == ACPI_2 or context.rsdp == 0:
        context.rsdp = keep(body).address


@fn
def read_efi_map(context: BootContext, body: span[u8]) -> None:
    """Keep a copy of UEFI's own memory map: Linux calls the firmware's run-time services by it."""
    header = EfiMapTag.of(whole(EFI_MEMORY_MAP, body, sizeof(EfiMapTag)))
    if header.descriptor_bytes < EFI_LEAST_DESCRIPTOR_BYTES:
        raise BootError(f"Multiboot 2: UEFI's memory map has descriptors of {header.descriptor_bytes} bytes")
    kept = keep(body[sizeof(EfiMapTag) :])
    context.efi_map = kept.address
    context.efi_map_size = u32(len(kept))
    context.efi_descriptor_size = header.descriptor_bytes
    context.efi_descriptor_version = header.descriptor_version
