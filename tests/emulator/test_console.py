"""Is what a machine prints read rightly: in pieces, with escapes, and with a death in it?"""

import re

import pytest

from bootslang.emulator.console import PANIC_PATTERNS, Console


def test_text_that_comes_in_pieces_is_whole_even_within_a_character() -> None:
    console = Console()
    for byte in "größe\r\n".encode():
        console.feed(bytes([byte]))
    assert console.text == "größe\r\n"


def test_lines_are_what_a_terminal_would_show() -> None:
    console = Console()
    console.feed(b"\x1b[2J\x1b[1;31mred\x1b[0m\r\n 10%\r 50%\r100%\r\nlast")
    assert console.lines == ["red", "100%", "last"]


def test_the_last_lines_leave_out_empty_ones() -> None:
    console = Console()
    console.feed(b"one\r\n\r\ntwo\r\n\r\nthree\r\n\r\n")
    assert console.last_lines(2) == ["two", "three"]


def test_a_string_is_searched_for_as_it_stands_and_a_pattern_as_one() -> None:
    console = Console()
    console.feed(b"a.b axb")
    assert console.search("a.b", 1) is None
    found = console.search(re.compile("a.b"), 1)
    assert found is not None
    assert found[0] == "axb"


@pytest.mark.parametrize(
    "line",
    [
        "[    1.2] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)",
        "[    0.1] BUG: unable to handle page fault for address: ffffffff00000000",
        "[    0.1] Oops: 0002 [#1] PREEMPT SMP NOPTI",
        "[    0.1] kernel BUG at mm/slub.c:440!",
    ],
)
def test_a_panic_is_noticed_when_its_line_is_complete(line: str) -> None:
    console = Console(alarms=PANIC_PATTERNS)
    for byte in f"booting\r\n{line}".encode():
        console.feed(bytes([byte]))
    assert console.alarm == ""
    console.feed(b"\r\nmore\r\n")
    assert console.alarm == line


def test_words_of_a_panic_that_stand_elsewhere_are_none() -> None:
    console = Console(alarms=PANIC_PATTERNS)
    console.feed(b"Command line: panic=5 oops=panic\r\n# Oops, a typo\r\n")
    assert console.alarm == ""
