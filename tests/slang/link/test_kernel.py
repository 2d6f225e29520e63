"""Is a kernel made of slang what loaders of ELF kernels take: in place, moved, each page with its own rights?"""

from __future__ import annotations

import struct
import subprocess
from io import BytesIO
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
import unicorn
from elftools.elf.elffile import ELFFile
from unicorn import x86_const as x86

from bootslang.boot.lift.handoff import kernel as reader
from bootslang.boot.lift.handoff.kernel import HandoffKernel
from bootslang.slang import span, units
from bootslang.slang.link import HEAD_BYTES, Image, LinkRequest, ObjectFile, link
from support.guests import movable

if TYPE_CHECKING:
    from pathlib import Path

PAGE = 4096
HIGH = 0xFFFF_FFFF_8000_0000
FIXED = (0x20_0000, HIGH)
SHIFTS = (0x10_0000, 0x7FFF_7FE0_1000, HIGH)
READ, READ_WRITE, READ_EXECUTE = 4, 6, 5
RELATIVE = 8
PHYSICAL = 1 << 32
UNICORN_RIGHTS = {
    READ: unicorn.UC_PROT_READ,
    READ_WRITE: unicorn.UC_PROT_READ | unicorn.UC_PROT_WRITE,
    READ_EXECUTE: unicorn.UC_PROT_READ | unicorn.UC_PROT_EXEC,
}
STACK, LAST_PAGE = 0x1_0000, 0x2_0000
END = LAST_PAGE + 0x10
emulator: Any = unicorn
"""It has no types."""


def kernel(base: int | None, *, note: bool = True) -> Image:
    """The program, as `bootslang compile --target kernel` links it."""
    name = movable.__name__
    modules = (name, "bootslang.boot.lib.memory", *(["bootslang.boot.lib.kernel_note"] if note else []))
    code = units.compile_ir(units.ir_of(units.Unit(name, "long64", modules)), "long64")
    return link(
        LinkRequest(
            name="movable",
            objects=(ObjectFile("movable.o", code),),
            base=base or 0,
            kind="elf64",
            relocatable=base is None,
            head=HEAD_BYTES,
        )
    )


@pytest.fixture(scope="module")
def pie() -> Image:
    return kernel(None)


def elf_of(image: Image) -> ELFFile:
    return ELFFile(BytesIO(image.data))


def section_of(elf: ELFFile, name: str) -> Any:
    """The header of a section that is there."""
    section = elf.get_section_by_name(name)
    assert section is not None, name
    return section


def dynamic_of(elf: ELFFile) -> dict[int, int]:
    (segment,) = elf.iter_segments("PT_DYNAMIC")
    return dict(struct.iter_unpack("<QQ", segment.data()))


def memory_of(image: Image, shift: int) -> bytearray:
    """The segments as a loader puts them into memory, from the lowest on, relocated by the dynamic section alone."""
    memory = bytearray(image.memory_bytes)
    elf = elf_of(image)
    for load in elf.iter_segments("PT_LOAD"):
        start = load["p_vaddr"] - image.base
        memory[start : start + load["p_filesz"]] = load.data()
    if elf["e_type"] == "ET_DYN":
        tags = dynamic_of(elf)
        table = bytes(memory[tags[7] : tags[7] + tags[8]])
        for place, kind, addend in struct.iter_unpack("<QQq", table):
            assert kind == RELATIVE
            struct.pack_into("<Q", memory, place, (addend + shift) % 2**64)
    return memory


