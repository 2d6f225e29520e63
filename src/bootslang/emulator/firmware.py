"""Where a machine's firmware is: QEMU's own BIOS, UEFI for a PC (OVMF) as systems package it, or a file.

One file holds OVMF's code and its variables: what a guest writes into them lasts as long as the machine.
"""

from pathlib import Path
from typing import Final, Literal

from bootslang.errors import InputInvalid, ToolMissing

Firmware = Literal["bios", "ovmf"]

OVMF_FILES: Final = (
    "/usr/share/ovmf/OVMF.fd",  # Debian, Ubuntu
    "/usr/share/edk2/ovmf/OVMF.fd",  # Fedora: edk2-ovmf
    "/usr/share/edk2/x64/OVMF.4m.fd",  # Arch: edk2-ovmf
    "/usr/share/qemu/ovmf-x86_64.bin",  # openSUSE: qemu-ovmf-x86_64
)
_HOW_TO_INSTALL: Final = "Install it: `apt install ovmf` (Debian, Ubuntu), `dnf install edk2-ovmf` (Fedora)."


def find_firmware(wanted: str) -> str | None:
    """The file to give QEMU; None for the BIOS, which it has with it."""
    if wanted == "bios":
        return None
    if wanted == "ovmf":
        for name in OVMF_FILES:
            if Path(name).is_file():
                return name
        raise ToolMissing("OVMF, the UEFI firmware for QEMU, is not installed", hint=_HOW_TO_INSTALL)
    if not Path(wanted).is_file():
        raise InputInvalid(f"{wanted}: there is no such firmware", hint='It is "bios", "ovmf" or a file.')
    return wanted
