"""`bootslang man`: the manual page, for `man` and for packagers. Not in the list of commands."""

import click

from bootslang.cli.command import Command, Example

EXAMPLES = (Example("Install the manual page for yourself:", "bootslang man > bootslang.1"),)


@click.command(cls=Command, examples=EXAMPLES)
@click.pass_context
def command(context: click.Context) -> None:
    """Print the manual page."""
    from bootslang.cli.manual import manual

    root = context.find_root()
    assert isinstance(root.command, click.Group)  # noqa: S101
    print(manual(root.command, root), end="")