def rights_of(image: Image, shift: int) -> dict[int, int]:
    """What each page allows once a loader is done: as the segments say, relocated ones without writing."""
    rights = {}
    for kind in ("PT_LOAD", "PT_GNU_RELRO"):
        for segment in elf_of(image).iter_segments(kind):
            start, end = segment["p_vaddr"], segment["p_vaddr"] + segment["p_memsz"]
            for page in range(start // PAGE * PAGE, end, PAGE):
                rights[page + shift] = UNICORN_RIGHTS[segment["p_flags"]]
    return rights


def everything(image: Image, shift: int, seed: int, index: int) -> int:
    """What the entry returns when it is called as the hand-off calls it."""
    rights = rights_of(image, shift) | {
        STACK: unicorn.UC_PROT_READ | unicorn.UC_PROT_WRITE,
        LAST_PAGE: unicorn.UC_PROT_ALL,
    }

    def translate(_: object, virtual: int, __: int, entry: Any, ___: object) -> bool:
        page = virtual // PAGE * PAGE
        entry.paddr = page % PHYSICAL  # what lies high is physically lower
        entry.perms = rights.get(page, 0)
        return page in rights

    cpu = emulator.Uc(unicorn.UC_ARCH_X86, unicorn.UC_MODE_64)
    cpu.ctl_set_tlb_mode(unicorn.UC_TLB_VIRTUAL)
    cpu.hook_add(unicorn.UC_HOOK_TLB_FILL, translate)
    for place, content in (
        ((image.base + shift) % PHYSICAL, bytes(memory_of(image, shift))),
        (STACK, END.to_bytes(8, "little").rjust(PAGE, b"\0")),
        (LAST_PAGE, bytes(PAGE)),
    ):
        cpu.mem_map(place, len(content))
        cpu.mem_write(place, content)
    stack = STACK + PAGE - 8
    for register, value in ((x86.UC_X86_REG_RDI, seed), (x86.UC_X86_REG_RSI, index), (x86.UC_X86_REG_RSP, stack)):
        cpu.reg_write(register, value)
    cpu.emu_start(image.entry + shift, END, count=1_000_000)
    assert cpu.reg_read(x86.UC_X86_REG_RIP) == END
    return int(cpu.reg_read(x86.UC_X86_REG_RAX))


@pytest.mark.parametrize("shift", SHIFTS, ids=hex)
def test_it_runs_wherever_it_is_put(pie: Image, shift: int) -> None:
    for index in (0, 1):
        assert everything(pie, shift, 7, index) == movable.everything(7, index)


@pytest.mark.parametrize("base", FIXED, ids=hex)
def test_with_a_base_it_runs_there(base: int) -> None:
    image = kernel(base)
    assert image.entry == base + HEAD_BYTES
    assert elf_of(image)["e_type"] == "ET_EXEC"
    for index in (0, 1):
        assert everything(image, 0, 7, index) == movable.everything(7, index)


@pytest.mark.parametrize("base", [None, *FIXED])
def test_no_page_is_both_written_and_executed(base: int | None) -> None:
    loads = list(elf_of(kernel(base)).iter_segments("PT_LOAD"))
    assert [load["p_flags"] for load in loads] == [READ_EXECUTE, READ, READ_WRITE]
    for load in loads:
        assert load["p_vaddr"] % PAGE == load["p_offset"] % PAGE
    for before, after in pairwise(loads):
        assert (before["p_vaddr"] + before["p_memsz"] - 1) // PAGE < after["p_vaddr"] // PAGE


def test_addresses_stand_where_its_loader_may_write_and_then_protects(pie: Image) -> None:
    elf = elf_of(pie)
    (relro,) = elf.iter_segments("PT_GNU_RELRO")
    assert (relro["p_vaddr"] + relro["p_memsz"]) % PAGE == 0
    protected = range(relro["p_vaddr"], relro["p_vaddr"] + relro["p_memsz"])
    relocations = list(section_of(elf, ".rela.dyn").iter_relocations())
    assert [one["r_offset"] for one in relocations] == [place.offset for place in pie.relocations]
    outside = [one["r_offset"] for one in relocations if one["r_offset"] not in protected]
    data = section_of(elf, ".data")
    assert data["sh_addr"] >= protected.stop
    assert outside  # `variable` holds two addresses, and stays writable
    assert all(data["sh_addr"] <= place < data["sh_addr"] + data["sh_size"] for place in outside)
    for name in (".set.steps", ".data.rel.ro", ".dynamic"):
        assert section_of(elf, name)["sh_addr"] in protected
    (load,) = [one for one in elf.iter_segments("PT_LOAD") if one["p_flags"] == READ_WRITE]
    assert load["p_vaddr"] == protected.start
    assert load["p_vaddr"] + load["p_memsz"] >= protected.stop


def test_a_fixed_kernel_keeps_constants_with_addresses_read_only() -> None:
    elf = elf_of(kernel(FIXED[0]))
    assert elf.get_section_by_name(".dynamic") is None
    assert not list(elf.iter_segments("PT_GNU_RELRO"))
    assert section_of(elf, ".set.steps")["sh_flags"] == 2


@pytest.mark.parametrize("base", [None, *FIXED])
def test_readers_of_elf_have_no_complaint(tmp_path: Path, base: int | None) -> None:
    path = tmp_path / "kernel"
    path.write_bytes(kernel(base).data)
    read = subprocess.run(["readelf", "--all", "--wide", path], capture_output=True, text=True, check=True)
    assert read.stderr == ""
    assert "Warning" not in read.stdout
    assert "Bootslang" in read.stdout
    lint = subprocess.run(["eu-elflint", "--gnu-ld", path], capture_output=True, text=True, check=False)
    assert all(
        "unknown object file note type 1 with owner name 'Bootslang'" in line for line in lint.stdout.splitlines()
    )
    path.write_bytes(kernel(base, note=False).data)
    lint = subprocess.run(["eu-elflint", "--gnu-ld", path], capture_output=True, text=True, check=False)
    assert (lint.stdout.strip(), lint.returncode) == ("No errors", 0)


@pytest.mark.parametrize("base", [None, *FIXED])
def test_the_loader_takes_it(base: int | None) -> None:
    file = kernel(base).data
    found = HandoffKernel.zeroed()
    reader.read(span(file), len(file), found)
    assert found.segments.count == 3
    assert found.note_count == 1
    assert found.is_movable() == (base is None)


def test_gdb_finds_its_lines(pie: Image, tmp_path: Path) -> None:
    path = tmp_path / "kernel"
    path.write_bytes(pie.data)
    text = subprocess.run(
        ["gdb", "-batch", "-nx", "-ex", f"info line *{pie.entry}", path], capture_output=True, text=True, check=True
    ).stdout
    assert "movable.py" in text
    assert f"starts at address {pie.entry:#x}" in text


def test_a_kernel_that_holds_no_address_has_no_relocations(compiled: Any) -> None:
    code = compiled('define void @start() section ".start" { ret void }', target="long64")
    image = link(LinkRequest(name="x", objects=(code,), base=0, kind="elf64", relocatable=True, head=HEAD_BYTES))
    tags = dynamic_of(elf_of(image))
    assert 7 not in tags
    assert elf_of(image)["e_type"] == "ET_DYN"
