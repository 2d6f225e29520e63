"""Does stage 4 find out what is to be booted: kernel, modules, command line, each with all that is known of it?"""

from pathlib import Path

import pytest

from bootslang import Bundle
from bootslang.boot.context import FLAG_ALLOW_WX, FLAG_RANDOMISE
from bootslang.boot.disk import BLOB_ALLOW_WX, BLOB_RANDOMISE, COMMAND_LINE, INITRD, KERNEL_HANDOFF
from bootslang.boot.lift import payload
from bootslang.boot.lift.payload import Part
from bootslang.slang import fn, u8, usize
from support.lift import Door
from support.partition import checksum
from support.payloads import MIB, Elf, Load

KERNEL = Elf([Load(2 * MIB, b"code" * 100)])
FILE = KERNEL.head + KERNEL.body
INITRD_BYTES = b"initrd" * 1000


def parts(door: Door) -> list[Part]:
    """Kernel, command line, modules."""
    with door:
        payload.find(door.memory, door.context)
        count = payload.payload.count
        return [payload.payload.parts[0], payload.payload.line, *list(payload.payload.parts)[1:count]]


@fn
def name_byte(part: Part, index: usize) -> u8:
    """A byte of a part's name, 0 behind its end: Python does not see into a struct's spans."""
    return part.name[index] if index < len(part.name) else 0


def name_of(part: Part) -> bytes:
    return bytes(name_byte(part, index) for index in range(32)).rstrip(b"\0")


def made_bundle(folder: Path) -> bytes:
    (folder / "kernel").write_bytes(FILE)
    (folder / "archive.cpio").write_bytes(INITRD_BYTES)
    bundle = Bundle(kernel=folder / "kernel", initrds=[folder / "archive.cpio"], command_line="a line")
    bundle.build(folder / "bundle")
    return (folder / "bundle").read_bytes()


def test_files_in_memory() -> None:
    door = Door()
    places = [
        door.add(FILE, 4 * MIB, b"answer=42"),
        door.add(b"", 5 * MIB),
        door.add(INITRD_BYTES, 6 * MIB, b"its name"),
    ]
    kernel, line, empty, module = parts(door)
    assert [part.kind for part in (kernel, line, empty, module)] == [KERNEL_HANDOFF, COMMAND_LINE, INITRD, INITRD]
    assert [(part.address, part.size) for part in (kernel, empty, module)] == [
        (places[0], len(FILE)),
        (places[1], 0),
        (places[2], len(INITRD_BYTES)),
    ]
    assert (line.size, kernel.flags, module.checksum) == (9, 0, 0)


def test_blobs_of_a_bundle(tmp_path: Path) -> None:
    door = Door()
    door.add(made_bundle(tmp_path), 4 * MIB)
    kernel, line, initrd = parts(door)
    assert [part.kind for part in (kernel, line, initrd)] == [KERNEL_HANDOFF, COMMAND_LINE, INITRD]
    assert [part.address for part in (kernel, line, initrd)] == [0, 0, 0]
    assert (line.size, initrd.size, initrd.checksum) == (6, len(INITRD_BYTES), checksum(INITRD_BYTES))
    assert name_of(initrd) == b"archive.cpio"


@pytest.mark.parametrize(
    ("options", "flags"), [(FLAG_ALLOW_WX, BLOB_ALLOW_WX), (FLAG_RANDOMISE, BLOB_RANDOMISE)], ids=["W^X", "random base"]
)
def test_options_are_for_a_module_and_a_bundle_has_its_own(tmp_path: Path, options: int, flags: int) -> None:
    door = Door()
    door.context.flags = options
    door.add(FILE, 4 * MIB)
    assert parts(door)[0].flags == flags
    door = Door()
    door.context.flags = options
    door.add(made_bundle(tmp_path), 4 * MIB)
    assert parts(door)[0].flags == 0
