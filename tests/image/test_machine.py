"""Does a machine boot what `build` wrote, and what it is meant to fall back on where that is damaged?

The kernel gets no initramfs: its first lines, with the command line of the generation that was booted, are enough.
"""

import subprocess
from pathlib import Path

import pytest

from bootslang import Image, Machine, inspect
from bootslang.emulator import DriveKind
from bootslang.image import format as disk
from bootslang.kernel.debian import cloud_kernel
from support.disks import MIB

pytestmark = pytest.mark.machine

CONSOLE = "console=ttyS0"
START = MIB


def boots(image: Path, words: str, *, kind: DriveKind = "virtio", logical_block_size: int = 512) -> None:
    """Run until the kernel tells its command line, which has to end with `words`."""
    machine = Machine(
        image, kind=kind, logical_block_size=logical_block_size, memory="512M", accel="tcg", snapshot=True
    )
    machine.run(expect=f"Command line: {CONSOLE} {words}", timeout=120).check()


def build(image: Path, words: str, **options: str | int) -> None:
    Image(kernel=cloud_kernel(), command_line=f"{CONSOLE} {words}", **options).build(image)  # type: ignore[arg-type]


def damage(image: Path, offset: int) -> None:
    """Change two bytes of the boot partition."""
    with image.open("r+b") as file:
        file.seek(START + offset)
        old = file.read(2)
        file.seek(START + offset)
        file.write(bytes(byte ^ 0xFF for byte in old))


def test_the_newest_generation_boots_and_what_is_damaged_is_passed_over(tmp_path: Path) -> None:
    image = tmp_path / "disk.img"
    build(image, "generation=1")
    build(image, "generation=2", codec="bzip2")
    boots(image, "generation=2")
    damage(image, disk.MANIFEST_OFFSET + disk.MANIFEST_SLOT_BYTES + 30)
    boots(image, "generation=1")
    damage(image, 300)  # stage 2 in slot A
    boots(image, "generation=1")
    node = inspect(image)
    assert node.boot is not None
    damage(image, disk.LOADER_SLOT_BYTES + node.boot.loader_slots[1].stages[1].offset + 100)  # stage 3 in slot B
    boots(image, "generation=1")
    build(image, "generation=3")
    boots(image, "generation=3")


def test_sectors_of_4096_bytes(tmp_path: Path) -> None:
    image = tmp_path / "disk.img"
    build(image, "sectors=4096", sector_size=4096)
    boots(image, "sectors=4096", kind="nvme", logical_block_size=4096)


def test_an_active_logical_partition(tmp_path: Path) -> None:
    image = tmp_path / "disk.img"
    with image.open("wb") as file:
        file.truncate(64 * MIB)
    table = "label: dos\nstart=2048, size=100000, type=5\nstart=4096, size=90000, type=da, bootable\n"
    subprocess.run(["/usr/sbin/sfdisk", "-q", image], input=table, text=True, check=True, capture_output=True)
    build(image, "partition=5")
    boots(image, "partition=5", kind="ide")
