"""Does the loader take its own words off its line, name those it does not know, and leave the rest to the kernel?"""

from collections.abc import Iterator

import pytest

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
from bootslang.boot.doors import options
from bootslang.slang import span
from support.low_memory import LowMemory

DEFAULT_LOG = 0x40


@pytest.fixture
def memory() -> Iterator[LowMemory]:
    with LowMemory(4096) as low:
        yield low


def read(memory: LowMemory, line: bytes) -> tuple[BootContext, bytes]:
    """The context and what is left to the kernel."""
    context = BootContext.zeroed()
    context.log = DEFAULT_LOG
    memory.write(memory.base, line)
    options.read(span(memoryview(memory.map)[: len(line)]), context)
    size = context.command_line_size
    assert (context.command_line != 0) == (size != 0)
    return context, memory.read(context.command_line, size) if size else b""


@pytest.mark.parametrize(
    ("line", "field", "value"),
    [
        (b"--verbose", "flags", FLAG_VERBOSE),
        (b"--allow-wx", "flags", FLAG_ALLOW_WX),
        (b"--randomise", "flags", FLAG_RANDOMISE),
        (b" --verbose\t--allow-wx  --randomise ", "flags", FLAG_VERBOSE | FLAG_ALLOW_WX | FLAG_RANDOMISE),
        (b"--protocol=linux", "protocol", PROTOCOL_LINUX),
        (b"--protocol=handoff", "protocol", PROTOCOL_HANDOFF),
        (b"--protocol=linux --protocol=auto", "protocol", PROTOCOL_GUESS),
        (b"--log=serial", "log", LOG_SERIAL),
        (b"--log=debugcon,vga", "log", LOG_DEBUGCON | LOG_SCREEN),
        (b"--log=none", "log", 0),
        (b"--log=none,serial", "log", LOG_SERIAL),
        (b"--log=serial --log=vga", "log", LOG_SCREEN),
        (b"", "log", DEFAULT_LOG),
    ],
)
def test_what_an_option_does(memory: LowMemory, line: bytes, field: str, value: int) -> None:
    context, rest = read(memory, line)
    assert (getattr(context, field), rest) == (value, b"")


@pytest.mark.parametrize(
    ("line", "rest"),
    [
        (b"root=/dev/vda  quiet", b"root=/dev/vda  quiet"),
        (b"--verbose root=/dev/vda --verbose", b"root=/dev/vda --verbose"),
        (b"-- --log=serial ro", b"--log=serial ro"),
        (b"--verbose --", b""),
        (b"ro -- single", b"ro -- single"),
        (b"-v ro", b"-v ro"),
        (b" \t\n", b""),
    ],
)
def test_what_is_left_to_the_kernel(memory: LowMemory, line: bytes, rest: bytes) -> None:
    assert read(memory, line)[1] == rest


@pytest.mark.parametrize(
    "word",
    ["--quiet", "--verbose=1", "--protocol=bsd", "--protocol", "--log", "--log:serial", "--verbos", "---", "--Verbose"],
)
def test_an_unknown_option_is_named_and_passed_over(
    memory: LowMemory, word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    context, rest = read(memory, f"{word} --randomise ro".encode())
    assert (context.flags, context.protocol, context.log, rest) == (FLAG_RANDOMISE, 0, DEFAULT_LOG, b"ro")
    assert capsys.readouterr().out == f"option {word} is not understood, and passed over\n"


@pytest.mark.parametrize(
    ("names", "unknown", "log"),
    [
        ("serial,printer", ["printer"], LOG_SERIAL),
        ("printer", ["printer"], DEFAULT_LOG),
        (",serial,,vga", ["", ""], LOG_SERIAL | LOG_SCREEN),
        ("Serial,screen", ["Serial", "screen"], DEFAULT_LOG),
    ],
)
def test_unknown_places_to_log_to_are_named_and_passed_over(
    memory: LowMemory, names: str, unknown: list[str], log: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert read(memory, f"--log={names}".encode())[0].log == log
    assert capsys.readouterr().out == "".join(
        f"--log: {name} is not understood, and passed over: serial, debugcon, vga and none are\n" for name in unknown
    )
