"""The manual page, made from the same commands, options and examples as the help: nothing in it can be out of date.

The text is roff with the macros of man(7).
"""

from collections.abc import Iterator
from typing import Final

import click

from bootslang.cli.app import DEBUG_VARIABLE
from bootslang.cli.command import PROGRAM, Command

EXIT_CODES: Final = {
    0: "It worked; the guest did what was expected.",
    1: "What was checked is bad: damage was found, or the guest said that it failed.",
    2: "The command line makes no sense.",
    3: "A program or library is missing, or this host cannot do it.",
    4: "An input cannot be read, or is not what it has to be.",
    5: "The guest took too long.",
    6: "The guest panicked or crashed.",
    70: "A mistake in Bootslang.",
    130: "Interrupted from the keyboard.",
}
ENVIRONMENT: Final = {
    "BOOTSLANG_ACCEL": "kvm or tcg: what run uses where --accel is auto.",
    "BOOTSLANG_CACHE": "Where compiled boot code and symbols are kept, instead of the user's cache directory.",
    DEBUG_VARIABLE: "Print a traceback with every error.",
    "SOURCE_DATE_EPOCH": "The time that is written where one is unavoidable: in the file system of build --root.",
}
COMPLETION: Final = {
    "bash": 'eval "$(_BOOTSLANG_COMPLETE=bash_source bootslang)"',
    "zsh": 'eval "$(_BOOTSLANG_COMPLETE=zsh_source bootslang)"',
    "fish": "_BOOTSLANG_COMPLETE=fish_source bootslang | source",
}
"""What goes into a shell's start-up file: click completes commands, options and paths."""


def manual(program: click.Group, context: click.Context) -> str:
    """The whole page."""
    return "\n".join(_page(program, context)) + "\n"


def _page(program: click.Group, context: click.Context) -> Iterator[str]:
    from bootslang import __version__

    yield f'.TH {PROGRAM.upper()} 1 "" "{PROGRAM} {_escape(__version__)}" "User Commands"'
    yield ".SH NAME"
    yield rf"{PROGRAM} \- build disks that boot a kernel, and start them"
    yield ".SH SYNOPSIS"
    yield rf".B {PROGRAM}"
    yield r".I COMMAND"
    yield r"[\fIOPTIONS\fR] [\fIARGUMENTS\fR]"
    yield ".SH DESCRIPTION"
    yield _escape(_paragraphs(program.help)[0])
    yield ".SH COMMANDS"
    for name in program.list_commands(context):
        command = program.get_command(context, name)
        if command is not None:
            yield from _command(command, click.Context(command, info_name=name, parent=context))
    yield from _table("EXIT STATUS", {str(code): meaning for code, meaning in EXIT_CODES.items()})
    yield from _table("ENVIRONMENT", ENVIRONMENT)
    yield ".SH SHELL COMPLETION"
    yield "Put the line for your shell into its start-up file."
    for shell, line in COMPLETION.items():
        yield from _literal(shell, line)


def _command(command: click.Command, context: click.Context) -> Iterator[str]:
    usage = " ".join(command.collect_usage_pieces(context))
    yield f".SS {PROGRAM} {context.info_name} {_escape(usage)}"
    for number, paragraph in enumerate(_paragraphs(command.help)):
        if number:
            yield ".PP"
        yield _escape(paragraph)
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None and parameter.name != "help":
            yield ".TP"
            yield rf"\fB{_escape(record[0])}\fR"
            yield _escape(record[1])
    if isinstance(command, Command):
        for example in command.examples:
            yield from _literal(example.purpose, example.line)


def _table(title: str, rows: dict[str, str]) -> Iterator[str]:
    yield f".SH {title}"
    for name, meaning in rows.items():
        yield ".TP"
        yield rf"\fB{_escape(name)}\fR"
        yield _escape(meaning)


def _literal(title: str, line: str) -> Iterator[str]:
    yield ".PP"
    yield _escape(title)
    yield ".PP"
    yield ".RS 4"
    yield ".nf"
    yield _escape(line)
    yield ".fi"
    yield ".RE"


def _paragraphs(text: str | None) -> list[str]:
    return [" ".join(paragraph.split()) for paragraph in (text or "").split("\n\n")]


def _escape(text: str) -> str:
    r"""Text that roff prints as it stands: `\` and `-` escaped, and no line that begins like a request."""
    safe = (
        text.replace("\\", r"\e").replace("-", r"\-").replace("'", r"\(aq").replace("`", r"\(ga").replace("~", r"\(ti")
    )
    return rf"\&{safe}" if safe.startswith(".") else safe
