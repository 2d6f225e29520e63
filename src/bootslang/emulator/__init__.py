"""QEMU as a typed Python API: machines with disks, their console and monitor, and how each run ended.

`machine.py` is what users hold; `command.py` and `drive.py` spell QEMU's command line; `firmware.py` finds UEFI;
`guest.py` is a running machine, `session.py` the thread that serves it; `console.py` reads what it prints; `outcome.py`
says how it ended; `accelerator.py` finds out whether KVM can be used; `terminal.py` ties a guest to the user's
terminal.
"""

from bootslang.emulator.accelerator import Accelerator, KvmVerdict, kvm_verdict
from bootslang.emulator.console import Console
from bootslang.emulator.drive import Drive, DriveKind
from bootslang.emulator.guest import Guest
from bootslang.emulator.machine import Machine
from bootslang.emulator.outcome import PASS, Ending, Outcome

__all__ = [
    "PASS",
    "Accelerator",
    "Console",
    "Drive",
    "DriveKind",
    "Ending",
    "Guest",
    "KvmVerdict",
    "Machine",
    "Outcome",
    "kvm_verdict",
]
