"""`bootslang compile`: one slang file as IR, assembly, object, image, ELF or map."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from bootslang.cli.command import Command, Example

if TYPE_CHECKING:
    from bootslang.slang.emission import Emission

EXAMPLES = (
    Example("A boot sector's bytes, in hello.bin:", "bootslang compile --target real16 hello.py"),
    Example("What LLVM makes of it:", "bootslang compile --emit asm hello.py"),
    Example("A 64-bit kernel of one's own, in hello.elf:", "bootslang compile --target kernel hello.py"),
    Example("An ELF executable with debug information, for gdb:", "bootslang compile --emit elf -o hello.elf hello.py"),
)
TEXTS = ("ir", "asm", "map")
SUFFIXES = {"bin": ".bin", "obj": ".o", "elf": ".elf"}


@click.command(cls=Command, examples=EXAMPLES)
@click.option(
    "--target",
    metavar="TARGET",
    help="real16, protected32, long64 or kernel; by default the first that the file states.",
)
@click.option(
    "--emit",
    type=click.Choice(["ir", "asm", "obj", "bin", "elf", "map"]),
    help="LLVM IR, assembly, object, flat image, ELF executable, or what lies where; by default bin, of a kernel elf.",
)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    help="Where to; '-' is standard output. By default text goes there, and else a file is made.",
)
@click.option(
    "--base",
    metavar="ADDRESS",
    help="Of the image's first byte; by default 0x7c00 for real16, else 0x100000. Without one, a kernel can be moved.",
)
@click.option(
    "--entry", metavar="NAME", help="The function that the image starts with; by default that in section .start."
)
@click.argument("file", type=click.Path(path_type=Path), metavar="FILE.py")
def command(
    *, target: str | None, emit: str | None, output: str | None, base: str | None, entry: str | None, file: Path
) -> None:
    """Show what becomes of a slang file."""
    from bootslang.slang.emission import compile_file, usual_emission

    kind = cast("Emission", emit) if emit else usual_emission(target)
    made = compile_file(file, target=target, emit=kind, base=None if base is None else _address(base), entry=entry)
    data = made.encode() if isinstance(made, str) else made
    name = output or ("-" if kind in TEXTS else f"{file.stem}{SUFFIXES[kind]}")
    if name == "-":
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    Path(name).write_bytes(data)
    print(f"{name}: {len(data)} bytes")


def _address(text: str) -> int:
    try:
        return int(text, 0)
    except ValueError:
        raise click.BadParameter(f"{text!r} is no address, as 0x7c00 is.", param_hint="'--base'") from None
