"""How things are stored: byte order, volatility, casts."""

from bootslang.slang import (
    Struct,
    array,
    be,
    cast,
    compile_for,
    fn,
    linked,
    offsetof,
    ptr,
    sizeof,
    span,
    text,
    u8,
    u16,
    u32,
    volatile,
)

compile_for("protected32")


class Empty(Struct):
    pass


class Odd(Struct):
    order: be[bool]


class Loud(Struct):
    inner: volatile[Empty]


@fn
def parameter(a: be[u16]) -> None:
    pass


@fn
def marks(b: Odd, c: Loud, cells: span[volatile[u16]], others: span[volatile[u16]]) -> None:
    x = b.order
    x = c.inner
    cells[:] = others
    cells[0:2] = others[0:2]


@fn
def casts(data: span[u8], rows: span[Empty], n: u32) -> None:
    x = data.cast(Empty)
    rows.fill(5)
    x = cast(u32, n)
    x = cast(list, n)
    x = linked(Empty, "empties")
    x = sizeof(5)
    x = offsetof(u32, "x")
    x = offsetof(Empty, "x")
    x = text(n)
    x = array[u8](n)
    x = array[u8]("text")
    x = Empty.at(data)
    print(f"{Empty.zeroed()}")
    print(f"\x01")
