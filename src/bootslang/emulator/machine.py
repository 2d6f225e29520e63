"""A PC as QEMU makes it: described once, started as often as wanted."""

import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Literal

from bootslang.emulator.accelerator import Accelerator, choose_accelerator
from bootslang.emulator.command import CommandLine
from bootslang.emulator.console import PANIC_PATTERNS, Console
from bootslang.emulator.drive import Drive, DriveKind
from bootslang.emulator.firmware import Firmware, find_firmware
from bootslang.emulator.guest import Guest, Pattern
from bootslang.emulator.outcome import Outcome
from bootslang.emulator.qemu import find_qemu
from bootslang.errors import InputInvalid, ToolMissing, UsageError

MachineKind = Literal["pc", "q35", "isapc", "microvm"]
GDB_PORT: Final = 1234
"""Where gdb is used to find a stub."""


class Machine:
    """A PC.

    >>> Machine("disk.img", kind="nvme", memory="512M").run(expect="login: ", timeout=90).check()  # doctest: +SKIP

    Every disk is a path (a raw image on a controller of `kind`, in blocks of `logical_block_size`) or a `Drive`. The
    first one is booted, unless a drive has a `boot_index`. The machine has one serial port, a VGA card, port 0xF4 for
    the guest to end it, and no network.

    `kernel`: a file that QEMU loads and starts itself, in a disk's stead: an ELF by Multiboot 1 (32-bit, with its
    header) or PVH (with its note), or a bzImage. `append` is its command line, `initrd` a file that comes with it; with
    Multiboot 1 it may be several files with their texts, "kernel words,file words", as QEMU splits them.

    >>> Machine(kernel="bootslang.elf64", initrd="kernel.bundle", machine="microvm").run().check()  # doctest: +SKIP

    `machine`: pc (with PCI and IDE), q35 (PCI Express and AHCI), isapc (neither), microvm (no PCI, no VGA card, disks
    on virtio). More of QEMU's options may follow the name after a comma.
    `firmware`: "bios", "ovmf" for UEFI, or a file. A kernel without a disk, too, is started by way of it.
    `cpu`: a model of QEMU's, as "pentium3" or "qemu64,+rdrand".
    `memory`: as QEMU takes it, "1G"; a number is MiB.
    `accel`: "auto" takes KVM where it runs a boot sector, else TCG, QEMU's translator.
    `snapshot`: writes to the disks given as paths are forgotten at the end.
    `reboot`: a guest's reset boots the machine again. Otherwise it ends it: the loops of a dying guest are cut.
    `icount`: the guest's clock counts instructions, 2**icount nanoseconds each; with TCG only.
    `gdb`: a port for gdb on this host, or True for 1234, else any free one. The CPU waits at its reset vector.
    `debugcon`: keep what is written to port 0xE9, in `Guest.debugcon`.
    `alarms`: regular expressions; a line on the console that one is found in tells of a crash. Linux' by default.
    `arguments`: given to QEMU as they are, after all others.
    """

    def __init__(
        self,
        *disks: str | Path | Drive,
        kind: DriveKind = "ide",
        logical_block_size: int = 512,
        kernel: str | Path | None = None,
        initrd: str | Path | None = None,
        append: str = "",
        machine: MachineKind | str = "pc",
        firmware: Firmware | str = "bios",
        cpu: str | None = None,
        memory: str | int = "1G",
        accel: Accelerator = "auto",
        snapshot: bool = False,
        reboot: bool = False,
        icount: int | None = None,
        gdb: int | bool = False,
        debugcon: bool = False,
        alarms: Sequence[str] = PANIC_PATTERNS,
        arguments: Sequence[str] = (),
    ) -> None:
        self.drives = tuple(
            disk
            if isinstance(disk, Drive)
            else Drive(path=Path(disk), kind=kind, logical_block_size=logical_block_size, snapshot=snapshot)
            for disk in disks
        )
        if kernel is None and (initrd is not None or append):
            raise UsageError("initrd and append belong to a kernel that QEMU loads, and there is none")
        self.kernel = None if kernel is None else Path(kernel)
        self.initrd = None if initrd is None else Path(initrd)
        self.append = append
        self.machine = machine
        self.firmware = firmware
        self.cpu = cpu
        self.memory = str(memory)
        self.accel: Accelerator = "tcg" if icount is not None or gdb is not False else accel
        self.reboot = reboot
        self.icount = icount
        self.gdb = gdb
        self.debugcon = debugcon
        self.alarms = tuple(alarms)
        self.arguments = tuple(arguments)

    def run(
        self,
        *,
        expect: Pattern | None = None,
        timeout: float | None = 120.0,
        script: Sequence[tuple[Pattern, str]] = (),
        tap: Callable[[bytes], None] | None = None,
    ) -> Outcome:
        """Start the machine, wait until the run is decided, end it, and tell how it went.

        `expect`: success is that this is printed on the serial console. `timeout`: seconds, None for no limit.
        `script`: pairs of what to wait for and what to type then. `tap`: sees the console's bytes as they come.
        """
        with self.start(tap=tap) as guest:
            return guest.watch(expect=expect, timeout=timeout, script=script)

    def start(self, *, tap: Callable[[bytes], None] | None = None) -> Guest:
        """Start the machine and return at once."""
        self._look_for_files()
        if not hasattr(socket, "AF_UNIX"):
            raise ToolMissing("machines can be run on Linux, macOS and other Unixes only")
        command = self._command()
        console = Console(alarms=self.alarms, tap=tap)
        return Guest(command, console, Console() if self.debugcon else None, paused=command.gdb is not None)

    def print_command(self) -> str:
        """QEMU's command line for the same machine, for a shell: its console on the terminal, Ctrl-A X ends it."""
        return self._command().by_hand()

    def _look_for_files(self) -> None:
        """Say what is not there, in better words than QEMU's."""
        for drive in self.drives:
            if not drive.path.exists():
                raise InputInvalid(
                    f"{drive.path}: there is no such disk image", hint="`bootslang build` makes one from a kernel."
                )
        if self.kernel is not None and not self.kernel.exists():
            raise InputInvalid(f"{self.kernel}: there is no such kernel")
        # One with a comma or a space may be several files and their texts.
        if self.initrd is not None and not self.initrd.exists() and not {",", " "} & set(str(self.initrd)):
            raise InputInvalid(f"{self.initrd}: there is no such file")

    def _command(self) -> CommandLine:
        port = None if self.gdb is False else _free_port() if self.gdb is True else self.gdb
        return CommandLine(
            program=find_qemu(),
            machine=self.machine,
            accelerator=choose_accelerator(self.accel),
            cpu=self.cpu,
            memory=self.memory,
            drives=self.drives,
            firmware=find_firmware(self.firmware),
            kernel=self.kernel,
            initrd=self.initrd,
            append=self.append,
            reboot=self.reboot,
            icount=self.icount,
            gdb=port,
            debugcon=self.debugcon,
            extra=self.arguments,
        )


def _free_port() -> int:
    """Port 1234 if nobody has it, else one that the host picks."""
    for port in (GDB_PORT, 0):
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(listener.getsockname()[1])
    raise ToolMissing("no TCP port of this host is free for gdb")
