"""Is the guest's outcome the command's exit code, told in words, with the console on standard output?"""

from pathlib import Path

import pytest

from bootslang.emulator import PASS
from bootslang.emulator.drive import DRIVE_KINDS
from support import small_kernels
from support.boot_sectors import HANG, POWER_OFF, RESET, TRIPLE_FAULT, boot_disk, exit_with, say
from support.command import Command

DEATH = "Kernel panic - not syncing: no init"
PANIC = say(f"{DEATH}\r\nRegisters\r\n") + HANG
LAST = "  The last lines of the console:\n      "


@pytest.mark.machine
@pytest.mark.parametrize(
    ("code", "options", "exit_code", "told"),
    [
        (POWER_OFF, "", 0, "bootslang: the guest powered the machine off, after "),
        (HANG, "--expect here", 0, "bootslang: the expected text was printed: here, after "),
        (
            exit_with(3),
            "",
            1,
            f"bootslang: error: the guest ended the machine through port 0xF4: with 0x3\n{LAST}here\n",
        ),
        (
            POWER_OFF,
            "--expect never",
            1,
            "bootslang: error: the guest powered the machine off (before it had printed 'never')\n",
        ),
        (HANG, "--timeout 2", 5, f"bootslang: error: time ran out: after 2 seconds\n{LAST}here\n"),
        (
            PANIC,
            "--timeout 60",
            6,
            f"bootslang: error: the guest panicked: {DEATH}\n{LAST}here\n      {DEATH}\n      Registers\n",
        ),
        (TRIPLE_FAULT, "", 6, "bootslang: error: the CPU met a triple fault: EIP=00007c"),
        (RESET, "", 6, "bootslang: error: the guest reset the machine: EIP=00007c"),
    ],
)
def test_outcomes(bootslang: Command, code: bytes, options: str, exit_code: int, told: str) -> None:
    boot_disk(Path.cwd(), say("here\r\n") + code)
    ended = bootslang("run", "-m", "32", *options.split(), "disk.img")
    assert ended.code == exit_code
    assert ended.out.startswith("here\r\n")
    assert ended.err.startswith(told)


@pytest.mark.machine
def test_a_kernel_is_started_without_a_disk(bootslang: Command) -> None:
    Path("kernel").write_bytes(small_kernels.pvh_kernel(small_kernels.say("here") + small_kernels.exit_with(PASS)))
    ended = bootslang("run", "-m", "32", "--kernel", "kernel")
    assert (ended.code, ended.out) == (0, "here")


def test_the_command_line_of_qemu_has_every_option(bootslang: Command) -> None:
    Path("disk.img").touch()
    options = f"--kernel vmlinux --initrd initrd --append words --firmware {__file__} -m 2G --machine q35 --cpu qemu64"
    options += " --kind nvme --sector-size 4096 --snapshot --accel tcg --gdb disk.img"
    printed = bootslang("run", "--print-command", *options.split(), "--", "-nic", "user", "--version")
    assert (printed.code, printed.err) == (0, "")
    for words in (
        " -kernel vmlinux -initrd initrd -append words ",
        f" -bios {__file__} ",
        " -machine q35 ",
        " -accel tcg ",
        " -cpu qemu64 ",
        " -m 2G ",
        " -no-reboot ",
        ",snapshot=on ",
        " -device nvme,",
        "logical_block_size=4096",
        " -gdb tcp:127.0.0.1:",
    ):
        assert words in printed.out
    assert printed.out.endswith(" -nic user --version\n")
    assert " -no-reboot " not in bootslang("run", "--print-command", "--reboot", "disk.img").out


@pytest.mark.parametrize(
    ("options", "code", "text"),
    [
        (
            "nowhere.img",
            4,
            "nowhere.img: there is no such disk image\n  `bootslang build` makes one from a kernel.",
        ),
        (
            "--kind floppy disk.img",
            2,
            f"there is no drive kind 'floppy'\n  Kinds: {', '.join(DRIVE_KINDS)}.",
        ),
        ("--sector-size 1024 disk.img", 2, "a drive's blocks have 512 or 4096 bytes, not 1024"),
        ("", 2, "there is nothing to start: neither a disk nor --kernel"),
        (
            "--kernel disk.img --gdb",
            2,
            "--gdb wants a disk, or a loader of this version\n  QEMU's own -gdb and -S can stand behind --.",
        ),
    ],
)
def test_what_cannot_be_run(bootslang: Command, options: str, code: int, text: str) -> None:
    Path("disk.img").touch()
    assert bootslang("run", *options.split()) == (code, "", f"bootslang: error: {text}\n")
