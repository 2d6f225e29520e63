"""What the writers have in common: comments of a bearable width, and names in other spellings."""

import re
import textwrap
from collections.abc import Iterable, Iterator
from typing import Final

COLUMNS: Final = 100


def wrapped(text: str, room: int) -> list[str]:
    """The lines of a comment of `room` columns; paragraphs stay apart."""
    lines: list[str] = []
    for paragraph in text.split("\n\n"):
        lines += ["", *textwrap.wrap(" ".join(paragraph.split()), room, break_long_words=False)]
    return lines[1:]


def indented(lines: Iterable[str], indent: str) -> Iterator[str]:
    """The lines with an indent, but for empty ones."""
    return (f"{indent}{line}" if line else "" for line in lines)


def snake(name: str) -> str:
    """`MemoryRegion` as `memory_region`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
