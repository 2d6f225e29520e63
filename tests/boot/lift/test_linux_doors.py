"""Does Linux come through the doors whole: moved where it can be, its files moved where it cannot, and with its UEFI?

tests/system/test_doors.py boots it through every door; here is what is particular to stage 4.
"""

import re
import struct
from pathlib import Path

import pytest

from bootslang.kernel import debian
from support.doors import MULTIBOOT1_GRUB, MULTIBOOT1_QEMU, MULTIBOOT2_UEFI, Door, Form, Payload
from support.linux import COMMAND_LINE, Report, initramfs, run

pytestmark = pytest.mark.machine

MEMORY = 512
FIRST_PLACE = 0x100_0000
"""Where a vmlinux is linked to run. QEMU puts its first module into 12 MiB and what follows: over it."""


def boot(tmp_path: Path, door: Door, form: Form, kernel: Path, busybox: Path) -> Report:
    return run(door.machine(tmp_path, form, payload(tmp_path, kernel, busybox), MEMORY, options="--verbose"))


def payload(tmp_path: Path, kernel: Path, busybox: Path) -> Payload:
    initrd = tmp_path / "initrd"
    initrd.write_bytes(initramfs(busybox))
    return Payload(kernel, [initrd], COMMAND_LINE)


def kernel_place(report: Report) -> int:
    found = re.search(r"^kernel for (0x[0-9a-f]+), ", report.console, re.MULTILINE)
    assert found
    return int(found[1], 16)


@pytest.mark.parametrize(
    ("door", "form"),
    [
        (MULTIBOOT1_QEMU, "module"),
        pytest.param(MULTIBOOT1_QEMU, "bundle", marks=pytest.mark.slow),
        pytest.param(MULTIBOOT1_QEMU, "sealed", marks=pytest.mark.slow),
        pytest.param(MULTIBOOT1_GRUB, "module", marks=pytest.mark.slow),
    ],
    ids=lambda value: value.name if isinstance(value, Door) else str(value),
)
def test_a_32_bit_vmlinux_gets_the_place_that_its_own_file_has(tmp_path: Path, door: Door, form: Form) -> None:
    report = boot(tmp_path, door, form, debian.i386_vmlinux(), debian.i386_busybox())
    assert kernel_place(report) == FIRST_PLACE
    assert report.value("machine") == "i686"


def test_a_64_bit_one_goes_elsewhere(tmp_path: Path) -> None:
    report = boot(tmp_path, MULTIBOOT1_QEMU, "module", debian.cloud_vmlinux(), debian.amd64_busybox())
    assert kernel_place(report) > FIRST_PLACE
    assert report.value("machine") == "x86_64"


@pytest.mark.parametrize("memory", [6144, pytest.param(MEMORY, marks=pytest.mark.slow)])
def test_uefi_goes_on_to_serve_linux(tmp_path: Path, memory: int) -> None:
    what = payload(tmp_path, debian.cloud_kernel(), debian.amd64_busybox())
    report = run(MULTIBOOT2_UEFI.machine(tmp_path, "module", what, memory))
    page = report.zero_page
    signature, system_table, descriptor, version, place, size = struct.unpack_from("<4s5I", page, 0x1C0)
    assert (signature, version) == (b"EL64", 1)
    assert 0 not in {system_table, place, size}
    assert size % descriptor == 0
    assert page[0xF] == 0x70, "efifb's framebuffer"
    assert struct.unpack_from("<Q", page, 0x70) != (0,), "ACPI's root pointer"
    assert "Registered efivars operations" in report.console, "the runtime services answer"
    assert "memattr" not in report.console, "the tables that the boot services left are whole"
