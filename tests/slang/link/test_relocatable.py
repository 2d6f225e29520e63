"""Can a relocatable image be run where it was not linked, by its own list of addresses, and packed as an ELF file?"""

from __future__ import annotations

import struct
import subprocess
from io import BytesIO
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import pytest
import unicorn
from elftools.elf.elffile import ELFFile
from unicorn import x86_const as x86

from bootslang.slang import units
from bootslang.slang.link import HEAD_BYTES, Image, LinkError, LinkRequest, ObjectFile, link, loader_elf
from support.guests import movable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Compile = Callable[..., ObjectFile]

BASE = 0x20_0000
BELOW_4_GIB = 0x1_0000_0000 - 0x10_0000
PLACES = (BASE, BASE + 0x1000, 0x10_3000, BELOW_4_GIB, 0x7FFF_FFE0_0000)
STACK, END = 0x1_0000, 0x2_0000
PAGE = 4096
NOTE = struct.pack("<III4sI", 4, 4, 18, b"Xen", BASE)
BITS: tuple[Literal[32, 64], ...] = (32, 64)
emulator: Any = unicorn
"""It has no types."""


@pytest.fixture(scope="module")
def image() -> Image:
    name = movable.__name__
    unit = units.Unit(name, "long64", (name, "bootslang.boot.lib.memory"))
    code = ObjectFile("movable.o", units.compile_ir(units.ir_of(unit), "long64"))
    return link(
        LinkRequest(name="movable", objects=(code,), base=BASE, relocatable=True, head=HEAD_BYTES, keep=("move",))
    )


class Processor:
    """A 64-bit CPU with the image in its memory."""

    def __init__(self, image: Image, place: int, content: bytes) -> None:
        self.image = image
        self.place = place
        self.cpu = emulator.Uc(unicorn.UC_ARCH_X86, unicorn.UC_MODE_64)
        self.cpu.mem_map(STACK, PAGE)
        self.cpu.mem_map(END, PAGE)
        self.cpu.mem_map(place, image.memory_bytes)
        self.cpu.mem_write(place, content)

    def call(self, symbol: str, *arguments: int) -> int:
        """Run a function by System V's convention."""
        for register, value in zip((x86.UC_X86_REG_RDI, x86.UC_X86_REG_RSI), arguments, strict=False):
            self.cpu.reg_write(register, value % 2**64)
        stack = STACK + PAGE - 8
        self.cpu.mem_write(stack, END.to_bytes(8, "little"))
        self.cpu.reg_write(x86.UC_X86_REG_RSP, stack)
        self.cpu.emu_start(self.image.symbols[symbol] - self.image.base + self.place, END, count=1_000_000)
        assert self.cpu.reg_read(x86.UC_X86_REG_RIP) == END
        return int(self.cpu.reg_read(x86.UC_X86_REG_RAX))

    def everything(self, seed: int, index: int) -> int:
        start = next(name for name, value in self.image.symbols.items() if value == self.image.entry)
        return self.call(start, seed, index)

    def memory(self) -> bytes:
        """The image as it stands now."""
        return bytes(self.cpu.mem_read(self.place, self.image.memory_bytes))


def results(processor: Processor) -> list[int]:
    return [processor.everything(seed, index) for seed in (1, 2**63) for index in (0, 1)]


@pytest.fixture(scope="module")
def expected() -> list[int]:
    """What the same functions give on this computer."""
    return [movable.everything(seed, index) for seed in (1, 2**63) for index in (0, 1)]


@pytest.mark.parametrize("place", PLACES, ids=hex)
def test_it_moves_itself_at_its_new_place(image: Image, expected: list[int], place: int) -> None:
    moved = Processor(image, place, image.data)
    moved.call("move", place - BASE)
    assert results(moved) == expected


@pytest.mark.parametrize("place", PLACES[1:], ids=hex)
def test_it_moves_itself_before_it_is_copied_away(image: Image, expected: list[int], place: int) -> None:
    here = Processor(image, BASE, image.data)
    assert results(here) == expected  # its variables have changed by now
    here.call("move", place - BASE)
    assert results(Processor(image, place, here.memory())) == expected


