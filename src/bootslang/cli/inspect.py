"""`bootslang inspect`: a disk or a kernel file as a tree, or as JSON."""

import json

import click

from bootslang.cli.command import Command, Example

EXAMPLES = (
    Example("A disk:", "bootslang inspect disk.img"),
    Example("A kernel file:", "bootslang inspect vmlinuz"),
    Example("For a program to read:", "bootslang inspect --json disk.img"),
)


@click.command(cls=Command, examples=EXAMPLES)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.argument("file", metavar="DISK|KERNEL", type=click.Path())
def command(*, as_json: bool, file: str) -> None:
    """Show what is on a disk or in a kernel file.

    Of a disk: the partition table, both loader slots with their stages, both manifests with their blobs and sums, and
    where things will lie in the machine's memory. Of a kernel: its kind, version, entry, segments and limits.
    """
    from bootslang.image import DiskNode
    from bootslang.inspection import identify

    found = identify(file)
    if as_json:
        print(found.to_json() if isinstance(found, DiskNode) else json.dumps(found.describe(), indent=2))
        return
    from bootslang.cli.tree import print_disk, print_kernel

    if isinstance(found, DiskNode):
        print_disk(found)
    else:
        print_kernel(found)
