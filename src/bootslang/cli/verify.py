"""`bootslang verify`: read a disk back and check it."""

import click

from bootslang.cli.command import Command, Example

EXAMPLES = (Example("Is this disk as it was built? The exit code tells.", "bootslang verify disk.img"),)


@click.command(cls=Command, examples=EXAMPLES)
@click.option("--sector-size", type=click.IntRange(1), metavar="N", help="512 or 4096; by default found out.")
@click.argument("disk", type=click.Path())
def command(*, sector_size: int | None, disk: str) -> None:
    """Read a disk back and check everything on it.

    Partition table, boot code, both loader slots, both manifests, every chunk of every generation, unpacked: what a
    machine would read. Findings are printed one a line, and the exit code is 1.
    """
    from bootslang import verify
    from bootslang.errors import CheckFailed

    findings = verify(disk, sector_size=sector_size)
    for finding in findings:
        print(finding)
    if findings:
        count = "1 thing" if len(findings) == 1 else f"{len(findings)} things"
        raise CheckFailed(
            f"{disk} is damaged: {count} found.", hint="`bootslang build` on it writes a new generation and loader."
        )
    print(f"{disk}: everything is as it was built")
