"""Where a disk does not give a sector, does the machine say of what, and which sector it is?

QEMU fails every read of one sector. What stages 1 to 3 say of such a disk is asked in tests/boot/bios/test_machine.py.
"""

import re
from pathlib import Path

import pytest

from bootslang import Image, Machine
from bootslang.emulator import Drive
from bootslang.emulator.drive import ReadError
from bootslang.image import format as disk_format
from bootslang.kernel import debian
from support.disks import MIB
from support.linux import Guests

pytestmark = pytest.mark.machine

CONSOLE = "console=ttyS0"
SECTOR = 512
BOOT_START = MIB
MANIFESTS = BOOT_START + disk_format.MANIFEST_OFFSET


def failing(disk: Path, *offsets: int) -> Machine:
    errors = [ReadError(offset_bytes=offset) for offset in offsets]
    return Machine(Drive(path=disk, read_errors=errors), accel="tcg", memory=256)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("part", "name"),
    [
        ("initrd0", "initrd"),
        ("chunk table of initrd0", "initrd"),
        ("vmlinuz", "kernel"),
        ("chunk table of vmlinuz", "kernel"),
        ("command line", "command line"),
        ("chunk table of command line", "command line"),
    ],
)
def test_a_sector_of_a_blob_that_cannot_be_read(tmp_path: Path, part: str, name: str) -> None:
    guests = Guests(tmp_path)
    disk = guests.disk(debian.cloud_kernel(), bytes(MIB))
    place = guests.places[part]
    bad = (place.start + len(place) // 2) // SECTOR
    message = f"{name}: sector {bad} of the boot disk cannot be read (BIOS error 0x0c)"
    failing(disk, bad * SECTOR).run(expect=message, timeout=60).check()


def test_the_other_manifest_boots_where_one_cannot_be_read(tmp_path: Path) -> None:
    disk = tmp_path / "disk.img"
    for number in (1, 2):
        Image(kernel=debian.cloud_kernel(), command_line=f"{CONSOLE} generation={number}").build(disk)
    for slot, generation in ((0, 2), (1, 1)):
        bad = MANIFESTS + slot * disk_format.MANIFEST_SLOT_BYTES
        outcome = failing(disk, bad).run(expect=f"Command line: {CONSOLE} generation={generation}", timeout=120).check()
        warning = f"manifest: sector {bad // SECTOR} of the boot disk cannot be read (BIOS error 0x0c)"
        assert warning in outcome.console


def test_no_manifest_that_can_be_read(tmp_path: Path) -> None:
    disk = tmp_path / "disk.img"
    Image(kernel=debian.cloud_kernel()).build(disk)
    machine = failing(disk, MANIFESTS, MANIFESTS + disk_format.MANIFEST_SLOT_BYTES)
    message = re.compile(r"no manifest to boot by: slot A cannot be read, slot B cannot be read")
    machine.run(expect=message, timeout=60).check()
