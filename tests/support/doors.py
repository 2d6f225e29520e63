"""Every door, and every form in which a payload can come through it: each as a machine that can be run.

`BIOS`, `MULTIBOOT1`… are the doors; `door.machine(...)` builds what is needed in a folder.
"""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from bootslang import Bundle, Image, Loader, Machine
from bootslang.boot import handoff
from support.grub import grub_image

Form = Literal["disk", "module", "bundle", "sealed"]


@dataclass(frozen=True)
class Payload:
    """What is to be booted."""

    kernel: Path
    initrds: Sequence[Path] = ()
    command_line: str = ""


@dataclass(frozen=True)
class Start:
    """What a machine is told: the loader, files that it is given with it, and texts."""

    loader: Path
    loader_line: str = ""
    modules: Sequence[tuple[Path, str]] = ()


@dataclass(frozen=True)
class Door:
    """A way to be started."""

    name: str
    number: int
    own_name: str
    """What the boot information's name of the door begins with."""
    forms: Sequence[Form]
    make: Callable[[Path, Start], Machine]
    elf32: bool = False
    module_texts: bool = True
    """Whether a module can have a command line; else the loader's is the kernel's."""

    def machine(self, folder: Path, form: Form, payload: Payload, memory: int, *, options: str = "") -> Machine:
        """Make a machine of `memory` MiB; `options` are for the loader."""
        machine = self.make(folder, self._start(folder, form, payload, options))
        machine.memory = str(memory)
        return machine

    def _start(self, folder: Path, form: Form, payload: Payload, options: str) -> Start:
        what = {"kernel": payload.kernel, "initrds": payload.initrds, "command_line": payload.command_line}
        if form == "disk":
            disk = folder / "disk.img"
            Image(**what).build(disk)  # type: ignore[arg-type]
            return Start(disk)
        loader = folder / "bootslang"
        Loader(elf32=self.elf32, **(what if form == "sealed" else {})).build(loader)  # type: ignore[arg-type]
        if form == "sealed":
            return Start(loader, options)
        if form == "bundle":
            bundle = folder / "bundle"
            Bundle(**what).build(bundle)  # type: ignore[arg-type]
            return Start(loader, options, [(bundle, "")])
        modules = [(path, path.name) for path in payload.initrds]
        if not self.module_texts:
            return Start(loader, f"{options} {payload.command_line}".strip(), [(payload.kernel, ""), *modules])
        return Start(loader, options, [(payload.kernel, payload.command_line), *modules])


def _bios(_folder: Path, start: Start) -> Machine:
    return Machine(start.loader, kind="virtio", accel="tcg")


def _qemu(machine: str) -> Callable[[Path, Start], Machine]:
    """QEMU's own -kernel: several modules, with texts, by Multiboot alone."""

    def make(_folder: Path, start: Start) -> Machine:
        modules = ",".join(f"{path} {text}".strip() for path, text in start.modules)
        return Machine(
            kernel=start.loader, initrd=modules or None, append=start.loader_line, machine=machine, accel="tcg"
        )

    return make


def _grub(command: str, firmware: str) -> Callable[[Path, Start], Machine]:
    """GRUB's commands: multiboot and module, multiboot2 and module2."""

    def make(folder: Path, start: Start) -> Machine:
        module = command.replace("multiboot", "module")
        files = {"bootslang": start.loader} | {f"module{index}": path for index, (path, _) in enumerate(start.modules)}
        lines = [f"{command} /bootslang {start.loader_line}"]
        lines += [f"{module} /module{index} {text}" for index, (_, text) in enumerate(start.modules)]
        image = grub_image(folder, *lines, files=files)
        shutil.rmtree(folder / "grub")
        return Machine(image, firmware=firmware, machine="q35", accel="tcg")

    return make


LOADED: Final[tuple[Form, ...]] = ("module", "bundle", "sealed")
BIOS: Final = Door("bios", handoff.DOOR_BIOS, "", ("disk",), _bios)
MULTIBOOT1_QEMU: Final = Door("multiboot1-qemu", handoff.DOOR_MULTIBOOT1, "qemu", LOADED, _qemu("pc"), elf32=True)
MULTIBOOT1_GRUB: Final = Door(
    "multiboot1-grub", handoff.DOOR_MULTIBOOT1, "GRUB", LOADED, _grub("multiboot", "bios"), elf32=True
)
MULTIBOOT2_GRUB: Final = Door("multiboot2-grub", handoff.DOOR_MULTIBOOT2, "GRUB", LOADED, _grub("multiboot2", "bios"))
MULTIBOOT2_UEFI: Final = Door("multiboot2-uefi", handoff.DOOR_MULTIBOOT2, "GRUB", LOADED, _grub("multiboot2", "ovmf"))
PVH_Q35: Final = Door("pvh-q35", handoff.DOOR_PVH, "", LOADED, _qemu("q35"), module_texts=False)
PVH_MICROVM: Final = Door("pvh-microvm", handoff.DOOR_PVH, "", LOADED, _qemu("microvm"), module_texts=False)
DOORS: Final = (
    BIOS,
    MULTIBOOT1_QEMU,
    MULTIBOOT1_GRUB,
    MULTIBOOT2_GRUB,
    MULTIBOOT2_UEFI,
    PVH_Q35,
    PVH_MICROVM,
)