def test_who_moves_it_from_outside_needs_the_list_alone(image: Image, expected: list[int]) -> None:
    place = BELOW_4_GIB
    data = bytearray(image.data)
    table = data[image.symbols["__relocations_start"] - BASE : image.symbols["__relocations_end"] - BASE]
    offsets = [offset for (offset,) in struct.iter_unpack("<I", table)]
    assert offsets == sorted(set(offsets)) == [offset for offset, _ in image.relocations]
    for offset in offsets:
        (value,) = struct.unpack_from("<Q", data, offset)
        assert BASE <= value < BASE + image.memory_bytes
        struct.pack_into("<Q", data, offset, value + place - BASE)
    assert results(Processor(image, place, bytes(data))) == expected


def test_without_its_list_it_runs_nowhere_else(image: Image) -> None:
    with pytest.raises(emulator.UcError):
        results(Processor(image, BASE + 0x100000, image.data))


def test_rights_change_at_pages_and_nothing_lies_beyond_them(image: Image) -> None:
    at = image.symbols
    bounds = [at[name] for name in ("__image_start", "__text_end", "__rodata_end", "__bss_end")]
    assert bounds == sorted(bounds)
    assert not [bound for bound in bounds if bound % PAGE]
    assert at["__text_end"] > at["move"] > at["__image_start"] == BASE
    assert at["__rodata_end"] >= at["__relocations_end"] > at["__relocations_start"] > at["__text_end"]
    assert at["__rodata_end"] < at["__image_end"] <= at["__bss_start"] < at["__bss_end"] == BASE + image.memory_bytes
    assert image.data[:HEAD_BYTES] == bytes(HEAD_BYTES)


# As an ELF file


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("sealed", [b"", b"payload" * 1000])
def test_readers_of_elf_have_no_complaint(image: Image, tmp_path: Path, bits: Literal[32, 64], sealed: bytes) -> None:
    path = tmp_path / "loader"
    path.write_bytes(loader_elf(image, bits=bits, notes=NOTE, sealed_bytes=len(sealed)) + sealed)
    read = subprocess.run(["readelf", "--all", "--wide", path], capture_output=True, text=True, check=True)
    assert read.stderr == ""
    assert "Warning" not in read.stdout
    assert ("ELF32" if bits == 32 else "ELF64") in read.stdout
    lint = subprocess.run(["eu-elflint", "--gnu-ld", path], capture_output=True, text=True, check=False)
    (complaint,) = lint.stdout.splitlines()
    assert complaint.endswith("unknown object file note type 18 with owner name 'Xen' at offset 20")  # it knows its own
    path.write_bytes(loader_elf(image, bits=bits, sealed_bytes=len(sealed)) + sealed)
    lint = subprocess.run(["eu-elflint", "--gnu-ld", path], capture_output=True, text=True, check=False)
    assert (lint.stdout.strip(), lint.returncode) == ("No errors", 0)


@pytest.mark.parametrize("bits", BITS)
def test_its_segments_are_the_image(image: Image, bits: Literal[32, 64]) -> None:
    file = loader_elf(image, bits=bits)
    elf = ELFFile(BytesIO(file))
    assert (elf["e_machine"], elf["e_entry"]) == ("EM_386" if bits == 32 else "EM_X86_64", image.entry)
    loads = list(elf.iter_segments("PT_LOAD"))
    assert [load["p_flags"] for load in loads] == [4 | 1, 4, 4 | 2]
    memory = bytearray(image.memory_bytes)
    for load in loads:
        assert load["p_vaddr"] == load["p_paddr"]
        assert load["p_vaddr"] % PAGE == load["p_offset"] % PAGE
        start = load["p_vaddr"] - BASE
        memory[start : start + load["p_filesz"]] = load.data()
    assert memory[HEAD_BYTES : len(image.data)] == image.data[HEAD_BYTES:]
    assert not any(memory[len(image.data) :])
    for before, after in pairwise(loads):
        assert (before["p_vaddr"] + before["p_memsz"] - 1) // PAGE < after["p_vaddr"] // PAGE
    assert loads[-1]["p_vaddr"] + loads[-1]["p_memsz"] == BASE + image.memory_bytes


