"""`bootslang loader`: the boot loader as an ELF file, for GRUB, QEMU and machine monitors."""

import click

from bootslang.cli.codec import codec_option
from bootslang.cli.command import Command, Example
from bootslang.cli.protocol import protocol_options

DEFAULT_NAMES = {False: "bootslang.elf64", True: "bootslang.elf32"}
EXAMPLES = (
    Example("For Multiboot 2 and PVH, in bootslang.elf64:", "bootslang loader"),
    Example("For Multiboot 1 as well, in bootslang.elf32:", "bootslang loader --elf32"),
    Example(
        "One file that boots Linux, where only one is taken:",
        'bootslang loader -k vmlinuz -i initrd.gz -c "console=ttyS0" -o linux.elf64',
    ),
)


@click.command(cls=Command, examples=EXAMPLES)
@click.option(
    "-o", "--output", metavar="FILE", type=click.Path(), help="By default bootslang.elf64 or bootslang.elf32."
)
@click.option("--elf32", is_flag=True, help="Write an ELF32, which has a Multiboot 1 header too.")
@click.option("-k", "--kernel", metavar="KERNEL", type=click.Path(), help="Seal in this ELF file or bzImage.")
@click.option(
    "-i", "--initrd", "initrds", multiple=True, metavar="INITRD", type=click.Path(), help="And this; any number."
)
@click.option("-c", "--command-line", default="", metavar="CMDLINE", help="And this as the kernel's command line.")
@codec_option("the sealed payload is")
@protocol_options
def command(
    *,
    output: str | None,
    elf32: bool,
    kernel: str | None,
    initrds: tuple[str, ...],
    command_line: str,
    codec: str,
    protocol: str,
    allow_wx: bool,
    randomise: bool,
) -> None:
    """Write the boot loader as one ELF file.

    GRUB's multiboot2, QEMU's -kernel and machine monitors with PVH start it, wherever in memory they put it. It boots
    its first module, a kernel or a bundle, or what is sealed in. The same inputs give the same bytes.
    """
    from bootslang import Loader
    from bootslang.cli.progress import Bar

    loader = Loader(
        elf32=elf32,
        kernel=kernel,
        initrds=initrds,
        command_line=command_line,
        codec=codec,
        protocol=protocol,
        allow_wx=allow_wx,
        randomise=randomise,
    )
    with Bar() as bar:
        report = loader.build(output or DEFAULT_NAMES[elf32], bar.update)
    for line in report.lines():
        print(line)
