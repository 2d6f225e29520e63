"""Texts and signatures as spans of bytes: comparing them, and taking them apart at spaces. Any mode, native too."""

from __future__ import annotations

from typing import Final

from bootslang.slang import compile_for, fn, span, u8, usize

compile_for("protected32", "long64")

SPACE: Final = ord(" ")
"""It and what lies below, tabs and line ends, stand between words."""


@fn
def starts_with(data: span[u8], start: span[u8]) -> bool:
    if len(data) < len(start):
        return False
    for index in range(len(start)):
        if data[index] != start[index]:
            return False
    return True


@fn
def equals(first: span[u8], second: span[u8]) -> bool:
    return len(first) == len(second) and starts_with(first, second)


@fn
def trimmed(line: span[u8]) -> span[u8]:
    """The line without the spaces at both ends."""
    start: usize = 0
    while start < len(line) and line[start] <= SPACE:
        start += 1
    end = len(line)
    while end > start and line[end - 1] <= SPACE:
        end -= 1
    return line[start:end]


@fn
def first_word(line: span[u8]) -> span[u8]:
    """What stands before the first space of a trimmed line."""
    for index in range(len(line)):
        if line[index] <= SPACE:
            return line[:index]
    return line


@fn
def without_first_word(line: span[u8]) -> span[u8]:
    """What follows the first word of a trimmed line, trimmed."""
    return trimmed(line[len(first_word(line)) :])
