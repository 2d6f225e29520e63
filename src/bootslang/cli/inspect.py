"""`bootslang inspect`: a disk, a kernel file or a bundle as a tree, or as JSON."""

import json

import click

from bootslang.cli.command import Command, Example

EXAMPLES = (
    Example("A disk:", "bootslang inspect disk.img"),
    Example("A kernel file:", "bootslang inspect vmlinuz"),
    Example("A bundle:", "bootslang inspect linux.bundle"),
    Example("For a program to read:", "bootslang inspect --json disk.img"),
)


@click.command(cls=Command, examples=EXAMPLES)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.argument("file", metavar="DISK|KERNEL|BUNDLE", type=click.Path())
def command(*, as_json: bool, file: str) -> None:
    """Show what is on a disk, in a kernel file, or in a bundle.

    Of a disk: the partition table, both loader slots with their stages, both manifests with their blobs and sums, and
    where things will lie in the machine's memory. Of a kernel: its kind, version, entry, segments and limits. Of
    a bundle: its blobs and sums.
    """
    from bootslang.inspection import identify
    from bootslang.kernel import Kernel

    found = identify(file)
    if as_json:
        print(json.dumps(found.describe(), indent=2) if isinstance(found, Kernel) else found.to_json())
        return
    from bootslang.cli import tree

    tree.show(found)
