"""Build a Linux disk from Debian's kernel and busybox, and boot it in QEMU to a shell: what `make demo` runs.

Everything here is Bootslang's public interface. With a terminal, the shell is yours (Ctrl-A X ends the machine);
without one, a few commands are typed and their answers checked. `python examples/demo.py FOLDER` says where the disk
and what it is made from go; by default, here.
"""

import hashlib
import random
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from bootslang import Ending, Guest, Image, Machine, busybox_initramfs
from bootslang.emulator.terminal import has_terminal, interact
from bootslang.errors import BootslangError, CheckFailed
from bootslang.kernel.debian import amd64_busybox, cloud_kernel

COMMAND_LINE = "clocksource=tsc console=ttyS0 quiet root=/dev/nvme0n1p2"
PROMPT = "/root # "
NOISE_BYTES = 8 << 20
BOOT_SECONDS = 240
ANSWER_SECONDS = 60


def make_root(folder: Path) -> str:
    """Fill the tree of the disk's second partition; the SHA-256 of the larger file in it."""
    noise = random.Random(0).randbytes(NOISE_BYTES)  # noqa: S311 - it is to be the same each time
    (folder / "hello.txt").write_text("This file came from the disk's ext4 partition.\n")
    (folder / "noise.bin").write_bytes(noise)
    return hashlib.sha256(noise).hexdigest()


def build_disk(folder: Path) -> tuple[Path, str]:
    """Make `disk.img`: the loader, kernel, initramfs and command line, and a partition of ext4."""
    disk = folder / "disk.img"
    disk.unlink(missing_ok=True)
    print("Fetching Debian's cloud kernel and busybox, unless they were before")
    kernel, busybox = cloud_kernel(), amd64_busybox()
    with TemporaryDirectory() as temporary:
        initramfs = Path(temporary) / "initramfs.cpio.gz"
        busybox_initramfs(busybox).write(initramfs)
        root = Path(temporary) / "root"
        root.mkdir()
        digest = make_root(root)
        print(f"Building {disk}")
        report = Image(kernel=kernel, initrds=[initramfs], command_line=COMMAND_LINE, root=root).build(disk)
    for line in report.lines():
        print(f"  {line}")
    return disk, digest


def check(guest: Guest, command: str, wanted: str) -> None:
    """Type a command, and see that its answer holds what is wanted."""
    answer = guest.ask(command, prompt=PROMPT, timeout=ANSWER_SECONDS)
    if wanted not in answer:
        raise CheckFailed(f"`{command}` was to answer {wanted!r}, and said {answer!r}")


def check_by_typing(machine: Machine, digest: str) -> None:
    """Without a user: ask the system what it is, and switch it off."""
    with machine.start(tap=write_through) as guest:
        guest.expect("Bootslang booted Linux", timeout=BOOT_SECONDS)
        guest.expect(PROMPT, timeout=ANSWER_SECONDS)
        check(guest, "uname -s", "Linux")
        check(guest, "cat /proc/cmdline", COMMAND_LINE)
        check(guest, "mount | grep ext4", "/dev/nvme0n1p2 on /mnt type ext4")
        check(guest, "cat /mnt/hello.txt", "This file came from")
        check(guest, "sha256sum /mnt/noise.bin", digest)
        guest.send("poweroff -f\n")
        outcome = guest.watch(timeout=ANSWER_SECONDS)
    if outcome.ending is not Ending.POWERED_OFF:
        raise CheckFailed(outcome.describe(), hint=outcome.tail())
    print("\nAll answers were right.")


def write_through(data: bytes) -> None:
    """Show what the machine prints, as it comes."""
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def main() -> int:
    """Build, boot, and end with the exit code that `bootslang` would end with."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path()
    try:
        disk, digest = build_disk(folder)
        machine = Machine(disk, kind="nvme", memory="512M")
        print(f"Booting it:\n  {machine.print_command()}\n", flush=True)
        if has_terminal():
            print("Ctrl-A X ends the machine, `exit` switches it off.", flush=True)
            return interact(machine).exit_code
        check_by_typing(machine, digest)
    except BootslangError as error:
        print(f"demo: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
