"""Do print and BootError write what Python's f-strings would?"""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bootslang.slang import BootError, array, fn, i8, i32, i64, ptr, span, u8, u16, u32, u64
from support.slang_machines import TARGETS, call, error_of, output_of
from support.slang_machines import machine as machine_of

on_every_machine = pytest.mark.parametrize("machine", TARGETS)
NAME: Final = "disk"
LIMIT: Final = 440


@fn
def unsigned(a: u8, b: u16, c: u32, d: u64) -> None:
    print(f"{a} {b} {c} {d}|{a:x} {b:#x} {c:#010x} {d:x}|{a:3} {b:05} {c:12d} {d:020x}|{a:#x}{b:04x}{c:#5x}")


@fn
def signed(a: i8, b: i32, c: i64) -> None:
    print(f"{a} {b} {c}|{a:5} {b:012} {c:20}|{a:d}")


@fn
def others(data: span[u8], flag: bool, letter: u8) -> None:
    name = array[u8](b"boot")
    print(f"{data}/{flag}/{not flag}/{letter:c}/{name}/{data[1:]}")
    print("plain")
    print()
    print("no end", end="")
    print(f" {NAME} {LIMIT:#x} {{}} %s \N{BULLET} {LIMIT + 1}")
    print(data)


@fn
def pointer(address: u32) -> None:
    print(f"{ptr[u8](address)}")


@fn
def fails(a: u32, data: span[u8]) -> None:
    raise BootError(f"{NAME}: {a:#x} of {data}")


@fn
def fails_with(data: span[u8]) -> None:
    if data:
        raise BootError(data)
    raise BootError("nothing")


@fn
def fails_long(data: span[u8]) -> None:
    raise BootError(f"{data}{data}{data}")


@fn
def loud(value: u32) -> u32:
    print("<", end="")
    return value


@fn
def calls_inside(value: u32) -> None:
    print(f"[{loud(value)}]")
    raise BootError(f"({loud(value)})")


@on_every_machine
@given(st.integers(0, 2**64 - 1))
def test_numbers_are_written_as_python_writes_them(machine: str, d: int) -> None:
    a, b, c = d & 0xFF, d >> 8 & 0xFFFF, d >> 20 & 0xFFFF_FFFF
    expected = f"{a} {b} {c} {d}|{a:x} {b:#x} {c:#010x} {d:x}|{a:3} {b:05} {c:12d} {d:020x}|{a:#x}{b:04x}{c:#5x}\n"
    assert output_of(machine, unsigned, a, b, c, d) == expected


@on_every_machine
@given(st.integers(-128, 127), st.integers(-(2**31), 2**31 - 1), st.integers(-(2**63), 2**63 - 1))
def test_signed_numbers_too(machine: str, a: int, b: int, c: int) -> None:
    assert output_of(machine, signed, a, b, c) == f"{a} {b} {c}|{a:5} {b:012} {c:20}|{a:d}\n"


@on_every_machine
def test_texts_truth_values_characters_and_constants(machine: str) -> None:
    expected = "abc/True/False/Q/boot/bc\nplain\n\nno end disk 0x1b8 {} %s \N{BULLET} 441\nabc\n"
    assert output_of(machine, others, b"abc", True, ord("Q")) == expected
    assert output_of(machine, pointer, 0xB8000) == "0xb8000\n"


@on_every_machine
def test_errors_carry_the_message(machine: str) -> None:
    assert error_of(machine, fails, 255, b"x") == "disk: 0xff of x"
    assert error_of(machine, fails_with, b"text") == "text"
    assert error_of(machine, fails_with, b"") == "nothing"


@on_every_machine
def test_messages_that_are_too_long_are_cut(machine: str) -> None:
    assert error_of(machine, fails_long, b"x" * 100) == "x" * 240


@on_every_machine
def test_what_a_value_prints_comes_before_the_message_that_it_is_in(machine: str) -> None:
    with pytest.raises(BootError, match=r"\(5\)|<\(5\)"):
        call(machine, calls_inside, 5)
    assert machine_of(machine, calls_inside.__module__).output.startswith("<[5]\n")
