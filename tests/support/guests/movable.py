"""A program with addresses in all the places where slang has them: its image is moved by the linker's tests."""

from collections.abc import Callable
from typing import Final, NoReturn

from bootslang.boot.lib import image
from bootslang.slang import (
    BootError,
    Struct,
    array,
    compile_for,
    fn,
    halt,
    linked,
    outb,
    placed,
    span,
    text,
    u8,
    u16,
    u32,
    u64,
)

compile_for("long64")

DEBUG_PORT: Final = 0xE9


class Step(Struct):
    """A function that is called through a table, its name, and numbers that it works on."""

    run: Callable[[u64, span[u16]], u64]
    name: span[u8]
    numbers: span[u16]


class Pair(Struct):
    one: Step
    other: Step


@fn
def total(seed: u64, numbers: span[u16]) -> u64:
    for number in numbers:
        seed += number
    return seed


@fn
def mixed(seed: u64, numbers: span[u16]) -> u64:
    for number in numbers:
        seed = seed * 31 ^ number
    return seed


ODD: Final = array[u16]((1, 3, 5, 7))
EVEN: Final = array[u16]((2, 4, 6))
CONSTANT: Final = Step(run=mixed, name=text("constant"), numbers=ODD)
FIRST: Final = placed(".set.steps.first", Step(run=total, name=text("first"), numbers=EVEN))
SECOND: Final = placed(".set.steps.second", Step(run=mixed, name=text("second"), numbers=ODD))
TABLE: Final = Pair(
    one=Step(run=total, name=text("one"), numbers=ODD), other=Step(run=mixed, name=text("other"), numbers=EVEN)
)
variable: Step = Step(run=total, name=text("variable"), numbers=EVEN)
untouched: array[u8] = array[u8](100)
calls: u32 = 0


@fn
def one(step: Step, seed: u64) -> u64:
    for letter in step.name:
        seed = seed * 17 + letter
    return step.run(seed, step.numbers)


@fn
def last(seed: u64, index: u32) -> u64:
    seed = one(TABLE.one if index == 0 else TABLE.other, seed)
    raise BootError(f"step {index} was the last, with {seed:#x}")


@fn(section=".start")
def everything(seed: u64, index: u32) -> u64:
    """A number that comes out right only if every address in the image is."""
    global calls
    calls += 1
    seed = one(CONSTANT, one(variable, seed))
    for step in linked(Step, "steps"):
        seed = one(step, seed)
    try:
        seed = last(seed, index)
    except BootError as error:
        for letter in error.message:
            seed = seed * 13 + letter
    return seed + untouched[index]


@fn(symbol="move")
def move(delta: u64) -> None:
    image.relocate(delta)


@fn(provides="write")
def write(data: span[u8]) -> None:
    for byte in data:
        outb(DEBUG_PORT, byte)


@fn(provides="stop")
def stop() -> NoReturn:
    halt()
