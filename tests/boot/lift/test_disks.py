"""Does Linux boot from every kind of disk that a BIOS knows, wherever on it the boot partition lies?"""

import struct
import subprocess
from pathlib import Path

import pytest

from bootslang import Image, Machine
from bootslang.emulator import Drive, DriveKind
from bootslang.emulator.drive import ReadError
from bootslang.kernel import debian
from support.linux import COMMAND_LINE, Guests, fails, initramfs, run

pytestmark = pytest.mark.machine

MIB = 1 << 20
GRUB = Path("/usr/lib/grub/i386-pc")
BOOT_CONFIGURATION = "set root=(hd1)\nchainloader +1\nboot\n"
"""GRUB gives the boot sector the number of the disk that `root` names."""


@pytest.fixture
def guests(tmp_path: Path) -> Guests:
    return Guests(tmp_path)


def system() -> bytes:
    return initramfs(debian.amd64_busybox())


def boots(machine: Machine) -> None:
    assert run(machine).value("command line") == f"[{COMMAND_LINE}]"


@pytest.mark.parametrize(
    ("kind", "machine"),
    [
        ("ahci", "q35"),
        ("nvme", "q35"),
        *(
            pytest.param(kind, "pc", marks=pytest.mark.slow)
            for kind in ("virtio", "usb", "usb-ehci", "usb-uhci", "lsi", "megasas", "pvscsi", "virtio-scsi")
        ),
    ],
)
def test_linux_boots_from_every_kind_of_disk(guests: Guests, kind: DriveKind, machine: str) -> None:
    disk = guests.disk(debian.cloud_kernel(), system())
    boots(Machine(disk, accel="tcg", memory=256, kind=kind, machine=machine))


def test_linux_boots_from_sectors_of_4096_bytes(guests: Guests) -> None:
    disk = guests.disk(debian.cloud_kernel(), system(), sector_size=4096, codec="bzip2")
    boots(Machine(disk, accel="tcg", memory=256, kind="nvme", machine="q35", logical_block_size=4096))


@pytest.mark.slow
def test_linux_boots_on_a_pc_without_pci(guests: Guests) -> None:
    disk = guests.disk(debian.cloud_kernel(), system())
    boots(Machine(disk, accel="tcg", memory=256, machine="isapc", cpu="qemu64"))


def test_linux_boots_from_another_disk_than_the_first(guests: Guests) -> None:
    disk = guests.disk(debian.cloud_kernel(), system())
    other = guests.folder / "other.img"
    other.write_bytes(bytes(510) + b"\x55\xaa" + bytes(MIB))
    boots(Machine(Drive(path=other), Drive(path=disk, kind="virtio", boot_index=0), accel="tcg", memory=256))


@pytest.mark.slow
def test_linux_boots_as_drive_81h_from_a_boot_manager(guests: Guests) -> None:
    disk = guests.disk(debian.cloud_kernel(), system(), verbose=True)
    grub = guests.folder / "grub.img"
    configuration = guests.folder / "grub.cfg"
    configuration.write_text(BOOT_CONFIGURATION)
    core = guests.folder / "core.img"
    modules = ["biosdisk", "boot", "chain"]
    subprocess.run(
        ["grub-mkimage", "-O", "i386-pc", "-p", "/", "-c", configuration, "-o", core, *modules], check=True, timeout=60
    )
    grub.write_bytes(((GRUB / "boot.img").read_bytes() + core.read_bytes()).ljust(4 * MIB, b"\0"))
    report = run(Machine(grub, disk, accel="tcg", memory=256))
    assert "stage 2: drive 0x81, 512-byte sectors" in report.console
    assert f"[{COMMAND_LINE}]" in report.console


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["nvme", "ahci", "virtio"])
def test_linux_boots_from_beyond_sector_2_to_the_32(guests: Guests, kind: DriveKind) -> None:
    disk = guests.folder / "huge.img"
    first, sectors = 0xFFFF_FC00, 0x2_0000
    with disk.open("wb") as file:
        file.truncate((first + sectors) * 512)
        file.write(bytes(446) + struct.pack("<B3xB3xII", 0x80, 0xDA, first, sectors) + bytes(48) + b"\x55\xaa")
    initrd = guests.folder / "initrd"
    initrd.write_bytes(system())
    report = Image(kernel=debian.cloud_kernel(), initrds=[initrd], command_line=COMMAND_LINE).build(disk)
    places = {write.what: first + write.offset // 512 for write in report.writes}
    assert places["vmlinuz"] > 1 << 32
    boots(Machine(disk, accel="tcg", memory=256, kind=kind, machine="q35"))


def test_a_disk_that_fails_is_told_with_the_sector(guests: Guests) -> None:
    disk = guests.disk(debian.cloud_kernel(), system())
    bad = guests.places["initrd0"].start + 0x6_0000
    drive = Drive(path=disk, read_errors=[ReadError(offset_bytes=bad)])
    outcome = fails(Machine(drive, accel="tcg", memory=256), "of the boot disk cannot be read (BIOS error 0x0c)")
    assert "sector " in outcome.console
