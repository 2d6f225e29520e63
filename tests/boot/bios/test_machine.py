"""Do stages 1 to 3 run on whole machines: do they find every disk, and say what is wrong with a damaged one?

A small stage 4 of the tests' own (support/guests/report_context.py) prints what they have left in BootContext.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from bootslang.boot.context import LOADER, RESERVED
from bootslang.boot.layout import CONTEXT, STAGE4
from support.bios_disk import DISK_SIGNATURE, PASSED, Disk, Outcome, run
from support.bochs import run_bochs
from support.linked import linked

pytestmark = pytest.mark.machine

SECTORS_A_SLOT = 512


def disk(**options: Any) -> Disk:
    return Disk(lift=linked("support.guests.report_context", "protected32", STAGE4), **options)


def file_of(path: Path, interface: str = "ide") -> tuple[str, str]:
    return "-drive", f"file={path},format=raw,if={interface}"


def attached(path: Path, *device: str) -> tuple[str, ...]:
    """A disk that hangs on devices of its own."""
    options = [word for text in device for word in ("-device", text)]
    return "-drive", f"file={path},format=raw,if=none,id=boot", *options


def boot(image: Disk, folder: Path, *arguments: str) -> Outcome:
    return run(*file_of(image.write(folder / "disk.img")), arguments=("-m", "64", *arguments))


def assert_arrived(outcome: Outcome) -> None:
    """Stage 4 has run, its gate has kept its promises, and it has read the boot sector through it."""
    assert outcome.exit_code == PASSED, outcome.text
    assert "read 0 55 aa" in outcome.text
    assert "beyond 1" in outcome.text
    assert "a20 0 True" in outcome.text
    assert outcome.text.count("kept True") == 4


def test_what_stage_4_is_told(tmp_path: Path) -> None:
    """Does BootContext hold what this machine has?"""
    outcome = boot(disk(), tmp_path)
    assert_arrived(outcome)
    assert outcome.text.startswith("door 1 flags 6 drive 80\r\nsector 200 call 7f partition 800\r\n")
    memory = outcome.values("memory")
    assert [0, 0x9FC00, 1] in memory
    assert [0x100000, 0x3EE0000, 1] in memory
    low, loader, firmware = outcome.values("reserved")
    assert low == [0, CONTEXT, RESERVED]
    assert loader == [CONTEXT, 0x80000 - CONTEXT, LOADER]
    assert firmware == [0x9FC00, 0x60400, RESERVED]
    assert outcome.values("signature") == [[DISK_SIGNATURE, 0]]
    ((rsdp, smbios, _),) = outcome.values("tables")
    assert 0xF0000 <= rsdp < 0x100000
    assert 0xF0000 <= smbios < 0x100000
    assert outcome.values("text") == [[3, 80, 25, 1]]
    assert outcome.values("framebuffer") == [[0, 0, 0, 0]]
    assert "stamps True True True" in outcome.text


def test_screen_serial_port_and_debug_port_show_the_same(tmp_path: Path) -> None:
    """Is what COM1 says on port 0xE9, byte by byte, and on the screen?"""
    debug = tmp_path / "debug"
    outcome = boot(disk(verbose=True), tmp_path, "-debugcon", f"file:{debug}")
    assert_arrived(outcome)
    assert debug.read_bytes().decode() == outcome.text
    lines = [line.rstrip() for line in outcome.text.splitlines()]
    shown = next(index for index, line in enumerate(lines) if line.startswith("screen "))
    assert lines[shown].removeprefix("screen ") == lines[shown - 1]


def test_verbose(tmp_path: Path) -> None:
    """With `--verbose`, does each step tell itself?"""
    outcome = boot(disk(verbose=True), tmp_path)
    assert_arrived(outcome)
    for step in (
        "stage 2: drive 0x80, 512-byte sectors, 127 a call",
        "stage 2: packets: True; boot partition at sector 2048",
        "stage 3: 1 hard disks, 1 described by EDD",
    ):
        assert step in outcome.text


def test_a_framebuffer(tmp_path: Path) -> None:
    """Is the mode set that was asked for, and is the text on COM1 all the same?"""
    outcome = boot(disk(framebuffer=(800, 600, 32)), tmp_path)
    assert_arrived(outcome)
    assert outcome.values("framebuffer") == [[800, 600, 32, 3200]]


def test_a_framebuffer_that_is_not_there(tmp_path: Path) -> None:
    """Does a machine without the mode say so and go on in text mode?"""
    outcome = boot(disk(framebuffer=(801, 600, 32)), tmp_path)
    assert_arrived(outcome)
    assert "No framebuffer of 801x600x32 on this machine: text mode stays." in outcome.text


def test_a_processor_without_long_mode(tmp_path: Path) -> None:
    """Does a Pentium get the 32-bit stage 4?"""
    outcome = boot(disk(), tmp_path, "-cpu", "pentium")
    assert_arrived(outcome)
    assert "flags 2 drive 80" in outcome.text


def test_a_processor_without_its_stage_4(tmp_path: Path) -> None:
    """Is a disk without a 32-bit stage 4 an error on a Pentium?"""
    outcome = boot(disk(records=("lift64",)), tmp_path, "-cpu", "pentium")
    assert "this processor has no long mode (64 bits), but this disk's kernel is a 64-bit one" in outcome.text


def test_an_isa_pc(tmp_path: Path) -> None:
    """Does a machine without PCI boot, and its own 486 say that it is too old?"""
    assert_arrived(boot(disk(), tmp_path, "-M", "isapc", "-cpu", "qemu64"))
    outcome = boot(disk(), tmp_path, "-M", "isapc")
    assert "this processor is an 80486: Bootslang needs a Pentium or later" in outcome.text


def test_a_floppy(tmp_path: Path) -> None:
    """Is a drive without packets, DL = 0, read by cylinders and heads, here and in stage 4?"""
    image = disk(partition_lba=1)
    path = image.write(tmp_path / "disk.img")
    with path.open("r+b") as file:
        file.truncate(1440 * 1024)
    outcome = run(*file_of(path, "floppy"), arguments=("-m", "64"))
    assert_arrived(outcome)
    assert "drive 0\r\n" in outcome.text


def test_4096_byte_sectors(tmp_path: Path) -> None:
    """Does a disk with large sectors boot, and stage 4 learn how many a call may read?"""
    path = disk(sector_size=4096, partition_lba=256).write(tmp_path / "disk.img")
    nvme = "nvme,serial=1,drive=boot,logical_block_size=4096,physical_block_size=4096"
    outcome = run(*attached(path, nvme), arguments=("-M", "q35", "-m", "64"))
    assert_arrived(outcome)
    assert "sector 1000 call f partition 100" in outcome.text


@pytest.mark.slow
@pytest.mark.parametrize(
    "devices",
    [
        ("virtio-blk-pci,drive=boot",),
        ("ich9-ahci,id=ahci", "ide-hd,drive=boot,bus=ahci.0"),
        ("nvme,serial=1,drive=boot",),
        ("qemu-xhci", "usb-storage,drive=boot"),
        ("lsi", "scsi-hd,drive=boot"),
        ("virtio-scsi-pci", "scsi-hd,drive=boot"),
    ],
    ids=["virtio", "AHCI", "NVMe", "USB", "LSI", "virtio-scsi"],
)
def test_every_kind_of_disk(tmp_path: Path, devices: tuple[str, ...]) -> None:
    """Does the BIOS's every disk boot?"""
    path = disk().write(tmp_path / "disk.img")
    assert_arrived(run(*attached(path, *devices), arguments=("-m", "64")))


