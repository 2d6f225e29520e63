"""`bootslang doctor`: what is installed here and what is missing."""

import json
from dataclasses import asdict

import click

from bootslang.cli.command import Command, Example

EXAMPLES = (
    Example("Is everything here?", "bootslang doctor"),
    Example("For a program to read:", "bootslang doctor --json"),
)
EXIT_MISSING = 3


@click.command(cls=Command, examples=EXAMPLES)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(*, as_json: bool) -> int:
    """Tell what is installed here and what is missing, what it is for, and how to install it.

    The exit code is 3 if something is missing without which disks cannot be built or started.
    """
    from bootslang.doctor import examine

    findings = examine()
    if as_json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        for finding in findings:
            for line in finding.lines():
                print(line)
    return EXIT_MISSING if any(finding.fatal for finding in findings) else 0
