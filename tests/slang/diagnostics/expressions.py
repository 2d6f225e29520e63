"""Expressions that slang does not have, or whose types do not fit."""

from bootslang.slang import Struct, array, checked, compile_for, fn, i32, ptr, span, text, u8, u16, u32, u64, usize

compile_for("long64")

LIST = [1, 2, 3]
NAME = "text"


class Point(Struct):
    x: u16
    y: u16


@fn
def heap(n: u32, data: span[u8]) -> None:
    a = [1, 2]
    a = {1: 2}
    a = {1, 2}
    a = [x for x in data]
    a = (x for x in data)
    a = lambda x: x
    a = (b := n)
    a = f"{n}"
    a = n / 2
    a = n**2
    a = n @ n
    a = n is n
    a = 1.5
    a = None
    a = "text"
    a = b"bytes"
    a = u8
    a = LIST
    a = LIST[n]
    a = [*LIST]
    a = yield n


@fn
def widths(a: u8, b: u32, c: i32, d: u64, e: usize, f: bool, p: Point) -> None:
    a = b
    b = c
    b = d
    b = e
    a = 256
    a = -1
    c = 0x8000_0000
    a = a + 300
    b = b + c
    b = b + f
    f = b
    b = f
    p = b
    b = p
    f = p < p
    f = f < f
    b = b << 32
    b = b << c
    b = b // 0
    b = b % 0
    f = not p
    a = -f
    b = min(b)
    b = min(b, f)
    b = abs(b)
    b = checked(b)
    b = checked(b // 2)
    b = 1 // 0
    b = a if f else p
    c = 5 if f else b


@fn
def names(n: u32) -> u32:
    total = nn + 1
    if n:
        late = n
    n = late
    for i in range(n):
        pass
    n = i
    n = NAME.length
    n = totl + 1
    unknown()
    n()
    n.x = 5
    total.y()
    return total


@fn
def spans(data: span[u8], words: span[u16], n: i32, p: Point) -> None:
    ten = array[u8](10)
    a = ten[10]
    a = ten[u8(200)]
    a = ten[-1]
    a = ten[n]
    a = ten[0:11]
    a = ten[5:2]
    a = ten[4:8:2]
    a = data[4:8][5]
    a = text("abc")[3]
    a = data["x"]
    data[0:4] = data[0:5]
    data[0:2] = words[0:2]
    data = words
    a = data.length
    a = p[0]
    a = p[0:2]
    a = p.z
    a = p.yy
    p.x = 70000
    p = Point(1, 2)
    p = Point(x=1)
    p = Point(x=1, y=2, z=3)
    p = Point.of(n)
    data.fill(300)
    a = data.cast(u32, u8)
    a = data.cast(n)
    a = 5 in data
    a = n in ()
    a, b, c = (1, 2)
    a, b = p
    data[0], n = 1
    ptr[u8](5)[0] = 256
    span[u8](0)
    a = len(p)
    a = len(5)
