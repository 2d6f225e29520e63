"""`bootslang extract`: the vmlinux that is inside a bzImage."""

from pathlib import Path

import click

from bootslang.cli.command import Command, Example

EXAMPLES = (
    Example("The ELF file of a distribution's kernel, in vmlinux:", "bootslang extract vmlinuz"),
    Example("Under another name:", "bootslang extract vmlinuz -o kernel.elf"),
)


@click.command(cls=Command, examples=EXAMPLES)
@click.argument("kernel", type=click.Path())
@click.option("-o", "--output", metavar="FILE", default="vmlinux", show_default=True, help="Where to.")
def command(*, kernel: str, output: str) -> None:
    """Take the vmlinux out of a bzImage, whatever it is packed with.

    What comes out is an ELF file. A kernel that can be moved has its relocations behind that; they come along.
    """
    from bootslang.image.target import new_file
    from bootslang.kernel.payload import vmlinux

    data = vmlinux(kernel)
    with new_file(Path(output), len(data)) as medium:
        medium.write(0, data)
    print(f"{output}: {len(data)} bytes")
