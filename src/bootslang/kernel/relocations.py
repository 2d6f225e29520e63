"""The relocations of a position-independent kernel: PT_DYNAMIC, and the table that it leads to.

The loader knows one kind, R_X86_64_RELATIVE: add to these eight bytes what the kernel was moved by. All others ask for
a symbol to be looked up; they are refused by name here, before a machine does it.
"""

import struct
from collections.abc import Iterator
from typing import Final

from bootslang.kernel.elf_file import DYNAMIC, NOT_LINKED, ElfFile, ProgramHeader

DYNAMIC_BYTES_MAX: Final = 0x1_0000
"""Of PT_DYNAMIC: static-pie programs have some 400 bytes."""

_NULL, _NEEDED, _PLTRELSZ, _RELA, _RELASZ, _RELAENT, _RELSZ, _RELRSZ = 0, 1, 2, 7, 8, 9, 18, 35
"""Tags of the dynamic section (System V ABI, chapter 5); those of sizes are 0 where there is no such table."""
_ENTRY: Final = struct.Struct("<QQ")
_RELOCATION: Final = struct.Struct("<QQq")
_TABLE_STEP: Final = 0x10_0000 // _RELOCATION.size * _RELOCATION.size
"""How much of a table is read at a time."""
_TARGET_BYTES: Final = 8
_NONE, _RELATIVE = 0, 8

_NAMES: Final = {
    1: "R_X86_64_64",
    2: "R_X86_64_PC32",
    5: "R_X86_64_COPY",
    6: "R_X86_64_GLOB_DAT",
    7: "R_X86_64_JUMP_SLOT",
    8: "R_X86_64_RELATIVE",
    10: "R_X86_64_32",
    11: "R_X86_64_32S",
    16: "R_X86_64_DTPMOD64",
    17: "R_X86_64_DTPOFF64",
    18: "R_X86_64_TPOFF64",
    36: "R_X86_64_TLSDESC",
    37: "R_X86_64_IRELATIVE",
    38: "R_X86_64_RELATIVE64",
}
"""System V ABI, AMD64 supplement, table 4.9."""
_BY_ITSELF: Final = (
    "The kernel has to be complete: link it with `-static-pie` or `-pie -Bsymbolic`, compile with"
    " `-fvisibility=hidden`, and leave no symbol undefined."
)


def dynamic_of(elf: ElfFile) -> tuple[ProgramHeader, ProgramHeader] | None:
    """The PT_DYNAMIC, if there is one, with the PT_LOAD that holds it; its offset is made to agree with its address."""
    found = elf.of_type(DYNAMIC)
    if not found:
        return None
    if len(found) > 1:
        raise elf.file.fault(f"it has {len(found)} PT_DYNAMICs, and one is the most", NOT_LINKED)
    (dynamic,) = found
    if dynamic.memory_bytes > DYNAMIC_BYTES_MAX:
        raise elf.file.fault(f"{dynamic} has {dynamic.memory_bytes:#x} bytes, and {DYNAMIC_BYTES_MAX:#x} are the most")
    home = _home(elf, str(dynamic), dynamic.virtual, dynamic.end)
    return dynamic._replace(offset=home.offset + dynamic.virtual - home.virtual), home


def check(elf: ElfFile, dynamic: tuple[ProgramHeader, ProgramHeader] | None) -> int:
    """Return how many relocations there are, or raise `KernelInvalid` for the first that cannot be applied."""
    if dynamic is None:
        return 0
    entries = _entries(elf, dynamic[0])
    if entries.get(_RELRSZ, 0):
        raise elf.file.fault(
            "its relocations are packed (DT_RELR), and the loader knows the plain ones (DT_RELA)",
            "Link it with `-z nopack-relative-relocs` (GNU ld) or `--pack-dyn-relocs=none` (lld).",
        )
    if entries.get(_RELSZ, 0):
        raise elf.file.fault("its relocations are of the kind DT_REL, and those of x86-64 are DT_RELA", NOT_LINKED)
    if _NEEDED in entries:
        raise elf.file.fault("it needs a shared library (DT_NEEDED), and a kernel is on its own", _BY_ITSELF)
    if entries.get(_PLTRELSZ, 0):
        raise elf.file.fault(
            "it calls functions through a table that a dynamic linker fills (DT_JMPREL), and a kernel has none",
            _BY_ITSELF,
        )
    size = entries.get(_RELASZ, 0)
    if size == 0:
        return 0
    if _RELA not in entries:
        raise elf.file.fault(f"it has {size:#x} bytes of relocations (DT_RELASZ), and does not say where (DT_RELA)")
    unit = entries.get(_RELAENT, 0)
    if unit != _RELOCATION.size or size % unit:
        raise elf.file.fault(
            f"its relocations have {size:#x} bytes in all and {unit} bytes each, and {_RELOCATION.size} each are due"
        )
    start = entries[_RELA]
    table = range(start, start + size)
    for number, (place, kind) in enumerate(_relocations(elf, table)):
        _check_one(elf, table, number, place, kind)
    return size // unit


def _entries(elf: ElfFile, dynamic: ProgramHeader) -> dict[int, int]:
    """The dynamic section up to its end mark; the last of equal tags counts."""
    data = elf.file.read(dynamic.offset, dynamic.memory_bytes)
    found: dict[int, int] = {}
    for tag, value in _ENTRY.iter_unpack(data[: len(data) // _ENTRY.size * _ENTRY.size]):
        if tag == _NULL:
            break
        found[tag] = value
    return found


def _home(elf: ElfFile, what: str, start: int, end: int) -> ProgramHeader:
    """The PT_LOAD whose bytes from the file are at these addresses."""
    for load in elf.loads:
        if load.virtual <= start and end <= load.file_end:
            return load
    raise elf.file.fault(f"{what} lies at {start:#x} to {end:#x}, outside of what is loaded from the file", NOT_LINKED)


def _relocations(elf: ElfFile, table: range) -> Iterator[tuple[int, int]]:
    """Each one's place and `r_info`."""
    home = _home(elf, "its table of relocations", table.start, table.stop)
    offset = home.offset + table.start - home.virtual
    for at in range(0, len(table), _TABLE_STEP):
        for place, info, _ in _RELOCATION.iter_unpack(elf.file.read(offset + at, min(_TABLE_STEP, len(table) - at))):
            yield place, info


def _check_one(elf: ElfFile, table: range, number: int, place: int, info: int) -> None:
    if info == _NONE:
        return
    if info != _RELATIVE:
        kind = info & 0xFFFF_FFFF
        name = _NAMES.get(kind, f"kind {kind}")
        symbol = f" with symbol {info >> 32}" if info >> 32 else ""
        raise elf.file.fault(
            f"relocation {number} is {name}{symbol}, at {place:#x}, and the loader applies R_X86_64_RELATIVE alone",
            _BY_ITSELF,
        )
    end = place + _TARGET_BYTES
    if not any(load.virtual <= place and end <= load.end for load in elf.loads):
        raise elf.file.fault(f"relocation {number} changes {place:#x} to {end:#x}, outside of what is loaded")
    if place < table.stop and table.start < end:
        raise elf.file.fault(f"relocation {number} changes {place:#x}, in the table of relocations itself")
