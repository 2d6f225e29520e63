"""Where the firmware has its tables, for the doors whose loader has not told: ACPI's root pointer and SMBIOS.

The loader's main calls `find_tables` once, behind `gather`, in 64-bit mode, the first 4 GiB mapped. Under UEFI they
stand in the system table's list, under a BIOS they are looked for.
"""

from __future__ import annotations

from bootslang.boot.context import DOOR_PVH, BootContext
from bootslang.boot.doors import efi
from bootslang.boot.lib import tables
from bootslang.slang import compile_for, fn

compile_for("long64")


@fn
def find_tables(context: BootContext) -> None:
    """Fill `rsdp`, `smbios` and `smbios3`.

    Multiboot 2 tells copies of the root pointer: the firmware's own is the better one, since a kernel may look at it
    when it uses our memory for something else. PVH tells where that is.
    """
    told = context.rsdp
    if context.door != DOOR_PVH:
        context.rsdp = 0
    if context.efi_system_table != 0:
        efi.find_tables(context)
    else:
        tables.find_tables(context)
    if told != 0 and (context.rsdp == 0 or context.door == DOOR_PVH):
        context.rsdp = told
    tables.tell(context)
