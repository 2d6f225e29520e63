"""Statements that slang does not have, or not here."""

import contextlib

from bootslang.slang import BootError, Struct, compile_for, fn, u8, u32

compile_for("protected32")


class Error(Exception):
    pass


@fn
def refused(n: u32) -> None:
    with contextlib.nullcontext():
        pass
    match n:
        case 0:
            pass
    del n
    assert n
    import os

    def inner() -> None:
        pass

    class Inner(Struct):
        x: u8

    n: u32
    a = b = n
    n.x: u32 = 5
    5
    n
    print("a", "b")
    print("a", sep="")
    x = print("a")


@fn
def loops(n: u32) -> None:
    for i in range(n, 1, 2, 3):
        pass
    for i in range(0, n, n):
        pass
    for i in reversed(range(0, n, 2)):
        pass
    for i in reversed(n):
        pass
    for i, j in range(n):
        pass
    for i in enumerate(n):
        pass
    for i, j in zip(n, n):
        pass
    for i in n:
        pass
    for i in (1, 2, 3):
        pass


@fn
def errors(n: u32) -> None:
    raise
    raise Error("x")
    raise BootError
    raise BootError("a", "b")
    raise BootError(f"{n!r}")
    raise BootError(f"{n:>5}")
    raise BootError(f"{n:25}")


@fn
def tries(n: u32) -> None:
    try:
        n += 1
    finally:
        n -= 1
    try:
        n += 1
    except BootError:
        pass
    else:
        n += 1
    try:
        n += 1
    except ValueError:
        pass
    try:
        n += 1
    except:
        pass
    try:
        n += 1
    except BootError:
        pass
    except Error:
        pass


async def wait() -> None:
    pass


@fn
def returns_nothing(n: u32) -> None:
    return n


@fn
def returns_something(n: u32) -> u32:
    if n:
        return
    return n, n


@fn
def forgets(n: u32) -> u32:
    while n:
        return n
