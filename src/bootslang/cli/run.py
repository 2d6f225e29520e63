"""`bootslang run`: a disk or a kernel in QEMU, its console on the terminal, and the guest's outcome as exit code."""

import sys
from functools import partial
from typing import TYPE_CHECKING

import click

from bootslang.cli.command import PROGRAM, Command, Example
from bootslang.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from bootslang import Guest, Machine
    from bootslang.debugger import Session

EXAMPLES = (
    Example("Boot it; Ctrl-A X ends the machine:", "bootslang run disk.img"),
    Example(
        "In a test: passes when the text is printed, fails after a minute, or at once if the kernel panics:",
        'bootslang run disk.img --timeout 60 --expect "login:"',
    ),
    Example("On another machine, from an NVMe disk:", "bootslang run --machine q35 --kind nvme -m 2G disk.img"),
    Example(
        "What QEMU itself starts, here the loader with a bundle, on a machine without a BIOS's devices:",
        "bootslang run --machine microvm --kernel bootslang.elf64 --initrd kernel.bundle",
    ),
    Example("With options of QEMU's own:", "bootslang run disk.img -- -nic user"),
    Example("QEMU's command line, to run by hand:", "bootslang run --print-command disk.img"),
    Example(
        "Wait for gdb, and print how to call it; it steps through stage 4's Python:", "bootslang run --gdb disk.img"
    ),
)
QEMU_ARGUMENTS = "QEMU-ARGS"


@click.command(cls=Command, examples=EXAMPLES, after_dashes=QEMU_ARGUMENTS)
@click.option("-m", "--memory", default="1G", show_default=True, metavar="SIZE", help="The machine's memory.")
@click.option("--kernel", metavar="FILE", help="Started by QEMU itself: an ELF for Multiboot 1 or PVH, or a bzImage.")
@click.option("--initrd", metavar="FILE", help="What QEMU loads with the kernel: an initrd, a module, or a bundle.")
@click.option("--append", default="", metavar="TEXT", help="The kernel's command line.")
@click.option(
    "--timeout",
    type=click.FloatRange(0, min_open=True),
    metavar="SECONDS",
    help="End with exit code 5 after this time; no limit by default.",
)
@click.option("--expect", metavar="TEXT", help="End with success when this is printed on the serial console.")
@click.option(
    "--gdb", is_flag=True, help="Wait for gdb before the first instruction, and print the line that calls it."
)
@click.option("--print-command", is_flag=True, help="Print QEMU's command line instead of running it.")
@click.option("--machine", default="pc", show_default=True, metavar="pc|q35|isapc|microvm", help="The kind of machine.")
@click.option("--firmware", default="bios", show_default=True, metavar="bios|ovmf|FILE", help="ovmf is UEFI.")
@click.option("--cpu", metavar="MODEL", help="A CPU model of QEMU's, as pentium3 or qemu64,+rdrand.")
@click.option(
    "--kind",
    default="ide",
    show_default=True,
    metavar="KIND",
    help="What the disk hangs on: ide, ahci, virtio, nvme, usb, usb-ehci, usb-uhci, lsi, megasas, pvscsi, virtio-scsi.",
)
@click.option(
    "--sector-size",
    type=int,
    default=512,
    show_default=True,
    metavar="N",
    help="The disk's sectors: 512, or 4096 (with NVMe).",
)
@click.option(
    "--accel",
    type=click.Choice(["auto", "kvm", "tcg"]),
    default="auto",
    show_default=True,
    help="KVM or QEMU's translator; auto takes KVM where it works.",
)
@click.option("--snapshot", is_flag=True, help="Forget at the end what the machine wrote to the disk.")
@click.option("--reboot", is_flag=True, help="Let a reset of the guest's boot the machine again, instead of ending it.")
@click.argument("disk", type=click.Path(), required=False)
@click.pass_context
def command(
    context: click.Context,
    *,
    memory: str,
    kernel: str | None,
    initrd: str | None,
    append: str,
    timeout: float | None,
    expect: str | None,
    gdb: bool,
    print_command: bool,
    machine: str,
    firmware: str,
    cpu: str | None,
    kind: str,
    sector_size: int,
    accel: str,
    snapshot: bool,
    reboot: bool,
    disk: str | None,
) -> None:
    """Start a disk or kernel in QEMU, with its console on the terminal.

    The exit code is the guest's outcome: 0 if the expected text was printed, or, where none was asked for, the guest
    powered off; 1 if it failed or ended without the text; 5 if time ran out; 6 if it panicked or crashed.
    """
    from bootslang import Machine
    from bootslang.emulator.terminal import interact

    if disk is None and kernel is None:
        raise UsageError("there is nothing to start: neither a disk nor --kernel")
    if gdb and disk is None and _session(disk, kernel, 0, cpu) is None:
        raise UsageError(
            "--gdb wants a disk, or a loader of this version",
            hint="QEMU's own -gdb and -S can stand behind --.",
        )
    pc = Machine(
        *([] if disk is None else [disk]),
        kernel=kernel,
        initrd=initrd,
        append=append,
        firmware=firmware,
        kind=kind,  # type: ignore[arg-type]  # Drive checks it
        logical_block_size=sector_size,
        machine=machine,
        cpu=cpu,
        memory=memory,
        accel=accel,  # type: ignore[arg-type]  # click checks it
        snapshot=snapshot,
        reboot=reboot,
        gdb=gdb,
        arguments=context.meta.get(QEMU_ARGUMENTS, ()),
    )
    if print_command:
        print(pc.print_command())
        return
    tell = partial(_tell, disk, pc) if gdb else lambda _guest: None
    outcome = interact(pc, expect=expect, timeout=timeout, started=tell)
    # On a terminal the console's last lines stand above already.
    if error := outcome.error(tail=not sys.stdout.isatty()):
        raise error
    click.echo(f"{PROGRAM}: {outcome.describe()}, after {outcome.seconds:.1f} s", err=True)


def _session(disk: str | None, kernel: "str | Path | None", port: int, cpu: str | None) -> "Session | None":
    """What gdb is told of the machine that starts one of these."""
    from bootslang.debugger import session_for, session_for_loader

    return session_for(disk, port, cpu=cpu) if disk is not None else session_for_loader(kernel or "", port)


def _tell(disk: str | None, pc: "Machine", guest: "Guest") -> None:
    """Say how gdb is called; on stderr, since the console's text may go into a file."""
    assert guest.gdb_port is not None  # noqa: S101 - the machine was asked for it
    session = _session(disk, pc.kernel, guest.gdb_port, pc.cpu)
    assert session is not None  # noqa: S101 - it was looked for before the machine was started
    if not session.fits:
        click.echo("warning: this loader is not of this version of Bootslang, so gdb will see other lines", err=True)
    click.echo(f"{PROGRAM}: the machine waits for gdb. In another terminal:\n\n  {session.command()}\n", err=True)
