"""`bootslang header`: the hand-off protocol's constants and structs, for a kernel's sources."""

from pathlib import Path

import click

from bootslang.cli.command import Command, Example

EXAMPLES = (
    Example('For a kernel in C, with `#include "bootslang.h"`:', "bootslang header c -o bootslang.h"),
    Example("For one in Rust, with `mod bootslang;`:", "bootslang header rust -o bootslang.rs"),
    Example("For one in slang, with `import handoff`:", "bootslang header slang -o handoff.py"),
)


@click.command(cls=Command, examples=EXAMPLES)
@click.option("-o", "--output", metavar="FILE", type=click.Path(), help="Where to; by default to standard output.")
@click.argument("language", metavar="c|rust|slang")
def command(*, language: str, output: str | None) -> None:
    """Print the hand-off protocol for a kernel's sources: its constants and structs.

    All three come from one definition, and lay everything out alike; docs/handoff.md tells what it means.
    """
    from bootslang import handoff_header

    text = handoff_header(language)
    if output is None:
        print(text, end="")
        return
    Path(output).write_text(text)
    print(f"{output}: {len(text)} bytes")
