"""What the compiler says to its users: a place in their source, what is wrong there, what to write.

Diagnostics are data; `Diagnostic.render` makes text of one. Places and names are always the user's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, order=True)
class Location:
    """A stretch of a source line: `line` from 1, columns from 0, `end_column` exclusive."""

    path: str
    line: int
    column: int
    end_column: int

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column + 1}"


@dataclass(frozen=True, order=True)
class Diagnostic:
    """One finding."""

    location: Location
    message: str
    hint: str = ""
    source: str = field(default="", compare=False)
    """The source line."""

    def render(self) -> str:
        """Write it as a compiler does: where and what, the line with carets below, what to write."""
        number = str(self.location.line)
        gutter = " " * len(number)
        line = self.source.rstrip("\n").replace("\t", " ")
        end = min(self.location.end_column, len(line)) if self.location.end_column > self.location.column else 0
        carets = "^" * max(1, end - self.location.column)
        text = [
            f"{self.location}: error: {self.message}",
            f"{gutter} |",
            f"{number} | {line}",
            f"{gutter} | {' ' * self.location.column}{carets}",
        ]
        if self.hint:
            text.append(f"{gutter} = help: {self.hint}")
        return "\n".join(text)


class CompileError(Exception):
    """Source that is no valid slang: carries every finding."""

    def __init__(self, diagnostics: list[Diagnostic]) -> None:
        self.diagnostics = sorted(set(diagnostics))
        super().__init__("\n\n".join(diagnostic.render() for diagnostic in self.diagnostics))


def source_line(path: str, line: int) -> str:
    """The text of a line, or nothing where the file cannot be read."""
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()[line - 1]
    except (OSError, IndexError, UnicodeDecodeError):
        return ""
