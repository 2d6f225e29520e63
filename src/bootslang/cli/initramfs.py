"""`bootslang initramfs`: a directory, or a small system around one busybox, as a newc archive."""

from pathlib import Path

import click

from bootslang.cli.command import Command, Example

EXAMPLES = (
    Example("From a directory that has an init:", "bootslang initramfs rootfs -o initrd.gz"),
    Example("A small system that ends at a shell:", "bootslang initramfs --busybox -o shell.gz"),
    Example(
        "The same, with a file of yours, and a command that runs before the shell:",
        'bootslang initramfs --busybox --file bin/hello=hello.sh --run "hello; poweroff -f" -o hello.gz',
    ),
)


@click.command(cls=Command, examples=EXAMPLES)
@click.option("-o", "--output", required=True, metavar="FILE", type=click.Path(), help="The archive to write.")
@click.option("--busybox", is_flag=True, help="Make a small system around a static busybox.")
@click.option("--program", metavar="FILE", type=click.Path(), help="That busybox; by default the one of this host.")
@click.option(
    "--module", "modules", multiple=True, metavar="FILE", type=click.Path(), help="A kernel module that it loads first."
)
@click.option("--file", "files", multiple=True, metavar="PATH=FILE", help="A file that it is to have, and from where.")
@click.option("--run", "commands", default="", metavar="COMMANDS", help="What its shell does first.")
@click.option("--no-compress", is_flag=True, help="Leave gzip away.")
@click.argument("directory", required=False, metavar="[DIR]", type=click.Path())
@click.pass_context
def command(
    context: click.Context,
    *,
    output: str,
    busybox: bool,
    program: str | None,
    modules: tuple[str, ...],
    files: tuple[str, ...],
    commands: str,
    no_compress: bool,
    directory: str | None,
) -> None:
    """Pack a directory, or a small system, for the kernel to start in.

    The archive is a cpio (newc) in gzip. Everything in it belongs to root, /dev/console and /dev/null are added where
    they are missing, time stamps are 0: the same contents give the same bytes, and root is not needed.

    The small system mounts what a Linux needs, tells how long the boot took, mounts the partition that root= names on
    /mnt, and starts a shell; when that ends, the machine is powered off.
    """
    from bootslang.initramfs import busybox_initramfs, directory_initramfs, find_busybox

    if busybox == (directory is not None):
        raise click.UsageError("Give either a directory or --busybox.", context)
    if directory is not None:
        if program or modules or files or commands:
            raise click.UsageError("--program, --module, --file and --run are for --busybox.", context)
        archive = directory_initramfs(directory)
    else:
        found = find_busybox() if program is None else Path(program)
        archive = busybox_initramfs(found, modules=modules, files=dict(map(_file, files)), commands=commands)
    size = archive.write(output, compress=not no_compress)
    print(f"{output}: {len(archive.paths)} entries, {size} bytes")
    if not archive.has_init:
        click.echo("warning: there is no /init; Linux will mount what root= names instead", err=True)


def _file(text: str) -> tuple[str, str]:
    path, equals, source = text.partition("=")
    if not (path and equals and source):
        raise click.BadParameter(f"{text!r} is not of the form PATH=FILE.", param_hint="'--file'")
    return path, source
