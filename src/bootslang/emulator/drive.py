"""A disk of a machine: its file, the controller it hangs on, and the faults it is to have.

`Drive.arguments` spells one drive as QEMU's `-drive` and `-device`. Called by `command.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, get_args

from bootslang.errors import UsageError

DriveKind = Literal[
    "ide", "ahci", "virtio", "nvme", "usb", "usb-ehci", "usb-uhci", "lsi", "megasas", "pvscsi", "virtio-scsi"
]
"""What the drive is connected to. `ide` on a q35 machine is its AHCI controller. `usb` is xHCI."""

DRIVE_KINDS: Final[tuple[str, ...]] = get_args(DriveKind)

_USB_CONTROLLERS: Final = {"usb": "qemu-xhci", "usb-ehci": "usb-ehci", "usb-uhci": "piix3-usb-uhci"}
_SCSI_CONTROLLERS: Final = {
    "lsi": "lsi",
    "megasas": "megasas",
    "pvscsi": "pvscsi",
    "virtio-scsi": "virtio-scsi-pci",
}
_SECTOR_BYTES: Final = 512
"""QEMU counts blkdebug's sectors in these, whatever the drive's own blocks are."""


@dataclass(frozen=True, kw_only=True)
class ReadError:
    """Bytes whose reading fails, as a worn disk's does: the guest gets an I/O error each time."""

    offset_bytes: int
    """Where it begins; the sector of 512 bytes that holds it fails."""
    length_bytes: int = _SECTOR_BYTES

    def sectors(self) -> range:
        """The sectors of 512 bytes that cannot be read."""
        return range(
            self.offset_bytes // _SECTOR_BYTES,
            (self.offset_bytes + self.length_bytes + _SECTOR_BYTES - 1) // _SECTOR_BYTES,
        )


@dataclass(frozen=True, kw_only=True)
class Drive:
    """A disk image or device, and how the machine sees it.

    >>> Drive(path=Path("disk.img"), kind="nvme", logical_block_size=4096).kind
    'nvme'
    """

    path: Path
    kind: DriveKind = "ide"
    format: str = "raw"
    """What kind of file it is, in QEMU's words (`raw`, `qcow2` …). Never guessed: a guest could write what misleads."""
    boot_index: int | None = None
    """The firmware tries the lowest first. If no drive of a machine has one, its first drive is booted."""
    snapshot: bool = False
    """Writes go to a temporary file and are forgotten at the end."""
    read_only: bool = False
    logical_block_size: int = 512
    """512 or 4096 bytes; the firmware boots 4096 from NVMe alone."""
    read_errors: Sequence[ReadError] = ()

    def __post_init__(self) -> None:
        if self.kind not in DRIVE_KINDS:
            raise UsageError(f"there is no drive kind {self.kind!r}", hint=f"Kinds: {', '.join(DRIVE_KINDS)}.")
        if self.logical_block_size not in {512, 4096}:
            raise UsageError(f"a drive's blocks have 512 or 4096 bytes, not {self.logical_block_size}")
        if self.read_errors and self.format != "raw":
            raise UsageError("read errors can be injected into raw images only")

    def arguments(self, index: int, machine: str, boot_index: int | None) -> list[str]:
        """QEMU's options for this drive, the `index`th of a `machine` (pc, q35, isapc, microvm)."""
        return ["-drive", self._backend(index), *self._device(index, machine, boot_index)]

    def _backend(self, index: int) -> str:
        options = [f"if=none,id=disk{index}"]
        path = _escape(str(self.path))
        if self.read_errors:
            # raw over blkdebug over the file: in any other order QEMU injects nothing.
            options += ["driver=raw", "file.driver=blkdebug", "file.image.driver=file"]
            options += [f"file.image.filename={path}"]
            sectors = sorted({sector for error in self.read_errors for sector in error.sectors()})
            for number, sector in enumerate(sectors):
                rule = f"file.inject-error.{number}"
                options += [f"{rule}.event=none,{rule}.iotype=read,{rule}.errno=5,{rule}.sector={sector}"]
        else:
            options += [f"format={self.format},file={path}"]
        if self.snapshot:
            options += ["snapshot=on"]
        if self.read_only:
            options += ["readonly=on"]
        return ",".join(options)

    def _device(self, index: int, machine: str, boot_index: int | None) -> list[str]:
        tail = f"drive=disk{index}"
        if boot_index is not None:
            tail += f",bootindex={boot_index}"
        if self.logical_block_size != _SECTOR_BYTES:
            tail += f",logical_block_size={self.logical_block_size},physical_block_size={self.logical_block_size}"
        if machine == "q35" and self.kind in {"ide", "ahci"}:
            return ["-device", f"ide-hd,bus=ide.{index},{tail}"]  # Its AHCI controller has six ports.
        if self.kind == "ide":
            return ["-device", f"ide-hd,bus=ide.{index // 2},unit={index % 2},{tail}"]
        if self.kind == "ahci":
            return ["-device", f"ich9-ahci,id=ahci{index}", "-device", f"ide-hd,bus=ahci{index}.0,{tail}"]
        if self.kind == "virtio":
            return ["-device", f"{'virtio-blk-device' if machine == 'microvm' else 'virtio-blk-pci'},{tail}"]
        if self.kind == "nvme":
            return ["-device", f"nvme,serial=bootslang{index},{tail}"]
        if self.kind in _USB_CONTROLLERS:
            controller = _USB_CONTROLLERS[self.kind]
            return ["-device", f"{controller},id=usb{index}", "-device", f"usb-storage,bus=usb{index}.0,{tail}"]
        controller = _SCSI_CONTROLLERS[self.kind]
        return ["-device", f"{controller},id=scsi{index}", "-device", f"scsi-hd,bus=scsi{index}.0,{tail}"]


def _escape(text: str) -> str:
    """A comma ends an option of QEMU's; two stand for one."""
    return text.replace(",", ",,")
