"""Does QEMU's command line say what was asked for?"""

import shlex
from pathlib import Path

import pytest

from bootslang.emulator import Drive, DriveKind, Machine
from bootslang.emulator.drive import ReadError
from bootslang.errors import InputInvalid, ToolMissing, UsageError


def words(machine: Machine) -> list[str]:
    return shlex.split(machine.print_command())


def hard_disks(machine: Machine) -> list[str]:
    return [word for word in words(machine) if word.startswith("ide-hd")]


def test_the_printed_command_is_one_a_shell_takes() -> None:
    command = words(Machine("a disk, with a comma.img", accel="tcg", arguments=["-append", "two words"]))
    assert "if=none,id=disk0,format=raw,file=a disk,, with a comma.img" in command
    assert command[-2:] == ["-append", "two words"]
    assert "mon:stdio" in command


def test_the_first_drive_is_booted_unless_another_is_named() -> None:
    assert hard_disks(Machine("a.img", "b.img", accel="tcg")) == [
        "ide-hd,bus=ide.0,unit=0,drive=disk0,bootindex=0",
        "ide-hd,bus=ide.0,unit=1,drive=disk1",
    ]
    assert hard_disks(Machine("a.img", Drive(path=Path("b.img"), boot_index=1), accel="tcg")) == [
        "ide-hd,bus=ide.0,unit=0,drive=disk0",
        "ide-hd,bus=ide.0,unit=1,drive=disk1,bootindex=1",
    ]


@pytest.mark.parametrize(
    ("kind", "machine", "device"),
    [
        ("ide", "pc", "ide-hd,bus=ide.0,unit=0,drive=disk0,bootindex=0"),
        ("ahci", "q35", "ide-hd,bus=ide.0,drive=disk0,bootindex=0"),
        ("ahci", "pc", "ide-hd,bus=ahci0.0,drive=disk0,bootindex=0"),
        ("virtio", "pc", "virtio-blk-pci,drive=disk0,bootindex=0"),
        ("virtio", "microvm", "virtio-blk-device,drive=disk0,bootindex=0"),
        ("usb-ehci", "pc", "usb-storage,bus=usb0.0,drive=disk0,bootindex=0"),
        ("megasas", "pc", "scsi-hd,bus=scsi0.0,drive=disk0,bootindex=0"),
    ],
)
def test_each_kind_of_drive_has_its_device(kind: DriveKind, machine: str, device: str) -> None:
    assert device in words(Machine("a.img", kind=kind, machine=machine, accel="tcg"))


def test_a_drive_of_4096_byte_blocks_says_so_twice() -> None:
    line = Machine("a.img", kind="nvme", logical_block_size=4096, accel="tcg").print_command()
    assert "bootindex=0,logical_block_size=4096,physical_block_size=4096" in line


def test_read_errors_name_each_sector_that_they_touch() -> None:
    error = ReadError(offset_bytes=1023, length_bytes=2)
    assert list(error.sectors()) == [1, 2]
    line = Machine(Drive(path=Path("a.img"), read_errors=[error]), accel="tcg").print_command()
    assert "driver=raw,file.driver=blkdebug,file.image.driver=file,file.image.filename=a.img" in line


def test_writes_are_forgotten_in_a_snapshot() -> None:
    assert "snapshot=on" in Machine("a.img", snapshot=True, accel="tcg").print_command()
    assert "snapshot" not in Machine("a.img", accel="tcg").print_command()


def test_instruction_counting_and_gdb_need_the_translator() -> None:
    assert Machine("a.img", icount=0, accel="kvm").accel == "tcg"
    assert Machine("a.img", gdb=4321, accel="kvm").accel == "tcg"
    assert "tcp:127.0.0.1:4321" in words(Machine("a.img", gdb=4321))


def test_an_unknown_kind_of_drive_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError) as refusal:
        Drive(path=Path("a.img"), kind="floppy")  # type: ignore[arg-type]
    assert refusal.value.message == "there is no drive kind 'floppy'"
    assert "virtio-scsi" in refusal.value.hint


def test_a_disk_that_is_not_there_is_named() -> None:
    with pytest.raises(InputInvalid, match=r"nowhere\.img: there is no such disk image"):
        Machine("nowhere.img", accel="tcg").run()


def test_without_qemu_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ToolMissing) as missing:
        Machine("a.img", accel="tcg").print_command()
    assert "apt install qemu-system-x86" in missing.value.hint
