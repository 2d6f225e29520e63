"""A loader for the loader: it puts the loader's ELF file anywhere in memory and enters it there as a door does.

Python lays everything out: the segments, what they are told, the module. QEMU's `loader` devices put it into memory,
and a kernel of some bytes jumps, with all that a door leaves undefined as bad as can be.
"""

import struct
from pathlib import Path
from typing import Final, Literal

from elftools.elf.elffile import ELFFile
from elftools.elf.segments import NoteSegment

from bootslang import Machine
from support.small_kernels import multiboot1_kernel

State = Literal["multiboot2", "pvh"]

MIB: Final = 1 << 20
RAM_END: Final = 4064 * MIB
"""Above it is the space of devices: as much RAM as a PC without PCI can have below 4 GiB."""
FIRMWARE_BYTES: Final = 16 * MIB
"""The BIOS works at the end of the RAM, and may leave things there."""
PLACE_MAX: Final = RAM_END - FIRMWARE_BYTES
LOWER_RAM_BYTES: Final = 0x9_F000
INFORMATION: Final = 0x11_0000
"""Where the information structure lies: behind the kernel that jumps, below every place."""
MODULE: Final = 0x800_0000
RUBBISH: Final = 0xDEAD_BEEF

MULTIBOOT2_MAGIC: Final = 0x36D7_6289
PVH_MAGIC: Final = 0x336E_C578
XEN_PHYS32_ENTRY: Final = "18"
COMMAND_LINE: Final = "placed by a test"


def placed(folder: Path, loader: Path, kernel: Path, place: int, state: State) -> Machine:
    """Make a machine in which the loader's lowest byte lies at `place`, and which enters it in this state."""
    image, base, entries = _flattened(loader)
    build = {"multiboot2": _multiboot2, "pvh": _start_info}[state]
    parts = {place: image, INFORMATION: build(kernel.stat().st_size, place)}
    arguments = ["-device", f"loader,file={kernel},addr={MODULE:#x},force-raw=on"]
    for address, data in parts.items():
        path = folder / f"at-{address:x}"
        path.write_bytes(data)
        arguments += ["-device", f"loader,file={path},addr={address:#x},force-raw=on"]
    jump = folder / "jump"
    jump.write_bytes(multiboot1_kernel(_jump(entries[state] - base + place, state)))
    return Machine(
        kernel=jump,
        machine="isapc,max-ram-below-4g=4G",
        cpu="qemu64",
        memory=RAM_END // MIB,
        accel="tcg",
        arguments=arguments,
    )


def _flattened(loader: Path) -> tuple[bytes, int, dict[State, int]]:
    """The file as it lies in memory, its lowest address, and its entries."""
    with loader.open("rb") as file:
        elf = ELFFile(file)
        loads = [segment for segment in elf.iter_segments() if segment["p_type"] == "PT_LOAD"]
        base = min(segment["p_paddr"] for segment in loads)
        image = bytearray(max(segment["p_paddr"] + segment["p_memsz"] for segment in loads) - base)
        for segment in loads:
            start = segment["p_paddr"] - base
            image[start : start + segment["p_filesz"]] = segment.data()
        notes = [note for part in elf.iter_segments() if isinstance(part, NoteSegment) for note in part.iter_notes()]
        pvh = next(note["n_descdata"] for note in notes if str(note["n_type"]) == XEN_PHYS32_ENTRY)
        return bytes(image), base, {"multiboot2": elf["e_entry"], "pvh": int.from_bytes(pvh, "little")}


def _jump(entry: int, state: State) -> bytes:
    """Code: no tables left, rubbish in every register but those that the state has."""
    code = b"\x0f\x01\x15" + struct.pack("<I", INFORMATION - 16)  # lgdt of six zeros: no segment can be loaded again
    code += b"\x0f\x01\x1d" + struct.pack("<I", INFORMATION - 16)  # lidt
    registers = {"eax": RUBBISH, "ecx": RUBBISH, "edx": RUBBISH, "ebx": INFORMATION, "esp": RUBBISH, "ebp": RUBBISH}
    if state == "multiboot2":
        registers["eax"] = MULTIBOOT2_MAGIC
    for number, value in enumerate(registers.values()):
        code += bytes([0xB8 + number]) + struct.pack("<I", value)  # mov register, value
    code += b"\xbf" + struct.pack("<I", entry)  # mov edi, entry
    return code + b"\xbe" + struct.pack("<I", RUBBISH) + b"\xff\xe7"  # mov esi, rubbish; jmp edi


def _multiboot2(kernel_bytes: int, place: int) -> bytes:
    """Tags: command line, module, memory map, load base, end."""
    ranges = b"".join(struct.pack("<QQII", *line, 0) for line in _memory())
    tags = [
        (1, COMMAND_LINE.encode() + b"\0"),
        (3, struct.pack("<II", MODULE, MODULE + kernel_bytes) + b"\0"),
        (6, struct.pack("<II", 24, 0) + ranges),
        (21, struct.pack("<I", place)),
        (0, b""),
    ]
    body = b"".join(_aligned(struct.pack("<II", kind, 8 + len(data)) + data) for kind, data in tags)
    return struct.pack("<II", 8 + len(body), 0) + body


def _start_info(kernel_bytes: int, _place: int) -> bytes:
    """hvm_start_info, version 1, and behind it the module, the map and the command line."""
    ranges = b"".join(struct.pack("<QQII", *line, 0) for line in _memory())
    module = INFORMATION + 56
    memory = module + 32
    text = memory + len(ranges)
    head = struct.pack("<IIIIQQQQII", PVH_MAGIC, 1, 0, 1, module, text, 0, memory, len(_memory()), 0)
    return head + struct.pack("<QQQQ", MODULE, kernel_bytes, 0, 0) + ranges + COMMAND_LINE.encode() + b"\0"


def _memory() -> list[tuple[int, int, int]]:
    return [(0, LOWER_RAM_BYTES, 1), (MIB, RAM_END - FIRMWARE_BYTES - MIB, 1)]


def _aligned(tag: bytes) -> bytes:
    return tag + bytes(-len(tag) % 8)
