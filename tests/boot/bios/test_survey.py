"""Does stage 3 write down what a BIOS says of disks, screen, keyboard and power, and nothing where it says nothing?"""

from __future__ import annotations

import struct

import pytest

from bootslang.boot.bios.edd import survey_disks
from bootslang.boot.bios.low_memory import reserve_low_memory
from bootslang.boot.bios.platform import read_apm, read_ist, read_keyboard
from bootslang.boot.bios.video import Controller, Mode, Size, read_text_mode, set_framebuffer
from bootslang.boot.context import LOADER, RESERVED, BootContext, Framebuffer, GateRequest, TextMode
from bootslang.slang import span
from bootslang.slang.memory import memory_at
from support.bios import FakeBios, structure

HARD_DISKS = 0x475
EBDA = 0x40E
CONTEXT = 0x18000
PAGE_TABLES_END = 0x80000
MIB = 0x100000


class DisksBios(FakeBios):
    """Some hard disks: `signatures` of their boot records, None for one that cannot be read."""

    def __init__(self, *signatures: int | None, edd: bool = True, magic: int = 0xAA55) -> None:
        super().__init__()
        self.signatures, self.edd, self.magic = signatures, edd, magic
        self.write_memory(HARD_DISKS, 1, len(signatures))

    def int13(self, request: GateRequest, memory: int) -> bool:
        """Answer AH=02h for the first sector, 08h, 41h, 48h."""
        disk = (request.edx & 0xFF) - 0x80
        function = request.eax >> 8 & 0xFF
        if not 0 <= disk < len(self.signatures):
            return True
        if function == 0x02:
            assert (request.eax & 0xFF, request.ecx, request.edx >> 8) == (1, 1, 0)
            return self.read_boot_record(self.signatures[disk], memory)
        if function == 0x08:
            request.ecx, request.edx = 0xFE_FF, 0xFE_02
            return False
        if function == 0x41 and self.edd:
            request.eax, request.ebx, request.ecx = 0x3000, 0xAA55, 0x0005
        elif function == 0x48 and self.edd:
            (room,) = struct.unpack("<H", memory_at(memory, 2))
            assert room == 74
            memory_at(memory, 74)[:] = struct.pack("<HHIIIQH", 0x1A, 2, 16383, 16, 63, 2048, 512).ljust(74, b"\x11")
        return not self.edd

    def read_boot_record(self, signature: int | None, memory: int) -> bool:
        """Fill memory; True on an error."""
        if signature is None:
            return True
        memory_at(memory, 512)[440:] = struct.pack("<I66xH", signature, self.magic)
        return False


def surveyed(bios: DisksBios) -> BootContext:
    context = BootContext.zeroed()
    with bios:
        survey_disks(context, span(bytearray(4096)))
    return context


def test_disks_are_described_as_the_zero_page_wants_them() -> None:
    """Are EDD data and MBR signatures of each disk what the BIOS and the disk say?"""
    context = surveyed(DisksBios(0x11223344, 0xCAFEBABE))
    assert (context.edd_count, context.mbr_signature_count) == (2, 2)
    assert list(context.mbr_signatures)[:3] == [0x11223344, 0xCAFEBABE, 0]
    second = context.edd[1]
    assert (second.device, second.version, second.interface_support) == (0x81, 0x30, 5)
    assert (second.legacy_cylinder, second.legacy_head, second.legacy_sectors) == (0x3FE, 0xFE, 63)
    assert bytes(second.parameters)[:26] == struct.pack("<HHIIIQH", 0x1A, 2, 16383, 16, 63, 2048, 512)


def test_a_disk_that_cannot_be_read_leaves_its_place_free() -> None:
    """Does the signature of the third disk stand in the third place, though the second one cannot be read?"""
    context = surveyed(DisksBios(1, None, 3))
    assert context.mbr_signature_count == 3
    assert list(context.mbr_signatures)[:3] == [1, 0, 3]


def test_a_sector_without_boot_record_has_no_signature() -> None:
    """Is what stands at byte 440 believed only where the sector ends in 55 AA?"""
    assert surveyed(DisksBios(5, magic=0)).mbr_signature_count == 0


@pytest.mark.parametrize(("count", "edd", "signatures"), [(0, 0, 0), (7, 6, 7), (16, 6, 16), (255, 6, 16)])
def test_the_tables_have_room_for_so_many(count: int, edd: int, signatures: int) -> None:
    """Do more disks than the zero page holds stop at its limits?"""
    context = surveyed(DisksBios(*range(1, count + 1)))
    assert (context.edd_count, context.mbr_signature_count) == (edd, signatures)


def test_disks_without_edd() -> None:
    """Without EDD, are there signatures all the same?"""
    context = surveyed(DisksBios(7, edd=False))
    assert (context.edd_count, context.mbr_signature_count) == (0, 1)


