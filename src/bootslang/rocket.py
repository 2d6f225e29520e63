"""The rocket: which units stages 1 to 4 and the loader are made of, their objects, and the linking of a disk's stages.

An installed Bootslang carries the objects; a checkout compiles them when they are first needed, through a cache.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from bootslang.boot import layout
from bootslang.boot.multiboot.header import MULTIBOOT1_SYMBOL, multiboot1_header
from bootslang.boot.pvh.notes import pvh_notes
from bootslang.slang.link import HEAD_BYTES, Image, LinkError, LinkRequest, ObjectFile, link, loader_elf

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

    from bootslang.slang.emit import RunTime

BOOT: Final = "bootslang.boot"
LIBRARY: Final = (f"{BOOT}.lib.memory", f"{BOOT}.lib.division")
"""What LLVM calls of its own accord: copies, fills, 64-bit division."""
PVH_ENTRY: Final = "pvh_start"
"""Where PVH enters the loader; everybody else enters it where its image says."""
SEALED_SIZE: Final = f"{BOOT}.doors.main.sealed"
"""The variable of the loader that says how large the sealed bundle behind it is: 8 bytes."""
LOADER_BYTES: Final = 160 << 10
"""The most that the loader's file may have, with every codec and without what is sealed in."""
LOADER_MEMORY: Final = layout.LOADER_MEMORY
SHIPPED: Final = "objects"
"""The folder of the installed package that holds the objects."""


@dataclass(frozen=True)
class UnitSpec:
    """One object: which module it starts from, and for which machine."""

    name: str
    target: str
    root: str
    run_time: RunTime = "own"
    library: bool = True
    """Whether the object carries the functions that LLVM calls; else another one that it is linked with does."""
    also: tuple[str, ...] = ()
    """Modules whose data belongs to it although no code of the root's asks for it."""
    small: bool = False
    """Whether even the code that moves megabytes elsewhere is made small: it moves little here."""


CODECS: Final = ("bzip2", "deflate", "gzip", "xz", "lzma", "lz4", "zstd")
UNITS: Final = (
    UnitSpec("stage1", "real16", f"{BOOT}.bios.boot_sector"),
    UnitSpec("stage2", "protected32", f"{BOOT}.bios.loader", small=True),
    UnitSpec("stage3", "protected32", f"{BOOT}.bios.survey", small=True),
    UnitSpec("lift32", "protected32", f"{BOOT}.lift.entry32", "shared", small=True),
    UnitSpec("lift64", "long64", f"{BOOT}.lift.entry64", "shared"),
    UnitSpec("loader", "long64", f"{BOOT}.doors.entry", "shared", also=(f"{BOOT}.multiboot.header",)),
    *(
        UnitSpec(f"codec_{codec}_32", "protected32", f"{BOOT}.codecs.{codec}", "foreign", library=False)
        for codec in CODECS
    ),
    *(UnitSpec(f"codec_{codec}_64", "long64", f"{BOOT}.codecs.{codec}", "foreign", library=False) for codec in CODECS),
)


@dataclass(frozen=True)
class Stages:
    """The linked stages of one disk."""

    stage1: Image
    stage2: Image
    stage3: Image
    lift64: Image | None
    lift32: Image | None
    """A disk has the one of its kernel's width, and both while it keeps kernels of both."""

    def all(self) -> tuple[Image, ...]:
        """In the order in which they run."""
        found = (self.stage1, self.stage2, self.stage3, self.lift64, self.lift32)
        return tuple(image for image in found if image is not None)


def compile_units() -> dict[str, bytes]:
    """The object of every unit, by its name; compiled where the cache does not have it.

    Raises:
        CompileError: Boot code has a mistake; it carries the diagnostics.

    """
    from bootslang.slang.units import Unit, compile_all

    specs = [
        Unit(
            spec.name,
            spec.target,
            (spec.root, *spec.also, *(LIBRARY if spec.library else ())),
            spec.run_time,
            spec.small,
        )
        for spec in UNITS
    ]
    return dict(zip((spec.name for spec in UNITS), compile_all(specs, Path(__file__).parent), strict=True))


@cache
def objects() -> dict[str, bytes]:
    """The object of every unit: as shipped, else compiled."""
    shipped = resources.files("bootslang").joinpath(SHIPPED)
    if all(shipped.joinpath(f"{spec.name}.o").is_file() for spec in UNITS):
        return {spec.name: shipped.joinpath(f"{spec.name}.o").read_bytes() for spec in UNITS}
    return compile_units()


