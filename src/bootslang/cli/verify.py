"""`bootslang verify`: read a disk or a bundle back and check it."""

from pathlib import Path

import click

from bootslang.cli.command import Command, Example

EXAMPLES = (
    Example("Is this disk as it was built? The exit code tells.", "bootslang verify disk.img"),
    Example("A bundle:", "bootslang verify linux.bundle"),
)


@click.command(cls=Command, examples=EXAMPLES)
@click.option("--sector-size", type=click.IntRange(1), metavar="N", help="512 or 4096; by default found out.")
@click.argument("disk", metavar="DISK|BUNDLE", type=click.Path())
def command(*, sector_size: int | None, disk: str) -> None:
    """Read a disk or a bundle back and check everything on it.

    Partition table, boot code, both loader slots, both manifests, every chunk of every generation, unpacked: what a
    machine would read. Findings are printed one a line, and the exit code is 1.
    """
    from bootslang import verify
    from bootslang.errors import CheckFailed
    from bootslang.image.bundles import is_bundle

    findings = verify(disk, sector_size=sector_size)
    for finding in findings:
        print(finding)
    if findings:
        count = "1 thing" if len(findings) == 1 else f"{len(findings)} things"
        anew = "`bootslang build` on it writes a new generation and loader."
        raise CheckFailed(
            f"{disk} is damaged: {count} found.",
            hint="`bootslang bundle` makes a new one." if is_bundle(Path(disk)) else anew,
        )
    print(f"{disk}: everything is as it was built")
