"""One stage of the rocket, compiled and linked for a test."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from bootslang.slang import units
from bootslang.slang.link import LinkRequest, ObjectFile, link

if TYPE_CHECKING:
    from bootslang.slang.link import Image

LIBRARY = ("bootslang.boot.lib.memory", "bootslang.boot.lib.division")
"""What compiled 32-bit code calls."""


@cache
def linked(root: str, target: str, base: int) -> Image:
    """The image of the unit with this root module."""
    library = () if target == "real16" else LIBRARY
    unit = units.Unit(name=root, target=target, modules=(root, *library))
    compiled = ObjectFile(root, units.compile_ir(units.ir_of(unit), target))
    return link(LinkRequest(name=root, objects=(compiled,), base=base))