def stages(*, codecs: Iterable[str] = CODECS, bits: Container[int] = (64, 32)) -> Stages:
    """Link the stages of a disk that uses `codecs` (names as in CODECS; `none` needs no code).

    `bits`: of the kernels on it. The 32-bit stage 4 runs on any CPU, the 64-bit one boots any kernel.

    Raises:
        LinkError: A stage does not fit its place; the message says by how much.

    """
    chosen = sorted(set(codecs) - {"none"})
    low = layout
    return Stages(
        linked("stage1", low.BOOT_SECTOR, low.BOOT_SECTOR_CODE_BYTES, low.BOOT_SECTOR_CODE_BYTES),
        linked("stage2", low.STAGE2, low.STAGE2_END - low.STAGE2),
        linked("stage3", low.STAGE3, low.STAGE3_END - low.STAGE3),
        lift64(chosen) if 64 in bits else None,
        lift32(chosen) if 32 in bits else None,
    )


def lift64(codecs: Iterable[str] = CODECS) -> Image:
    """Stage 4 for CPUs with long mode."""
    room = layout.STAGE4_END - layout.STAGE4
    return linked("lift64", layout.STAGE4, room, extra=[f"codec_{codec}_64" for codec in codecs], relocatable=True)


def lift32(codecs: Iterable[str] = CODECS) -> Image:
    """Stage 4 for 32-bit kernels, and for CPUs that run no others."""
    room = layout.STAGE4_END - layout.STAGE4
    return linked("lift32", layout.STAGE4, room, extra=[f"codec_{codec}_32" for codec in codecs])


def linked(
    name: str, base: int, memory: int, file: int | None = None, *, extra: Iterable[str] = (), relocatable: bool = False
) -> Image:
    """One stage at its place: `memory` bytes are there for it, `file` of them for its bytes on the disk.

    What is relocatable can move itself: into a kernel's address space, as the hand-off does with the lift. It tells
    exceptions of its own, and therefore has a table of its source lines.
    """
    found = objects()
    parts = tuple(ObjectFile(part, found[part]) for part in (name, *extra))
    return link(
        LinkRequest(
            name=name,
            objects=parts,
            base=base,
            file_limit=file,
            memory_limit=memory,
            relocatable=relocatable,
            lines=relocatable,
        )
    )


@dataclass(frozen=True)
class LinkedLoader:
    """The loader that other loaders start."""

    file: bytes
    """The ELF file; a sealed payload has to follow."""
    memory_bytes: int


def loader(*, bits: Literal[32, 64], codecs: Iterable[str] | None = None, sealed_bytes: int = 0) -> LinkedLoader:
    """Link the loader with some codecs (None: all) for a sealed bundle of so many bytes (0: none).

    Raises:
        LinkError: It is too large; the message says by how much.

    """
    image = loader_image(codecs=CODECS if codecs is None else codecs)
    data = bytearray(image.data)
    place = image.symbols[SEALED_SIZE] - image.base
    data[place : place + 8] = sealed_bytes.to_bytes(8, "little")
    if bits == 32:
        place = image.symbols[MULTIBOOT1_SYMBOL] - image.base
        data[place : place + len(multiboot1_header())] = multiboot1_header()
    notes = pvh_notes(image.symbols[PVH_ENTRY], bits=bits)
    file = loader_elf(replace(image, data=bytes(data)), bits=bits, notes=notes, sealed_bytes=sealed_bytes)
    if len(file) > LOADER_BYTES:
        raise LinkError(f"the loader's file has {len(file)} bytes; {LOADER_BYTES} are the most")
    return LinkedLoader(file, image.memory_bytes)


def loader_image(*, codecs: Iterable[str] = CODECS) -> Image:
    """The loader's code and data, with room at its beginning for the headers of its ELF file."""
    names = ["loader", *(f"codec_{codec}_64" for codec in sorted(set(codecs) - {"none"}))]
    found = objects()
    return link(
        LinkRequest(
            name="loader",
            objects=tuple(ObjectFile(name, found[name]) for name in names),
            base=layout.LOADER,
            relocatable=True,
            lines=True,
            head=HEAD_BYTES,
            keep=(PVH_ENTRY,),
            memory_limit=LOADER_MEMORY,
        )
    )