class PlatformBios(FakeBios):
    """Keyboard, SpeedStep and APM; each can be switched off."""

    def __init__(self, *, family: int = 6) -> None:
        super().__init__()
        self.family = family
        self.has_ist = self.has_apm = self.connects = True
        self.connected = False

    def assembly(self, code: str, registers: dict[str, int]) -> dict[str, int]:
        """Answer CPUID 1."""
        if "cpuid" in code:
            return {"eax": self.family << 8, "ebx": 0, "ecx": 0, "edx": 0}
        return super().assembly(code, registers)

    def int16(self, request: GateRequest, memory: int) -> bool:
        """Tell the shift keys; take the repeat rate."""
        del memory
        if request.eax == 0x0200:
            request.eax = 0x0220
        else:
            assert (request.eax, request.ebx) == (0x0305, 0)
        return False

    def int15(self, request: GateRequest, memory: int) -> bool:
        """Answer E980h and 53xxh."""
        del memory
        match request.eax & 0xFFFF:
            case 0xE980 if self.has_ist:
                assert request.edx == 0x47534943
                request.eax, request.ebx, request.ecx, request.edx = 0x47534943, 1, 2, 3
            case 0x5300 if self.has_apm:
                request.eax, request.ebx, request.ecx = 0x0102, 0x504D, 3 | (8 if self.connected else 0)
            case 0x5303 if self.connects:
                self.connected = True
                request.eax, request.ebx, request.ecx, request.edx = 0xF000, 0x8765, 0xF001, 0xF002
                request.esi, request.edi = 0xFFF0_FFF1, 0xFFF2
            case 0x5304:
                self.connected = False
            case _:
                return True
        return False


def test_the_keyboard() -> None:
    """Is the state of the shift keys taken?"""
    context = BootContext.zeroed()
    with PlatformBios():
        read_keyboard(context)
    assert context.keyboard_state == 0x20


def test_speedstep() -> None:
    """Is SpeedStep's answer kept, and not asked for on a processor that is too old for it?"""
    context = BootContext.zeroed()
    with PlatformBios():
        read_ist(context)
    assert list(context.ist) == [0x47534943, 1, 2, 3]
    context = BootContext.zeroed()
    with PlatformBios(family=5) as bios:
        read_ist(context)
    assert (list(context.ist), bios.calls) == ([0] * 4, [])
    with PlatformBios() as bios:
        bios.has_ist = False
        read_ist(context)
    assert list(context.ist) == [0] * 4


def test_apm_is_connected_and_described() -> None:
    """Is APM left connected for 32 bits, with its flags as they are after that?"""
    context = BootContext.zeroed()
    with PlatformBios() as bios:
        read_apm(context)
    assert bios.connected
    assert bytes(context.apm) == struct.pack(
        "<HHIHHHHHH", 0x0102, 0xF000, 0x8765, 0xF001, 0xF002, 11, 0xFFF1, 0xFFF0, 0xFFF2
    )


@pytest.mark.parametrize("what", ["has_apm", "connects"])
def test_without_apm_nothing_is_said(what: str) -> None:
    """Without APM, or without its 32-bit interface, does the field stay zero?"""
    context = BootContext.zeroed()
    with PlatformBios() as bios:
        setattr(bios, what, False)
        read_apm(context)
    assert bytes(context.apm) == bytes(20)


class VideoBios(FakeBios):
    """A VGA with some VBE modes: number → (width, height, depth, attributes)."""

    def __init__(self) -> None:
        super().__init__()
        self.is_vga = True
        self.version = 0x0300
        self.vesa = True
        self.modes = {0x0101: (640, 480, 8, 0x9B), 0x0118: (1024, 768, 32, 0x9B), 0x0144: (1024, 768, 32, 0x1B)}
        self.endless = False
        self.refuses = False
        self.set_to: int | None = None
        for address, size, value in ((0x44A, 2, 80), (0x484, 1, 24), (0x485, 2, 16)):
            self.write_memory(address, size, value)

    def read_memory(self, address: int, size: int) -> int:
        """Tell the list of modes, at C000:1000."""
        if 0xC1000 <= address < 0xC3000:
            numbers = [*self.modes, 0xFFFF]
            index = (address - 0xC1000) // 2
            return 0x0101 if self.endless else numbers[index]
        return super().read_memory(address, size)

    def int10(self, request: GateRequest, memory: int) -> bool:
        """Answer the calls about text and VBE."""
        function = request.eax & 0xFFFF
        if function >> 8 == 0x0F:
            request.eax, request.ebx = 0x5003, 0x0000
        elif function >> 8 == 0x03:
            request.edx, request.ecx = 0x0A0B, 0x0D0E
        elif function >> 8 == 0x12:
            request.ebx = 0x0003
        elif function >> 8 == 0x1A and self.is_vga:
            request.eax = 0x1A1A
        elif function >> 8 == 0x4F and self.vesa:
            request.eax = 0x004F if self.vbe(function, request, memory) else 0x014F
        return False

    def vbe(self, function: int, request: GateRequest, memory: int) -> bool:
        """Answer VBE; True if the call worked."""
        if function == 0x4F00:
            info = structure(Controller, memory)
            assert info.signature == 0x32454256
            info.signature, info.version = 0x41534556, self.version
            info.modes_offset, info.modes_segment = 0x1000, 0xC000
            return True
        if function == 0x4F01:
            mode = structure(Mode, memory)
            mode.width, mode.height, mode.depth, mode.attributes = self.modes[request.ecx]
            mode.memory_model, mode.base = 6, 0xFD00_0000
            mode.pitch, mode.linear_pitch = 4000, 4096
            mode.red_size, mode.red_position, mode.linear_red_size, mode.linear_red_position = 5, 10, 8, 16
            return True
        if function == 0x4F02:
            self.set_to = request.ebx
            return not self.refuses
        assert function == 0x4F0A
        request.es, request.edi = 0xC000, 0x4321
        return True