def test_the_file_has_no_gaps(image: Image) -> None:
    content = sum(segment.end - segment.start for segment in image.segments)
    assert content <= len(loader_elf(image, bits=64)) < content + 3 * 16


@pytest.mark.parametrize("bits", BITS)
def test_notes_are_found_by_their_segment(image: Image, bits: Literal[32, 64]) -> None:
    (segment,) = ELFFile(BytesIO(loader_elf(image, bits=bits, notes=NOTE))).iter_segments("PT_NOTE")
    assert segment.data() == NOTE
    assert segment["p_vaddr"] - BASE == segment["p_offset"] < HEAD_BYTES


@pytest.mark.parametrize("bits", BITS)
def test_a_sealed_payload_lies_behind_the_images_memory(image: Image, bits: Literal[32, 64]) -> None:
    payload = b"manifest" + bytes(range(256)) * 100
    file = loader_elf(image, bits=bits, sealed_bytes=len(payload)) + payload
    *_, last = ELFFile(BytesIO(file)).iter_segments("PT_LOAD")
    assert last["p_vaddr"] == image.symbols["__bss_end"]
    assert last["p_vaddr"] % PAGE == last["p_offset"] % PAGE == 0
    assert (last["p_flags"], last.data()) == (4, payload)


def test_notes_that_do_not_fit_are_refused(image: Image) -> None:
    with pytest.raises(LinkError) as caught:
        loader_elf(image, bits=64, notes=bytes(300))
    assert str(caught.value) == "movable: ELF headers and notes are 588 bytes; 512 fit"


# What cannot move


def refused(code: ObjectFile, **options: Any) -> str:
    with pytest.raises(LinkError) as caught:
        link(LinkRequest(name="lift64", objects=(code,), base=BASE, relocatable=True, **options))
    return str(caught.value)


@pytest.mark.parametrize(("operand", "kind"), [("eax", "R_X86_64_32"), ("rax", "R_X86_64_32S")])
def test_an_address_of_fewer_bits_is_refused_with_its_place(compiled: Compile, operand: str, kind: str) -> None:
    ir = f"""@room = internal global [4 x i8] zeroinitializer, section ".bss.room"
    define void @start() section ".start" {{
      call void asm sideeffect inteldialect "mov {operand}, offset room", "~{{rax}}"()
      ret void }}
    @llvm.compiler.used = appending global [1 x ptr] [ptr @room], section "llvm.metadata" """
    assert refused(compiled(ir, target="long64")) == (
        f"lift64: start in a.o holds the address of `room` in 32 bits ({kind}), which cannot be adjusted when the "
        "image moves; compute it from where the code runs (lea rax, [rip + name])"
    )


def test_the_distance_to_what_stays_is_refused(compiled: Compile) -> None:
    ir = """declare void @firmware()
    define void @start() section ".start" { call void @firmware()
      ret void }"""
    assert refused(compiled(ir, target="long64"), symbols={"firmware": 0x21_0000}) == (
        "lift64: start in a.o holds the distance to `firmware` (R_X86_64_PLT32), which does not move with the image; "
        "use its address"
    )


def test_only_64_bit_code_is_made_relocatable(compiled: Compile) -> None:
    code = compiled('define void @start() section ".start" { ret void }')
    assert refused(code) == "lift64: a.o is 32-bit code, which a relocatable image cannot hold"


def test_an_image_that_holds_no_address_has_an_empty_list(compiled: Compile) -> None:
    code = compiled('define void @start() section ".start" { ret void }', target="long64")
    linked = link(LinkRequest(name="x", objects=(code,), base=BASE, relocatable=True))
    assert linked.symbols["__relocations_start"] == linked.symbols["__relocations_end"]
    assert linked.memory_bytes == PAGE
