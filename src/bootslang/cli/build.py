"""`bootslang build`: from kernel, initrds and command line to a disk."""

import click

from bootslang.cli.codec import codec_option
from bootslang.cli.command import Command, Example
from bootslang.cli.protocol import protocol_options

EXAMPLES = (
    Example(
        "A new image, with an initramfs and a command line:",
        'bootslang build -k vmlinuz -i initrd.gz -c "console=ttyS0" disk.img',
    ),
    Example(
        "A kernel of your own, with a module, at a random address (docs/handoff.md):",
        "bootslang build -k kernel.elf -i font.psf --randomise own.img",
    ),
    Example(
        "With a root file system (ext4) made from a directory:",
        'bootslang build -k vmlinuz --root rootfs -c "console=ttyS0" --size 512M root.img',
    ),
    Example(
        "Another kernel on the same disk; the old one stays until the new one is written:",
        "bootslang build -k vmlinux --codec bzip2 disk.img",
    ),
)


@click.command(cls=Command, examples=EXAMPLES)
@click.option(
    "-k",
    "--kernel",
    required=True,
    metavar="KERNEL",
    type=click.Path(),
    help="Linux's bzImage or vmlinux, or a 64-bit ELF of your own.",
)
@click.option(
    "-i",
    "--initrd",
    "initrds",
    multiple=True,
    metavar="INITRD",
    type=click.Path(),
    help="An initramfs, several are merged in this order; for a kernel of your own, a module.",
)
@click.option("-c", "--command-line", default="", metavar="CMDLINE", help="The kernel's command line.")
@click.option(
    "--size", metavar="SIZE", help="Of a new image, as 512M; by default what it needs, with room for an update."
)
@click.option(
    "--root", metavar="DIR", type=click.Path(), help="Add a Linux partition (ext4) with what is in DIR. For new images."
)
@codec_option("kernel and initrds are")
@protocol_options
@click.option("--verbose", is_flag=True, help="Let the loader tell each step on the machine.")
@click.option("--framebuffer", metavar="WxHxD", help="Set a video mode, as 1024x768x32; text mode by default.")
@click.option("--force", is_flag=True, help="Install even where the partition holds a file system.")
@click.option(
    "--sector-size", type=int, metavar="N", help="512 or 4096; by default that of the disk, and 512 for a new image."
)
@click.option(
    "--disk-signature", metavar="NUMBER", help="Of a new image, as 0x1234abcd; by default made from its contents."
)
@click.argument("disk", type=click.Path())
def command(
    *,
    kernel: str,
    initrds: tuple[str, ...],
    command_line: str,
    size: str | None,
    root: str | None,
    codec: str,
    protocol: str,
    allow_wx: bool,
    randomise: bool,
    verbose: bool,
    framebuffer: str | None,
    force: bool,
    sector_size: int | None,
    disk_signature: str | None,
    disk: str,
) -> None:
    """Make a disk that boots a kernel.

    Where DISK does not exist, it becomes a sparse image with one active boot partition. An image or block device that
    is there is installed into: the active partition gets a new generation beside the old one, and nothing else on the
    disk is touched. The same inputs give the same bytes.
    """
    from bootslang import Image
    from bootslang.cli.progress import Bar

    image = Image(
        kernel=kernel,
        initrds=initrds,
        command_line=command_line,
        size=size,
        root=root,
        codec=codec,
        protocol=protocol,
        allow_wx=allow_wx,
        randomise=randomise,
        verbose=verbose,
        framebuffer=framebuffer,
        force=force,
        sector_size=sector_size,
        disk_signature=None if disk_signature is None else _number(disk_signature),
    )
    with Bar() as bar:
        report = image.build(disk, bar.update)
    for line in report.lines():
        print(line)


def _number(text: str) -> int:
    try:
        return int(text, 0)
    except ValueError:
        raise click.BadParameter(f"{text!r} is no number, as 0x1234abcd is.", param_hint="'--disk-signature'") from None