def framebuffer_by(bios: VideoBios, width: int, height: int, depth: int) -> Framebuffer:
    framebuffer = Framebuffer.zeroed()
    with bios:
        set_framebuffer(framebuffer, Size(width=width, height=height, depth=depth), span(bytearray(1024)))
    return framebuffer


def test_the_text_screen() -> None:
    """Is the text mode what INT 10h says, on a VGA and on an older adapter?"""
    text_mode = TextMode.zeroed()
    with VideoBios():
        read_text_mode(text_mode)
    assert (text_mode.mode, text_mode.columns, text_mode.rows, text_mode.is_vga) == (3, 80, 25, 1)
    assert (text_mode.cursor_column, text_mode.cursor_row, text_mode.font_points) == (0x0B, 0x0A, 16)
    text_mode = TextMode.zeroed()
    with VideoBios() as bios:
        bios.is_vga = False
        read_text_mode(text_mode)
    assert text_mode.is_vga == 0


def test_no_framebuffer_unless_asked_for() -> None:
    """Without `--framebuffer`, is VBE not even asked?"""
    bios = VideoBios()
    assert framebuffer_by(bios, 0, 0, 0).base == 0
    assert bios.calls == []


@pytest.mark.parametrize(("version", "pitch", "red"), [(0x0300, 4096, (8, 16)), (0x0200, 4000, (5, 10))])
def test_a_framebuffer(version: int, pitch: int, red: tuple[int, int]) -> None:
    """Is the mode of the right size with a linear framebuffer set, and described by the fields of its VBE version?"""
    bios = VideoBios()
    bios.version = version
    framebuffer = framebuffer_by(bios, 1024, 768, 32)
    assert bios.set_to == 0x4118
    assert (framebuffer.base, framebuffer.pitch, framebuffer.size) == (0xFD00_0000, pitch, pitch * 768)
    assert (framebuffer.width, framebuffer.height, framebuffer.depth) == (1024, 768, 32)
    assert (framebuffer.red_size, framebuffer.red_position) == red
    assert (framebuffer.protected_mode_segment, framebuffer.protected_mode_offset) == (0xC000, 0x4321)


@pytest.mark.parametrize("lacking", ["size", "linear", "vesa", "version", "refuses", "end"])
def test_without_such_a_mode_text_stays(lacking: str) -> None:
    """Where the mode is not there or cannot be set, or the list has no end, does text mode stay?"""
    bios = VideoBios()
    width = 800 if lacking == "size" else 1024
    if lacking == "linear":
        del bios.modes[0x0118]
    bios.vesa = lacking != "vesa"
    bios.version = 0x0102 if lacking == "version" else 0x0300
    bios.refuses = lacking == "refuses"
    bios.endless = lacking == "end"
    assert framebuffer_by(bios, width, 768, 32).base == 0
    assert bios.set_to is None or lacking == "refuses"


@pytest.mark.parametrize(
    ("kib", "ebda", "firmware"),
    [
        (639, 0x9FC0, 0x9FC00),
        (640, 0x9FC0, 0x9FC00),
        (640, 0, 0xA0000),
        (600, 0x9FC0, 0x96000),
        (1023, 0x1234, 0xA0000),
    ],
    ids=["as usual", "an area that INT 12h does not count", "no such area", "INT 12h below it", "nonsense"],
)
def test_low_memory_between_loader_and_firmware_is_free(kib: int, ebda: int, firmware: int) -> None:
    """Do the reservations leave free what neither the loader nor the firmware holds?"""

    class LowMemoryBios(FakeBios):
        def int12(self, request: GateRequest, memory: int) -> bool:
            del memory
            request.eax = kib
            return False

    context = BootContext.zeroed()
    with LowMemoryBios() as bios:
        bios.write_memory(EBDA, 2, ebda)
        reserve_low_memory(context)
    taken = [(entry.base, entry.size) for entry in list(context.reservations)[: context.reservation_count]]
    assert taken == [(0, CONTEXT), (CONTEXT, PAGE_TABLES_END - CONTEXT), (firmware, MIB - firmware)]
    kinds = [entry.kind for entry in list(context.reservations)[: context.reservation_count]]
    assert kinds == [RESERVED, LOADER, RESERVED], "what the kernel may use again when the loader is spent"