def test_a_sector_beyond_32_bits(tmp_path: Path) -> None:
    """Does stage 4 reach a sector above 2^32 through the gate?"""
    path = disk().write(tmp_path / "disk.img")
    with path.open("r+b") as file:
        file.truncate(3 << 40)
        file.seek((2**32 + 5) * 512)
        file.write(b"\xfa" + bytes(510) + b"\xce")
    outcome = run(*file_of(path), arguments=("-m", "64"))
    assert_arrived(outcome)
    assert outcome.values("far") == [[0, 0xFA, 0xCE]]


def test_another_disk_than_the_first(tmp_path: Path) -> None:
    """Where another disk comes first in the machine, is the one that boots the one that is read?"""
    other = tmp_path / "other.img"
    other.write_bytes(bytes(510) + b"\x55\xaa" + bytes(1 << 20))
    path = disk().write(tmp_path / "disk.img")
    drives = (*file_of(other), *attached(path, "virtio-blk-pci,drive=boot,bootindex=0"))
    outcome = run(*drives, arguments=("-m", "64"))
    assert_arrived(outcome)
    assert "edd 2 " in outcome.text


def test_the_second_drive_through_another_loader(tmp_path: Path) -> None:
    """Started by GRUB's `chainloader` with DL = 81h, is drive 81h the one that every stage reads?"""
    script = tmp_path / "load.cfg"
    script.write_text("set root=hd1\nchainloader (hd1)+1\nboot\n")
    core = tmp_path / "core.img"
    modules = ("biosdisk", "chain", "boot")
    subprocess.run(
        ["grub-mkimage", "-O", "i386-pc", "-p", "(hd0)/x", "-c", str(script), "-o", str(core), *modules], check=True
    )
    grub = tmp_path / "grub.img"
    first = Path("/usr/lib/grub/i386-pc/boot.img").read_bytes()[:510] + b"\x55\xaa"
    grub.write_bytes((first + core.read_bytes()).ljust(1 << 20, b"\0"))
    outcome = run(*file_of(grub), *file_of(disk().write(tmp_path / "disk.img")), arguments=("-m", "64"))
    assert_arrived(outcome)
    assert "drive 81\r\n" in outcome.text
    assert "signatures 2" in outcome.text


