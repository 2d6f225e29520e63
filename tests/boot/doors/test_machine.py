"""Do real loaders tell ours what a machine has, and is all of it understood: command lines, tables, screen?

The first module is no kernel: the boot ends when everything has been read.
"""

import re
from pathlib import Path

import pytest

from bootslang.emulator import Machine
from bootslang.loader import Loader
from support.grub import grub_image

pytestmark = pytest.mark.machine

NO_KERNEL = b"#!/bin/sh\n" * 10
STOPPED = r"the kernel is no ELF file: it begins with 0x622f2123"
WHAT = "option --what is not understood, and passed over"


@pytest.fixture(scope="module")
def loaders(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """The loader's two files, by their class."""
    folder = tmp_path_factory.mktemp("loaders")
    paths = {bits: folder / f"loader.elf{bits}" for bits in (32, 64)}
    for bits, path in paths.items():
        Loader(elf32=bits == 32).build(path)
    return paths


def lines_of(machine: Machine) -> list[str]:
    """What the loader has said, up to where it stopped."""
    console = machine.run(expect=STOPPED, timeout=90).check().console
    return console[console.index(WHAT) : console.index(STOPPED)].splitlines()


@pytest.mark.parametrize(
    ("version", "bits", "firmware"), [("", 32, "bios"), ("2", 32, "bios"), ("2", 64, "bios"), ("2", 64, "ovmf")]
)
def test_what_a_real_grub_tells(
    loaders: dict[int, Path], tmp_path: Path, version: str, bits: int, firmware: str
) -> None:
    """No file's name is taken for an option, all tables are found, and under UEFI the framebuffer is there."""
    files: dict[str, bytes | Path] = {"loader": loaders[bits], "kernel": NO_KERNEL, "initrd": b"initrd"}
    modules = f"module{version} /kernel root=/dev/vda", f"module{version} /initrd"
    commands = f"multiboot{version} /loader --what --verbose ro", *modules
    image = grub_image(tmp_path, *commands, files=files)
    said = lines_of(Machine(image, firmware=firmware, machine="q35", memory=256, accel="tcg"))
    assert said[0] == WHAT
    assert re.fullmatch(r"GRUB 2\.\S+: \d+ lines of memory map, 2 modules", said[1])
    if firmware == "ovmf":
        assert re.fullmatch(r"UEFI's system table at 0x[0-9a-f]{7,}, [1-9]\d{3} bytes of memory map", said[2])
        assert re.fullmatch(r"framebuffer \d{3,4}x\d{3,4}x(24|32) at 0x[0-9a-f]{8}", said[3])
    assert re.fullmatch(r"ACPI 0x[0-9a-f]{5,}, SMBIOS 0x[0-9a-f]{5,}, SMBIOS 3 0x[0-9a-f]+", said[-1])


@pytest.mark.parametrize("machine", ["pc", "q35", "microvm"])
def test_what_qemu_tells_by_pvh(loaders: dict[int, Path], tmp_path: Path, machine: str) -> None:
    """Is ACPI's root pointer found, which QEMU looks for in too small a piece of memory?"""
    module = tmp_path / "kernel"
    module.write_bytes(NO_KERNEL)
    described = Machine(
        kernel=loaders[64], machine=machine, initrd=module, append="--what --verbose", memory=128, accel="tcg"
    )
    said = lines_of(described)
    assert re.fullmatch(r"PVH: \d+ lines of memory map, 1 modules", said[1])
    assert re.fullmatch(r"ACPI 0x[0-9a-f]{5}, SMBIOS .*", said[2])


def test_what_qemu_tells_by_multiboot_1(loaders: dict[int, Path], tmp_path: Path) -> None:
    """The file's name comes first, and is no option of ours, whatever it looks like."""
    loader = tmp_path / "--what"
    loader.write_bytes(loaders[32].read_bytes())
    module = tmp_path / "kernel"
    module.write_bytes(NO_KERNEL)
    machine = Machine(kernel=loader, initrd=f"{module} ro", append="--what --verbose", memory=128, accel="tcg")
    said = lines_of(machine)
    assert said.count(WHAT) == 1
    assert re.fullmatch(r"qemu: \d+ lines of memory map, 1 modules", said[1])
