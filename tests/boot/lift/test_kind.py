"""Does a file in memory say how it is to be started, or the user, where the file could be taken for another kind?"""

import struct

import pytest

from bootslang.boot.context import PROTOCOL_GUESS, PROTOCOL_HANDOFF, PROTOCOL_LINUX
from bootslang.boot.disk import KERNEL_BZIMAGE, KERNEL_ELF, KERNEL_HANDOFF
from bootslang.boot.lift.kind import kind_of
from bootslang.kernel import Kernel, KernelKind, elf
from bootslang.kernel.elf_file import ElfFile
from bootslang.kernel.file import FileBytes
from bootslang.slang import BootError, span
from support.payloads import MIB, READ_WRITE, Elf, Load, bzimage

FIRST = 64
"""Where the first program header of an ELF64 starts."""
HIGH = 0xFFFF_FFFF_8100_0000
VMLINUX = [
    Load(16 * MIB, b"code" * 100, virtual=HIGH),
    Load(18 * MIB, b"data" * 100, virtual=HIGH + 2 * MIB, flags=READ_WRITE),
    Load(20 * MIB, b"percpu" * 100, virtual=0, flags=READ_WRITE),
]
"""Linux is entered at a physical address; its variables of each CPU are linked at 0."""


def note(name: bytes = b"Bootslang\0", kind: int = 1, description: bytes = b"\1\0\0\0", *, alignment: int = 4) -> bytes:
    head = struct.pack("<III", len(name), len(description), kind) + name
    return b"".join(part + bytes(-len(part) % alignment) for part in (head, description))


def with_notes(notes: bytes, alignment: int = 4) -> bytes:
    """A vmlinux with a PT_NOTE."""
    patches = {FIRST + 3 * 56: struct.pack("<I", 4)}
    written = Elf([*VMLINUX, Load(0, notes, align=alignment)], entry=16 * MIB, patches=patches)
    return written.head + written.body


def wide_notes() -> bytes:
    """The note behind another one, both padded to 8 bytes."""
    return note(b"FIVE\0", 3, b"", alignment=8) + note(alignment=8)


def with_setup_header(kernel: bytes) -> bytes:
    """An ELF file whose code happens to have, where a bzImage has them, the marks of one."""
    looks = bytearray(kernel.ljust(0x1000, b"\0"))
    looks[0x1FE:0x206] = b"\x55\xaa\xeb\x6aHdrS"
    return bytes(looks)


def file(*loads: Load, entry: int, bits: int = 64, kind: int = 2) -> bytes:
    written = Elf(list(loads), bits=bits, entry=entry, patches={16: struct.pack("<H", kind)})
    return written.head + written.body


LOW = Load(2 * MIB, b"code" * 100)
HIGHER_HALF = Load(2 * MIB, b"code" * 100, virtual=HIGH)
KINDS = {
    "a bzImage": (bzimage(), KERNEL_BZIMAGE),
    "a vmlinux": (file(*VMLINUX, entry=16 * MIB), KERNEL_ELF),
    "a 32-bit vmlinux": (file(Load(16 * MIB, b"x" * 9, virtual=0xC100_0000), entry=16 * MIB, bits=32), KERNEL_ELF),
    "any 32-bit one": (file(LOW, entry=2 * MIB, bits=32), KERNEL_ELF),
    "an own one at low addresses": (file(LOW, entry=2 * MIB), KERNEL_HANDOFF),
    "an own one at high addresses": (file(HIGHER_HALF, entry=HIGH + 399), KERNEL_HANDOFF),
    "an own one that moves": (file(Load(0, b"code" * 100), entry=16, kind=3), KERNEL_HANDOFF),
    "an entry behind the segment": (file(HIGHER_HALF, entry=HIGH + 400), KERNEL_ELF),
    "the note": (with_notes(note()), KERNEL_HANDOFF),
    "the note behind others": (with_notes(note(b"GNU\0", 3, bytes(20)) + note(b"X", 1, b"") + note()), KERNEL_HANDOFF),
    "a note of another type": (with_notes(note(kind=2)), KERNEL_ELF),
    "a note of another name": (with_notes(note(b"Bootslanh\0")), KERNEL_ELF),
    "a note of a longer name": (with_notes(note(b"Bootslang\0\0")), KERNEL_ELF),
    "notes padded to 8 bytes": (with_notes(wide_notes(), 8), KERNEL_HANDOFF),
    "an own one with the marks of a bzImage": (with_setup_header(file(LOW, entry=2 * MIB)), KERNEL_HANDOFF),
    "a vmlinux with the marks of a bzImage": (with_setup_header(file(*VMLINUX, entry=16 * MIB)), KERNEL_ELF),
}


@pytest.mark.parametrize(("kernel", "kind"), KINDS.values(), ids=KINDS.keys())
def test_the_file_says_it(kernel: bytes, kind: int) -> None:
    assert kind_of(span(kernel), PROTOCOL_GUESS) == kind


@pytest.mark.parametrize(("kernel", "kind"), KINDS.values(), ids=KINDS.keys())
def test_the_user_knows_better(kernel: bytes, kind: int) -> None:
    assert kind_of(span(kernel), PROTOCOL_HANDOFF) == KERNEL_HANDOFF
    assert kind_of(span(kernel), PROTOCOL_LINUX) == (KERNEL_BZIMAGE if kind == KERNEL_BZIMAGE else KERNEL_ELF)


@pytest.mark.parametrize(("kernel", "kind"), KINDS.values(), ids=KINDS.keys())
def test_the_host_says_the_same(kernel: bytes, kind: int) -> None:
    host_file = FileBytes.of(kernel, name="the kernel")
    if kind == KERNEL_BZIMAGE:
        assert not elf.recognises(host_file)
    else:
        assert elf.is_handoff(ElfFile.of(host_file)) == (kind == KERNEL_HANDOFF)


def test_the_host_takes_no_elf_file_for_a_bzimage() -> None:
    assert Kernel.read(with_setup_header(file(LOW, entry=2 * MIB))).kind is KernelKind.HANDOFF


@pytest.mark.parametrize("offset", [1 << 40, (1 << 64) - 8])
def test_notes_outside_of_the_file_say_nothing(offset: int) -> None:
    kernel = bytearray(with_notes(note()))
    kernel[FIRST + 3 * 56 + 8 : FIRST + 3 * 56 + 16] = struct.pack("<Q", offset)
    assert kind_of(span(kernel), PROTOCOL_GUESS) == KERNEL_ELF


def test_what_is_neither_is_refused() -> None:
    with pytest.raises(BootError, match="the kernel is no ELF file: it begins with 0x00000000"):
        kind_of(span(bytes(1000)), PROTOCOL_GUESS)
