"""Is the boot information what QEMU was told, and what Linux sees of the same machine?"""

import re
from pathlib import Path

import pytest

from bootslang import Image, Machine
from bootslang.boot.handoff import (
    MEMORY_ACPI_NVS,
    MEMORY_ACPI_RECLAIMABLE,
    MEMORY_KERNEL,
    MEMORY_LOADER,
    MEMORY_MODULE,
    MEMORY_RAM,
    MEMORY_RESERVED,
)
from bootslang.kernel import debian
from support import doors
from support import handoff as guest
from support.doors import DOORS, Door, Payload
from support.handoff import BootReport, Guests, Region

pytestmark = pytest.mark.machine

PAGE = 0x1000
KIB = 1 << 10
MIB = 1 << 20
GIB = 1 << 30
LINUX_KINDS = {
    "usable": MEMORY_RAM,
    "reserved": MEMORY_RESERVED,
    "ACPI data": MEMORY_ACPI_RECLAIMABLE,
    "ACPI NVS": MEMORY_ACPI_NVS,
    "type 20": 20,  # GRUB's word for UEFI's code
}
HELD_MAX = 3 * MIB
"""What the loader may hold: 2 MiB of its own, stack and all, and the page tables of the kernel and the direct map."""
RED, GREEN, BLUE = b"\xff\0\0", b"\0\xff\0", b"\0\0\xff"
SCREEN_HOLE = range(0xA_0000, 0xF_0000)
"""Screen and option ROMs: a PC's memory that is no RAM, and that a BIOS does not tell of."""
EACH_DOOR = [
    pytest.param(
        door,
        memory,
        id=f"{door.name}-{memory}",
        marks=() if memory == 512 and door in {doors.MULTIBOOT2_UEFI, doors.BIOS} else pytest.mark.slow,
    )
    for memory in (512, 6144)
    for door in reversed(DOORS)
]
"""The two firmwares always; the others tell what these have said."""


LINE = "console=ttyS0 tsc_early_khz=1000000"
"""No early console: it does not wait for the line, and loses characters. On microvm Linux has to be told the TSC."""


def form_of(door: Door) -> doors.Form:
    return "disk" if door is doors.BIOS else "module"


def own_report(folder: Path, guests: Guests, door: Door, memory: int) -> BootReport:
    return guest.run(door.machine(folder, form_of(door), Payload(guests.path("low")), memory))


def linux_messages(machine: Machine) -> str:
    """What Linux prints until it has found the ACPI tables."""
    return machine.run(expect=re.compile(r"ACPI: RSDP .*\n"), timeout=240).check().console


def linux_map(messages: str) -> list[Region]:
    """Its lines of the firmware's map, neighbours of one kind as one."""
    lines = re.findall(r"BIOS-e820: \[mem 0x(\w+)-0x(\w+)\] (.*?)\r?$", messages, re.MULTILINE)
    return [
        Region(int(first, 16), int(last, 16) + 1 - int(first, 16), LINUX_KINDS[kind]) for first, last, kind in lines
    ]


def with_screen_hole(regions: list[Region]) -> list[Region]:
    """The map with all from 0xA0000 to 1 MiB reserved: Linux, entered by PVH, adds this itself."""
    below = [Region(region.base, min(region.size, SCREEN_HOLE.start - region.base), region.kind) for region in regions]
    return [region for region in below if region.size > 0] + [region for region in regions if region.base >= MIB]


def linux_rsdp(messages: str) -> int:
    found = re.search(r"ACPI: RSDP 0x(\w+)", messages)
    assert found, messages
    return int(found[1], 16)


