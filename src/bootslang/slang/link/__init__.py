"""The linker: from ELF objects to flat images, at fixed addresses or movable, and to ELF executables.

Pure Python, without LLVM, because disks are linked where they are built. It knows what LLVM makes of slang, no more:
i386 and x86-64 objects, some twenty relocation kinds, DWARF. `link` is the way in.

Reading order: `request.py` (what goes in and comes out), `linker.py` (the way through), `objects.py` and `kinds.py`
(reading), `resolve.py` (names), `reach.py` (what is needed), `moving.py` and `lines.py` (tables that an image may
carry), `layout.py` (where it goes), `relocate.py` (filling in addresses), `elf.py`, `executable.py` and `listing.py`
(writing).
"""

from bootslang.slang.link.errors import LinkError
from bootslang.slang.link.executable import HEAD_BYTES, loader_elf
from bootslang.slang.link.linker import link
from bootslang.slang.link.request import AbsoluteAddress, Image, LinkRequest, ObjectFile, Reserved

__all__ = [
    "HEAD_BYTES",
    "AbsoluteAddress",
    "Image",
    "LinkError",
    "LinkRequest",
    "ObjectFile",
    "Reserved",
    "link",
    "loader_elf",
]
