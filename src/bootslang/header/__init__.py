"""The hand-off protocol for kernels: `bootslang.h` for C, a module for Rust, one for slang, from one definition.

    Path("bootslang.h").write_text(handoff_header("c"))

Reading order: `model` (the definition as data), then the three writers.
"""

from collections.abc import Callable
from typing import Final

from bootslang.errors import UsageError
from bootslang.header.c import c_header
from bootslang.header.rust import rust_module
from bootslang.header.slang import slang_module

__all__ = ["LANGUAGES", "handoff_header"]

_WRITERS: Final[dict[str, Callable[[], str]]] = {"c": c_header, "rust": rust_module, "slang": slang_module}
LANGUAGES: Final = tuple(_WRITERS)


def handoff_header(language: str) -> str:
    """The text of the header for one of LANGUAGES; the same every time."""
    if language not in _WRITERS:
        raise UsageError(f"There is no header for {language!r}.", hint=f"Choose one of: {', '.join(LANGUAGES)}.")
    return _WRITERS[language]()