def test_the_bios_of_bochs(tmp_path: Path) -> None:
    """Does another PC's BIOS carry stages 1 to 3 and the gate as well?"""
    text = run_bochs(disk().write(tmp_path / "disk.img"), tmp_path, until="a20 ")
    assert_arrived(Outcome(text, PASSED))


@pytest.mark.parametrize("stage", ["stage 2", "survey", "lift64"])
def test_a_flipped_bit_in_one_slot(tmp_path: Path, stage: str) -> None:
    """With a bit flipped in slot A's copy of a stage, is slot B's taken?"""
    image = disk(verbose=True)
    image.slots[0][image.places.get(stage, 0) + 200] ^= 1
    outcome = boot(image, tmp_path)
    assert_arrived(outcome)
    expected = {"survey": "stage 3, ", "lift64": "stage 4, "}.get(stage)
    if expected:
        assert any(expected in line and "from slot 1" in line for line in outcome.text.splitlines())


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        ("stage 2", "S"),
        ("survey", "stage 3 is damaged in both loader slots: install it again"),
        ("lift64", "stage 4 is damaged in both loader slots: install it again"),
    ],
)
def test_a_flipped_bit_in_both_slots(tmp_path: Path, stage: str, message: str) -> None:
    """With both copies damaged, is the stage named?"""
    image = disk()
    for slot in image.slots:
        slot[image.places.get(stage, 0) + 200] ^= 1
    path = image.write(tmp_path / "disk.img")
    if stage == "stage 2":
        outcome = run(*file_of(path), arguments=("-m", "64"), until=message)
        assert outcome.text == message
    else:
        assert message in run(*file_of(path), arguments=("-m", "64")).text


def test_no_active_partition(tmp_path: Path) -> None:
    """Without an active partition, is the letter P on COM1?"""
    path = disk(active=None).write(tmp_path / "disk.img")
    assert run(*file_of(path), arguments=("-m", "64"), until="P").text == "P"


def failing(path: Path, folder: Path, *sectors: int) -> tuple[str, ...]:
    """A disk of which some sectors cannot be read."""
    rules = folder / "rules"
    rules.write_text("".join(f'[inject-error]\nevent = "read_aio"\nsector = "{sector}"\n' for sector in sectors))
    drive = f"driver=raw,file.driver=blkdebug,file.config={rules},file.image.driver=file,file.image.filename={path}"
    return "-drive", f"{drive},if=ide"


def test_a_disk_that_fails(tmp_path: Path) -> None:
    """With unreadable sectors in a stage, is the other slot read, and where that fails too, the stage named?"""
    image = disk()
    path = image.write(tmp_path / "disk.img")
    survey = image.partition_lba + image.places["survey"] // 512
    drive = failing(path, tmp_path, survey + 3)
    assert_arrived(run(*drive, arguments=("-m", "64")))
    drive = failing(path, tmp_path, survey + 3, survey + SECTORS_A_SLOT)
    outcome = run(*drive, arguments=("-m", "64"))
    assert "stage 3 cannot be read from drive 0x80 (BIOS error 0x0c)" in outcome.text
    drive = failing(path, tmp_path, image.partition_lba, image.partition_lba + SECTORS_A_SLOT)
    assert run(*drive, arguments=("-m", "64"), until="R").text == "R"
