"""QEMU's command line for a machine: `CommandLine.build` for a session of ours, `by_hand` for a user's shell."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from bootslang.emulator.drive import Drive


@dataclass(frozen=True, kw_only=True)
class CommandLine:
    """All that QEMU is told of a machine; `Machine` has the meaning of each field."""

    program: str
    machine: str
    accelerator: Literal["kvm", "tcg"]
    cpu: str | None
    memory: str
    drives: tuple[Drive, ...]
    firmware: str | None
    kernel: Path | None
    initrd: Path | None
    append: str
    reboot: bool
    icount: int | None
    gdb: int | None
    debugcon: bool
    extra: tuple[str, ...] = field(default=())

    def for_session(self, *, serial: int, monitor: int, debugcon: int | None, log: str) -> list[str]:
        """With the console and the monitor on sockets, by their file descriptors; the CPU waits for `cont`."""
        command = [*self._common(), "-display", "none", "-S", "-no-shutdown"]
        # A log of CPU resets: the one place where a triple fault is told from a wanted reset.
        command += ["-d", "cpu_reset", "-D", log]
        command += ["-chardev", f"socket,id=serial,fd={serial}", "-serial", "chardev:serial"]
        command += ["-chardev", f"socket,id=monitor,fd={monitor}", "-mon", "chardev=monitor,mode=control"]
        if debugcon is not None:
            command += ["-chardev", f"socket,id=debugcon,fd={debugcon}"]
            command += ["-device", "isa-debugcon,iobase=0xe9,chardev=debugcon"]
        return [*command, *self.extra]

    def by_hand(self) -> str:
        """One line for a shell: the same machine, with its console and QEMU's monitor on the terminal."""
        command = [*self._common(), "-display", "none", "-serial", "mon:stdio"]
        if self.debugcon:
            command += ["-debugcon", "file:debugcon.txt"]
        if self.gdb is not None:
            command += ["-S"]
        return shlex.join([*command, *self.extra])

    def _common(self) -> list[str]:
        command = [self.program, "-nodefaults", "-machine", self.machine, "-accel", self.accelerator]
        if self.cpu is not None:
            command += ["-cpu", self.cpu]
        command += ["-m", self.memory]
        if self.machine.split(",")[0] != "microvm":
            command += ["-vga", "std"]
        if not self.reboot:
            command += ["-no-reboot"]
        command += ["-device", "isa-debug-exit,iobase=0xf4,iosize=0x04"]
        if self.firmware is not None:
            command += ["-bios", self.firmware]
        command += self._direct_boot()
        if self.icount is not None:
            command += ["-icount", f"shift={self.icount}"]
        if self.gdb is not None:
            command += ["-gdb", f"tcp:127.0.0.1:{self.gdb}"]
        for index, (drive, boot_index) in enumerate(zip(self.drives, _boot_order(self.drives), strict=True)):
            command += drive.arguments(index, self.machine.split(",")[0], boot_index)
        return command

    def _direct_boot(self) -> list[str]:
        """What QEMU itself puts into memory and starts: a file and a text with it, one option each, never split."""
        command = []
        if self.kernel is not None:
            command += ["-kernel", str(self.kernel)]
        if self.initrd is not None:
            command += ["-initrd", str(self.initrd)]
        if self.append:
            command += ["-append", self.append]
        return command


def _boot_order(drives: Sequence[Drive]) -> list[int | None]:
    """The drives' boot indexes; where none has one, the first drive is booted."""
    if any(drive.boot_index is not None for drive in drives):
        return [drive.boot_index for drive in drives]
    return [0 if index == 0 else None for index in range(len(drives))]
