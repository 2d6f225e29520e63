"""Guests that tell what they see: Debian's kernels with busybox and an `init` that reports to the serial console."""

import base64
import re
from dataclasses import dataclass, field
from pathlib import Path

from bootslang import Image, Machine
from bootslang.emulator import Outcome

COMMAND_LINE = "clocksource=tsc console=ttyS0 panic=-1"
END = "nothing more to tell"
INIT = f"""#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
echo "machine: $(/bin/busybox uname -m)"
echo "command line: [$(/bin/busybox cat /proc/cmdline)]"
echo "memory: $(/bin/busybox head -1 /proc/meminfo)"
for file in /told/*; do echo "file $file: $(/bin/busybox sha256sum < $file)"; done
for type in /sys/kernel/boot_params/setup_data/*/type; do echo "setup data: $(/bin/busybox cat $type)"; done
echo "zero page: $(/bin/busybox base64 -w 0 /sys/kernel/boot_params/data)"
/bin/busybox dmesg | /bin/busybox grep -e RAMDISK -e 'Kernel/User page tables'
echo "{END}"
/bin/busybox sleep 1000
"""

DIRECTORY, FILE, DEVICE = 0o040755, 0o100755, 0o020600
CONSOLE = (5, 1)


def archive(files: dict[str, bytes]) -> bytes:
    """A cpio archive (newc) of regular files and of the folders above them."""
    folders = {str(folder) for name in files for folder in Path(name).parents if str(folder) != "."}
    entries = [(folder, DIRECTORY, b"") for folder in sorted(folders)]
    entries += [(name, FILE, data) for name, data in files.items()]
    return b"".join(entry(*item) for item in [*entries, ("TRAILER!!!", 0, b"")])


def entry(name: str, mode: int, data: bytes, device: tuple[int, int] = (0, 0)) -> bytes:
    numbers = (0, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(name) + 1, 0)
    header = b"070701" + b"".join(b"%08X" % number for number in numbers) + name.encode() + b"\0"
    return padded(header) + padded(data)


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def initramfs(busybox: Path, **told: bytes) -> bytes:
    """The reporting guest; `told` are the files whose sums it tells."""
    files = {"bin/busybox": busybox.read_bytes(), "init": INIT.encode()}
    files |= {f"told/{name}": data for name, data in told.items()}
    return entry("dev", DIRECTORY, b"") + entry("dev/console", DEVICE, b"", CONSOLE) + archive(files)


@dataclass(frozen=True)
class Report:
    """What a guest has told."""

    console: str

    def value(self, name: str) -> str:
        found = re.search(rf"^{re.escape(name)}: (.*?)\r?$", self.console, re.MULTILINE)
        assert found, f"the guest has told no {name!r}:\n{self.console[-3000:]}"
        return found[1]

    @property
    def zero_page(self) -> bytes:
        """The zero page as the kernel has kept it."""
        return base64.b64decode(self.value("zero page"))

    def sum_of(self, file: str) -> str:
        return self.value(f"file /told/{file}").split()[0]


@dataclass(frozen=True)
class Guests:
    """Where disks are made, and what they are made of."""

    folder: Path
    places: dict[str, range] = field(default_factory=dict)
    """Which bytes of the last disk hold what."""

    def disk(
        self,
        kernel: Path,
        *initrds: bytes,
        codec: str = "none",
        command_line: str = COMMAND_LINE,
        sector_size: int = 512,
        verbose: bool = False,
    ) -> Path:
        """Build a disk."""
        paths = []
        for index, data in enumerate(initrds):
            paths.append(self.folder / f"initrd{index}")
            paths[-1].write_bytes(data)
        disk = self.folder / "disk.img"
        disk.unlink(missing_ok=True)
        report = Image(
            kernel=kernel,
            initrds=paths,
            command_line=command_line,
            codec=codec,
            sector_size=sector_size,
            verbose=verbose,
        ).build(disk)
        start = report.partition.first_lba * report.partition.sector_size
        for part in report.writes:
            self.places[part.what] = range(start + part.offset, start + part.offset + part.size)
        return disk


def run(machine: Machine, timeout: float = 240) -> Report:
    """Boot until the guest has told all; what else happens is an exception with the console's last lines."""
    return Report(machine.run(expect=END, timeout=timeout).check().console)


def fails(machine: Machine, message: str, timeout: float = 60) -> Outcome:
    """Boot until the loader says `message` and stops."""
    return machine.run(expect=message, timeout=timeout).check()
