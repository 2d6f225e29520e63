"""Mistakes in inline assembly that the checker sees."""

from bootslang.slang import asm, compile_for, fn, inb, outb, u8, u16, u32, u64

compile_for("protected32")

TABLE = {"a": 1}


@fn
def registers(n: u32, wide: u64) -> u32:
    asm("nop", eax=wide)
    asm("nop", ex=n)
    asm("nop", rax=n)
    asm("nop", eax=n, ax=5)
    asm("nop", al=300)
    asm("nop", clobbers="foo")
    asm("nop", clobbers="r8")
    asm("nop", "hlt")
    asm(n)
    asm(f"mov eax, {n}")
    asm(f"mov eax, {TABLE.get}")
    after = asm("nop", eax=n)
    n = after.exx
    n = after.rax
    n = after
    after = n
    n = asm("nop").parity
    if n:
        later = asm("nop")
    return later.eax


@fn
def ports(n: u32) -> None:
    outb(n, 5)
    outb(0x80, n)
    outb(0x80)
    n = inb(0x1_0000)


@fn(naked=True)
def naked(n: u32) -> None:
    n += 1
    asm("ret")