@pytest.mark.parametrize(("door", "memory"), EACH_DOOR)
def test_linux_sees_the_same_memory(tmp_path: Path, guests: Guests, door: Door, memory: int) -> None:
    """And the same ACPI tables."""
    report = own_report(tmp_path, guests, door, memory)
    payload = Payload(debian.cloud_vmlinux(), command_line=LINE)
    (tmp_path / "linux").mkdir()
    messages = linux_messages(door.machine(tmp_path / "linux", form_of(door), payload, memory))
    assert report.firmware_map == linux_map(messages)
    assert report.bytes_of(MEMORY_LOADER) <= HELD_MAX
    assert report.numbers("tables")[0][0] == linux_rsdp(messages)
    assert ("efi: EFI v" in messages) == ("uefi" in door.name)


@pytest.mark.parametrize("board", ["q35", "microvm"])
def test_qemu_tells_linux_the_same_without_us(tmp_path: Path, guests: Guests, board: str) -> None:
    door = {"q35": doors.PVH_Q35, "microvm": doors.PVH_MICROVM}[board]
    direct = Machine(kernel=debian.cloud_vmlinux(), append=LINE, machine=board, memory=512, accel="tcg")
    messages = linux_messages(direct)
    report = own_report(tmp_path, guests, door, 512)
    assert with_screen_hole(report.firmware_map) == with_screen_hole(linux_map(messages))
    assert report.numbers("tables")[0][0] == linux_rsdp(messages)


@pytest.mark.parametrize(
    ("mebibytes", "below_4_gib"), [(64, 64 * MIB), (512, 512 * MIB), (6144, 3 * GIB)], ids=["64M", "512M", "6G"]
)
def test_all_memory_is_accounted_for(tmp_path: Path, guests: Guests, mebibytes: int, below_4_gib: int) -> None:
    """To the page: what QEMU was told is there, and all of it is the kernel's but for what the map says."""
    (tmp_path / "module").write_bytes(bytes(5 * PAGE + 1))
    payload = Payload(guests.path("low"), [tmp_path / "module"])
    report = guest.run(doors.BIOS.machine(tmp_path, "disk", payload, mebibytes))
    told = sum(region.size for region in report.memory if region.base < below_4_gib)
    assert told + len(SCREEN_HOLE) == below_4_gib
    high = [region for region in report.memory if 4 * GIB <= region.base < 256 * GIB]
    assert sum(region.size for region in high) == mebibytes * MIB - below_4_gib
    _, _, kernel_bytes, _ = report.numbers("kernel")[0]
    assert report.bytes_of(MEMORY_KERNEL) == kernel_bytes
    assert report.bytes_of(MEMORY_MODULE) == 6 * PAGE
    assert report.bytes_of(MEMORY_LOADER) <= HELD_MAX
    firmware_ram = sum(region.size for region in report.firmware_map if region.kind == MEMORY_RAM)
    held = report.bytes_of(MEMORY_KERNEL, MEMORY_MODULE, MEMORY_LOADER)
    assert report.bytes_of(MEMORY_RAM) == firmware_ram - held


@pytest.mark.parametrize("door", [doors.BIOS, doors.MULTIBOOT2_UEFI], ids=["bios", "uefi"])
def test_what_is_painted_into_the_framebuffer_is_seen(tmp_path: Path, guests: Guests, door: Door) -> None:
    """A kernel paints a red, a green and a blue column; the monitor photographs the screen."""
    if door is doors.BIOS:
        Image(kernel=guests.path("low"), command_line="paint", framebuffer=(640, 480, 32)).build(tmp_path / "disk.img")
        machine = Machine(tmp_path / "disk.img", memory=64, accel="tcg")
    else:
        machine = door.machine(tmp_path, "module", Payload(guests.path("low"), command_line="paint"), 128)
    with machine.start() as running:
        running.expect("painted", timeout=180)
        running.execute("screendump", filename=str(tmp_path / "screen.ppm"))
    kind, width, height, _, pixels = (tmp_path / "screen.ppm").read_bytes().split(maxsplit=4)
    assert kind == b"P6"
    columns, rows = int(width), int(height)
    assert len(pixels) == columns * rows * 3
    middle = pixels[rows // 2 * columns * 3 :][: columns * 3]
    third = columns // 3
    assert middle == RED * third + GREEN * third + BLUE * (columns - 2 * third)
