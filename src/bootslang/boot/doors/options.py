"""The loader's own options: the words that begin with `--` at the start of the line that it was given.

    --log=serial,debugcon,vga,none   where messages go; `vga` is the text screen of a BIOS
    --verbose                        tell each step
    --protocol=auto|linux|handoff    how a kernel that is a module is started; else its file says it
    --allow-wx                       its segments may be writable and executable
    --randomise                      a position-independent one goes to a random address
    --                               the options end here

The rest is the kernel's. What is not understood is named and passed over: a boot does not fail for a typing mistake.
The loader's main calls `read` once, in 64-bit mode, when the console writes to what a door takes it to be; natively in
tests.
"""

from __future__ import annotations

from typing import Final

from bootslang.boot.context import (
    FLAG_ALLOW_WX,
    FLAG_RANDOMISE,
    FLAG_VERBOSE,
    LOG_DEBUGCON,
    LOG_SCREEN,
    LOG_SERIAL,
    PROTOCOL_GUESS,
    PROTOCOL_HANDOFF,
    PROTOCOL_LINUX,
    BootContext,
)
from bootslang.boot.lib.texts import equals, first_word, starts_with, trimmed, without_first_word
from bootslang.slang import compile_for, fn, span, text, u8, u32

compile_for("long64")

COMMA: Final = ord(",")


@fn
def read(line: span[u8], context: BootContext) -> None:
    """Take the options off the start of `line`, and make what follows the kernel's command line."""
    rest = trimmed(line)
    while starts_with(rest, text("--")):
        word = first_word(rest)
        rest = without_first_word(rest)
        if len(word) == len(text("--")):
            break
        if not is_understood(word, context):
            print(f"option {word} is not understood, and passed over")
    context.command_line = rest.address if rest else 0
    context.command_line_size = len(rest)


@fn
def is_understood(word: span[u8], context: BootContext) -> bool:
    """Do what one option says; False if there is none such."""
    if equals(word, text("--verbose")):
        context.flags |= FLAG_VERBOSE
    elif equals(word, text("--allow-wx")):
        context.flags |= FLAG_ALLOW_WX
    elif equals(word, text("--randomise")):
        context.flags |= FLAG_RANDOMISE
    elif equals(word, text("--protocol=auto")):
        context.protocol = PROTOCOL_GUESS
    elif equals(word, text("--protocol=linux")):
        context.protocol = PROTOCOL_LINUX
    elif equals(word, text("--protocol=handoff")):
        context.protocol = PROTOCOL_HANDOFF
    elif starts_with(word, text("--log=")):
        read_log(word[len(text("--log=")) :], context)
    else:
        return False
    return True


@fn
def read_log(names: span[u8], context: BootContext) -> None:
    """Set where the console writes, if at least one of the names, between commas, is known."""
    log: u32 = 0
    known = False
    while names:
        name = up_to_comma(names)
        names = names[min(len(name) + 1, len(names)) :]
        if equals(name, text("serial")):
            log |= LOG_SERIAL
        elif equals(name, text("debugcon")):
            log |= LOG_DEBUGCON
        elif equals(name, text("vga")):
            log |= LOG_SCREEN
        elif not equals(name, text("none")):
            print(f"--log: {name} is not understood, and passed over: serial, debugcon, vga and none are")
            continue
        known = True
    if known:
        context.log = log


@fn
def up_to_comma(names: span[u8]) -> span[u8]:
    for index in range(len(names)):
        if names[index] == COMMA:
            return names[:index]
    return names
