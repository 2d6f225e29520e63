"""The program: its list of commands, and what its user sees and the shell gets when something goes wrong."""

import difflib
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, Final

import click

from bootslang.cli.command import PROGRAM
from bootslang.cli.failure import Failure, explain

COMMANDS: Final = {
    "build": "Make a disk that boots a kernel.",
    "bundle": "Put kernel, initrds and command line into one file.",
    "loader": "Write the boot loader as one ELF file.",
    "run": "Start a disk or kernel in QEMU, with its console on the terminal.",
    "inspect": "Show what is on a disk, in a kernel file, or in a bundle.",
    "verify": "Read a disk or a bundle back and check everything on it.",
    "extract": "Take the vmlinux out of a bzImage.",
    "initramfs": "Pack a directory, or a small system, for the kernel to start in.",
    "compile": "Show what becomes of a slang file.",
    "header": "Print the hand-off protocol for a kernel's sources.",
    "check": "Report what is wrong in slang files.",
    "doctor": "Tell what is installed here and what is missing.",
}
"""What the help lists, in this order. A command's module is imported when it is called."""
HIDDEN: Final = ("man",)
DEBUG_VARIABLE: Final = "BOOTSLANG_DEBUG"
"""With this environment variable set, errors of ours come with their traceback."""
INTERRUPTED: Final = 130
"""What a shell says of a program that Ctrl-C ended."""


class _Program(click.Group):
    """A group that knows its commands by name and imports them when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS and cmd_name not in HIDDEN:
            return None
        command = import_module(f"bootslang.cli.{cmd_name}").command
        assert isinstance(command, click.Command)  # noqa: S101
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and args[0] not in HIDDEN and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], COMMANDS, 1)
            meant = f"Did you mean {near[0]!r}? " if near else ""
            raise click.UsageError(f"There is no command {args[0]!r}. {meant}".rstrip(), ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _print_version(ctx: click.Context, _option: click.Parameter, wanted: bool) -> None:  # noqa: FBT001 - click's call
    if wanted and not ctx.resilient_parsing:
        from bootslang import __version__

        click.echo(f"{PROGRAM} {__version__}")
        ctx.exit()


@click.group(
    cls=_Program,
    name=PROGRAM,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=f"'{PROGRAM} COMMAND --help' shows a command's options, with examples.",
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Show the version."
)
def program() -> None:
    """Build disks that boot a kernel, and start them: an x86 boot loader written in Python."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with these arguments, by default the process's own; return the exit code."""
    try:
        result: Any = program.main(
            None if arguments is None else list(arguments), prog_name=PROGRAM, standalone_mode=False
        )
    except click.exceptions.Abort:
        return INTERRUPTED
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return error.exit_code
    except BaseException as error:
        if isinstance(error, SystemExit | GeneratorExit):
            raise
        return _report(error)
    return result if isinstance(result, int) else 0


def _report(error: BaseException) -> int:
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    failure = explain(error) or _surprise(error)
    if os.environ.get(DEBUG_VARIABLE):
        import traceback

        traceback.print_exception(error)
    print(failure.text, file=sys.stderr)
    return failure.exit_code


def _surprise(error: BaseException) -> Failure:
    """A mistake of ours."""
    import traceback

    what = "".join(traceback.format_exception_only(error)).strip()
    return Failure(
        70,
        f"{PROGRAM}: internal error: {what}\n"
        "  This is a mistake in Bootslang, not yours. Please report it, with the command that you gave and what\n"
        f"  it prints when the environment variable {DEBUG_VARIABLE}=1 is set.",
    )
