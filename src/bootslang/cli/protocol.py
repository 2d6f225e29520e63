"""The options that say how a kernel is started: the same for all commands that take one."""

from collections.abc import Callable
from typing import Any

import click

Function = Callable[..., Any]


def protocol_options(function: Function) -> Function:
    """Add `--protocol`, `--allow-wx` and `--randomise` to a command."""
    for option in (
        click.option("--randomise", is_flag=True, help="Put a position-independent kernel at a random address."),
        click.option("--allow-wx", is_flag=True, help="Let a kernel have memory that is writable and executable."),
        click.option(
            "--protocol",
            default="auto",
            show_default=True,
            metavar="auto|linux|handoff",
            help="How the kernel is started.",
        ),
    ):
        function = option(function)
    return function
