"""Signatures, calls and what functions must not return."""

from __future__ import annotations

from typing import Callable, NoReturn

from bootslang.slang import Struct, array, compile_for, fn, ptr, span, u8, u16, u32

compile_for("protected32")

count = 0
LIMIT: u32 = 5


class Point(Struct):
    x: u16
    y: u16
    name: array[u8]


class Bad(Struct):
    x: int


class Recursive(Struct):
    inner: Recursive


class Good(Struct):
    x: u16
    data: span[u8]


@fn
def no_annotation(n) -> None:
    pass


@fn
def no_result(n: u32):
    pass


@fn
def odd_types(a: int, b: str, c: list[u8], d: u8 | u16, e: span, f: array[u8], g: "Missing", h: float) -> None:
    pass


@fn
def variadic(*numbers: u32) -> None:
    pass


@fn
def plain(a: u32, b: u8 = 5) -> u32:
    return a + b


def python(a: int) -> int:
    return a + 1


@fn
def calls(n: u32, f: Callable[[u32], u8], p: Point, b: Bad, r: Recursive) -> None:
    plain()
    plain(1, 2, 3)
    plain(n, c=4)
    plain(n, a=4)
    plain(p)
    plain(n, n)
    f(1, 2)
    f(a=1)
    python(n)
    python(1) + python("x")
    x = p.x
    x = b.x
    x = r.inner
    isinstance(n, u32)
    range(n)
    int(n)
    Good()
    ptr[u8](p)


@fn
def own_storage(n: u32) -> span[u8]:
    data = array[u8](10)
    if n == 1:
        return data
    if n == 2:
        return data[2:]
    part = data[1:5]
    if n == 3:
        return part
    if n == 4:
        return span[u8](data.address, 3)
    good = Good(x=1, data=data)
    return array[u8](3)


@fn
def own_struct(n: u32) -> Good:
    table = array[Good](2)
    for item in table:
        if item.x == n:
            return item
    return Good.zeroed()


@fn
def variables() -> None:
    global count
    count += 1
    global missing
    global calls
    LIMIT = 4
    LIMIT += 1


@fn
def never() -> NoReturn:
    return


@fn
def never_too(n: u32) -> NoReturn:
    while n:
        n -= 1
