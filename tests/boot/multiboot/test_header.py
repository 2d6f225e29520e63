"""Are the loader's headers and notes there for everybody who looks for them: our reader, grub-file and readelf?"""

import re
import struct
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest

from bootslang.boot.multiboot import header
from bootslang.boot.pvh.notes import pvh_notes
from bootslang.doors import Doors, Relocation, read_doors
from bootslang.slang import units
from bootslang.slang.link import HEAD_BYTES, Image, LinkRequest, ObjectFile, link, loader_elf
from support.guests import movable

BASE = 0x20_0000
ANYWHERE = Relocation(0x10_0000, 0xFFFF_FFFF, 0x1000)


@pytest.fixture(scope="module")
def image() -> Image:
    """Code of no matter, with the headers."""
    modules = (movable.__name__, header.__name__, "bootslang.boot.lib.memory")
    unit = units.Unit(movable.__name__, "long64", modules)
    code = ObjectFile("movable.o", units.compile_ir(units.ir_of(unit), "long64"))
    return link(LinkRequest(name="movable", objects=(code,), base=BASE, relocatable=True, head=HEAD_BYTES))


def file_of(image: Image, bits: Literal[32, 64]) -> bytes:
    """The ELF file as `bootslang loader` makes it."""
    data = bytearray(image.data)
    if bits == 32:
        place = image.symbols[header.MULTIBOOT1_SYMBOL] - image.base
        data[place : place + 12] = header.multiboot1_header()
    return loader_elf(replace(image, data=bytes(data)), bits=bits, notes=pvh_notes(image.entry, bits=bits))


@pytest.mark.parametrize("bits", [32, 64])
def test_our_reader_finds_the_doors(image: Image, bits: Literal[32, 64]) -> None:
    found = read_doors(file_of(image, bits))
    assert found.names == (("Multiboot 1",) if bits == 32 else ()) + ("Multiboot 2", "PVH")
    assert found == Doors(found.multiboot1, found.multiboot2, ANYWHERE, image.entry, ANYWHERE)


@pytest.mark.parametrize("bits", [32, 64])
def test_grub_accepts_them(image: Image, bits: Literal[32, 64], tmp_path: Path) -> None:
    path = tmp_path / f"loader.elf{bits}"
    path.write_bytes(file_of(image, bits))

    def accepts(kind: str) -> bool:
        return subprocess.run(["grub-file", f"--is-x86-{kind}", path], check=False).returncode == 0

    assert (accepts("multiboot"), accepts("multiboot2")) == (bits == 32, True)


@pytest.mark.parametrize(("bits", "size"), [(32, 4), (64, 8)])
def test_readelf_reads_the_notes(image: Image, bits: Literal[32, 64], size: int, tmp_path: Path) -> None:
    """Is the entry as wide as the file's class, and the relocation three numbers?"""
    path = tmp_path / f"loader.elf{bits}"
    path.write_bytes(file_of(image, bits))
    ran = subprocess.run(["readelf", "-nW", path], capture_output=True, text=True, check=True)
    assert not ran.stderr
    rows = re.findall(r"Xen\s+0x([0-9a-f]+).*?description data: ([0-9a-f ]+)", ran.stdout, re.DOTALL)
    assert [(int(length, 16), bytes.fromhex(data)) for length, data in rows] == [
        (size, image.entry.to_bytes(size, "little")),
        (12, struct.pack("<III", 0x1000, 0x10_0000, 0xFFFF_FFFF)),
    ]
    assert "(0x00000012)" in ran.stdout
    assert "(0x00000013)" in ran.stdout


def test_the_tags_are_those_that_are_wanted() -> None:
    """No address, entry or framebuffer tag; everything but the modules' alignment may be passed over."""
    numbers = struct.unpack(f"<{len(header.HEADER) // 4}I", header.HEADER)
    assert numbers[:3] == (0xE852_50D6, 0, len(header.HEADER))
    assert sum(numbers[:4]) & 0xFFFF_FFFF == 0
    at, tags = 16, []
    while at < len(header.HEADER):
        kind, flags, size = struct.unpack_from("<HHI", header.HEADER, at)
        tags.append((kind, flags))
        at += -(-size // 8) * 8
    assert tags == [(1, 1), (6, 0), (10, 1), (0, 0)]
