"""The loader's memory that nobody clears: page tables for it and for a kernel, and its stack.

Who takes a page for a table clears it. To clear all at once would be a third of the instructions of a small boot.
"""

from typing import Final

from bootslang.slang import Struct, array, compile_for, length, u8

compile_for("long64")

TABLES_BYTES: Final = 32 * 0x1000
"""Six map the first 4 GiB. The others are for memory above, a table for each GiB, and for a kernel's own addresses."""
STACK_BYTES: Final = 0x8000
"""As on a BIOS disk."""


class Workspace(Struct, aligned=4096):
    tables: array[u8] = length(TABLES_BYTES)
    stack: array[u8] = length(STACK_BYTES)


workspace: Workspace = Workspace.zeroed()
