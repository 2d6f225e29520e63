"""The option `--codec` of the commands that pack."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from collections.abc import Callable

CODECS: Final = "auto|none|bzip2|deflate|gzip|xz|lzma|lz4|zstd"
"""As `bootslang.image.codecs` has them, which takes longer to import than a command's help may take."""


def codec_option(what: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add `--codec`; `what` is packed with it."""
    return click.option("--codec", default="auto", show_default=True, metavar=CODECS, help=f"How {what} packed.")
