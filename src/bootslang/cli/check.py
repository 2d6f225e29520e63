"""`bootslang check`: the compiler's findings in slang files, and nothing else."""

from pathlib import Path

import click

from bootslang.cli.command import Command, Example

EXAMPLES = (
    Example("Report all mistakes in two files:", "bootslang check hello.py console.py"),
    Example("As code for a 32-bit machine, whatever the file says:", "bootslang check --target protected32 hello.py"),
)


@click.command(cls=Command, examples=EXAMPLES)
@click.option(
    "--target",
    "targets",
    multiple=True,
    metavar="TARGET",
    help="Check for real16, protected32 or long64, instead of what the file states.",
)
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")
def command(*, targets: tuple[str, ...], files: tuple[Path, ...]) -> int:
    """Report what is wrong in slang files.

    Each finding has file, line and column, what is wrong and what to write; the exit code is 1 if there is any. Nothing
    is compiled to be kept.
    """
    from bootslang.slang.emission import check_file

    findings = [finding for file in files for finding in check_file(file, targets=targets)]
    for finding in findings:
        print(finding.render(), end="\n\n")
    if findings:
        click.echo(f"{len(findings)} found." if len(findings) > 1 else "1 found.", err=True)
    return 1 if findings else 0
