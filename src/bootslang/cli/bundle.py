"""`bootslang bundle`: kernel, initrds and command line as one file, a module for the loader."""

import click

from bootslang.cli.codec import codec_option
from bootslang.cli.command import Command, Example
from bootslang.cli.protocol import protocol_options

EXAMPLES = (
    Example(
        "Linux with its initramfs, as the one file that QEMU's PVH passes on:",
        'bootslang bundle -k vmlinuz -i initrd.gz -c "console=ttyS0" -o linux.bundle',
    ),
    Example("A kernel alone, packed:", "bootslang bundle -k vmlinux --codec bzip2 -o small.bundle"),
)


@click.command(cls=Command, examples=EXAMPLES)
@click.option("-k", "--kernel", required=True, metavar="KERNEL", type=click.Path(), help="An ELF file or a bzImage.")
@click.option(
    "-i",
    "--initrd",
    "initrds",
    multiple=True,
    metavar="INITRD",
    type=click.Path(),
    help="An initramfs, or a module; any number.",
)
@click.option("-c", "--command-line", default="", metavar="CMDLINE", help="The kernel's command line.")
@codec_option("kernel and initrds are")
@protocol_options
@click.option("-o", "--output", required=True, metavar="FILE", type=click.Path(), help="The bundle to write.")
def command(
    *,
    kernel: str,
    initrds: tuple[str, ...],
    command_line: str,
    codec: str,
    protocol: str,
    allow_wx: bool,
    randomise: bool,
    output: str,
) -> None:
    """Put kernel, initrds and command line into one file, each part with its sum.

    The loader (`bootslang loader`) boots it as its first module, whoever starts the loader. The same inputs give the
    same bytes.
    """
    from bootslang import Bundle
    from bootslang.cli.progress import Bar

    bundle = Bundle(
        kernel=kernel,
        initrds=initrds,
        command_line=command_line,
        codec=codec,
        protocol=protocol,
        allow_wx=allow_wx,
        randomise=randomise,
    )
    with Bar() as bar:
        report = bundle.build(output, bar.update)
    for line in report.lines():
        print(line)
