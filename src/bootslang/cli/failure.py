"""What the command prints for an exception, and its exit code: the one place that decides.

Every message begins `bootslang: error:`; below it, indented, stands what to do about it. A compiler's findings are
printed as they are, for editors to read.
"""

import sys
from typing import NamedTuple

import click

from bootslang.cli.command import PROGRAM
from bootslang.errors import BootslangError, InputInvalid, ToolMissing, UsageError


class Failure(NamedTuple):
    """The end of a command that failed."""

    exit_code: int
    text: str


def message(what: str, hint: str = "") -> str:
    """An error as text: what failed, and indented below it what to do, or what else there is to know."""
    lines = [f"{PROGRAM}: error: {what}", *(f"  {line}" if line else "" for line in hint.splitlines())]
    return "\n".join(lines)


def explain(error: BaseException) -> Failure | None:
    """What to tell about an exception that a user's input or host can cause; None for a mistake of ours."""
    if isinstance(error, BootslangError):
        return Failure(error.exit_code, message(error.message, error.hint))
    if isinstance(error, click.ClickException):
        return Failure(UsageError.exit_code, message(_sentence(error.format_message()), _usage_hint(error)))
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return Failure(InputInvalid.exit_code, message(f"{where}{error.strerror}."))
    return _of_compiler(error)


def _of_compiler(error: BaseException) -> Failure | None:
    """The compiler's own exceptions; if one of them was raised, its module has been imported."""
    if "bootslang.slang.diagnostics" in sys.modules:
        from bootslang.slang.diagnostics import CompileError

        if isinstance(error, CompileError):
            return Failure(InputInvalid.exit_code, str(error))
    if "bootslang.slang.link" in sys.modules:
        from bootslang.slang.link import LinkError

        if isinstance(error, LinkError):
            return Failure(InputInvalid.exit_code, message(str(error)))
    if "bootslang.slang.backend" in sys.modules:
        from bootslang.slang.backend import BackendError

        if isinstance(error, BackendError) and error.kind == "missing":
            return Failure(ToolMissing.exit_code, message(error.message))
    return None


def _sentence(text: str) -> str:
    return text if text.endswith((".", "?")) else f"{text}."


def _usage_hint(error: click.ClickException) -> str:
    context = error.ctx if isinstance(error, click.UsageError) else None
    return f"'{context.command_path} --help' shows what it takes." if context else ""
