"""Bounds of addresses that the lift goes by."""

from typing import Final

ONE_MIB: Final = 0x10_0000
"""Below lie the firmware, the stages and their tables: nothing of a payload is ever put there."""
FOUR_GIB: Final = 0x1_0000_0000
"""What 32-bit code and the entry's page tables reach."""
ADDRESS_END: Final = 0x10_0000_0000_0000
"""No x86 CPU has more than 52 bits of physical address."""
PAGE: Final = 0x1000
