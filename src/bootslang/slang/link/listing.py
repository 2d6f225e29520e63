"""The map: what lies where in an image, how much room is left, and which object it came from."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bootslang.slang.link.layout import Layout, OutputSection
    from bootslang.slang.link.objects import Section
    from bootslang.slang.link.request import LinkRequest


def budget(size: int, limit: int | None) -> str:
    """A size, and what is left of its limit."""
    return f"{size:,} bytes" if limit is None else f"{size:,} of {limit:,} bytes, {limit - size:,} free"


def listing(request: LinkRequest, layout: Layout, entry: int) -> str:
    """The map of an image, as text."""
    file_bytes, memory_bytes = layout.file_end - layout.base, layout.memory_end - layout.base
    lines = [
        f"{request.name}, from {layout.base:#x} to {layout.memory_end:#x}, entered at {entry:#x}",
        f"  in the file  {budget(file_bytes, request.file_limit)}",
        f"  in memory    {budget(memory_bytes, request.memory_limit)}",
    ]
    for output in layout.sections:
        lines += ["", f"{output.address:#010x} {output.size:>8,}  {output.name}"]
        lines += contents(output, layout)
    return "\n".join(lines) + "\n"


def contents(output: OutputSection, layout: Layout) -> Iterator[str]:
    """A line for each named thing in a section, and for each piece that has no name."""
    for section in output.inputs:
        address = layout.addresses[section]
        named = sorted({(symbol.value, symbol.size, symbol.name) for symbol in section.symbols})
        for value, size, name in named or unnamed(section):
            yield f"{address + value:#010x} {size:>8,}    {name}  ({section.object})"


def unnamed(section: Section) -> list[tuple[int, int, str]]:
    """A section without symbols, such as LLVM's strings, under its own name."""
    return [(0, section.size, f"[{section.name}]")] if section.size else []
