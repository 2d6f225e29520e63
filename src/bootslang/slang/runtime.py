"""What compiled slang calls behind the scenes: writing numbers, building messages, raising and catching.

Texts go to the unit's `write` hook, or into the buffer of the error that is being raised. All of it is slang.
"""

from __future__ import annotations

from typing import Final, NoReturn

from bootslang.slang.intrinsics import asm, halt, text
from bootslang.slang.words import (
    Struct,
    address,
    array,
    compile_for,
    fn,
    length,
    linked,
    ptr,
    span,
    target,
    u8,
    u32,
    u64,
    usize,
)

compile_for("real16", "protected32", "long64", optimize="size")

MESSAGE_BYTES: Final = 240
RAISED: Final = 255
"""What `attempt` returns when its body raised."""
WIDTH_MASK: Final = 0x1F
ZEROS: Final = 0x20
PREFIX: Final = 0x40
SIGNED: Final = 0x80
DIGITS: Final = array[u8](b"0123456789abcdef")
FILES: Final = "files"
"""The set of the source files that errors name. The compiler places an entry for each: its number (two bytes), how long
its name is (one byte), and the name."""
FILE_NAME: Final = 3
"""Where in its entry the name begins."""
LONGEST_FILE_NAME: Final = 255
"""Of a longer one the end is kept."""
ZERO: Final = 0x30
END, TEXT, BOOL, CHARACTER, DECIMAL32, DECIMAL64, HEX64 = range(7)
"""What a byte of a template stands for; larger ones are text."""
LAST_KIND: Final = HEX64
MOST_DIGITS: Final = 20


class CaughtError(Struct):
    """What `except BootError as error` gives."""

    message: span[u8]


class ErrorState(Struct):
    """The message that is being built or was last raised, and the innermost try."""

    frame: usize
    site: u32
    used: u32
    recording: bool
    message: array[u8] = length(MESSAGE_BYTES)


state: ErrorState = ErrorState(frame=0, site=0, used=0, recording=False)


@fn
def hook_write(data: span[u8]) -> None:
    """The unit's `write`: the compiler puts it in place of this."""
    del data


@fn
def hook_stop() -> NoReturn:
    """The unit's `stop`: the compiler puts it in place of this."""
    raise NotImplementedError


@fn(inline=False)
def file_name(number: u32) -> span[u8]:
    """The name of a source file by its number."""
    files = linked(u8, FILES)
    entry = ptr[u8](files.address)
    while entry.address < files.address + len(files):
        name = (entry + FILE_NAME).span(entry[FILE_NAME - 1])
        if entry[0] | u32(entry[1]) << 8 == number:
            return name
        entry = ptr[u8](name.address + len(name))
    return text("?")


@fn(inline=False)
def put(data: span[u8]) -> None:
    """Write text, or add it to the message of the error that is being raised; what is too long is cut."""
    if not state.recording:
        hook_write(data)
        return
    used = usize(state.used)
    count = min(len(data), MESSAGE_BYTES - used)
    state.message[used : used + count] = data[0:count]
    state.used = u32(used + count)


@fn(inline=False)
def put_message(template: ptr[u8], arguments: ptr[usize]) -> None:
    """Write a template: text, and placeholders for the words in `arguments`.

    A placeholder is a kind and a form; 64-bit numbers take two words where a word has 32 bits, texts an address and a
    length. The template ends with END.
    """
    start: usize = 0
    at: usize = 0
    word: usize = 0
    while True:
        kind = template[at]
        at += 1
        if kind > LAST_KIND:
            continue
        put(span[u8](template.address + start, at - 1 - start))
        if kind == END:
            return
        form = u32(template[at])
        at += 1
        start = at
        value = u64(arguments[word])
        word += 1
        if kind == TEXT:
            put(span[u8](usize(value), arguments[word]))
            word += 1
            continue
        if target.bits != 64 and kind >= DECIMAL64:
            value |= u64(arguments[word]) << 32
            word += 1
        put_value(kind, value, form)


@fn(inline=False)
def put_value(kind: u8, value: u64, form: u32) -> None:
    """Write a number, a truth value or a character."""
    if kind == BOOL:
        put(text("True") if value else text("False"))
        return
    digits = array[u8](MOST_DIGITS)
    position: usize = MOST_DIGITS
    sign = text("")
    if kind == HEX64:
        if form & PREFIX:
            sign = text("0x")
    elif kind == CHARACTER:
        digits[0] = u8(value)
        put(digits[0:1])
        return
    elif form & SIGNED and value >> 63:
        sign = text("-")
        value = 0 - value
    while True:
        position -= 1
        if kind == HEX64:
            digits[position] = DIGITS[u32(value) & 15]
            value >>= 4
        else:
            digits[position] = u8(value % 10) + ZERO
            value = value // 10
        if value == 0:
            break
    put_padded(digits[position:], form, sign)


@fn(inline=False)
def put_padded(digits: span[u8], form: u32, sign: span[u8]) -> None:
    """Write digits, to the width that `form` asks for: spaces before the sign or zeros after it."""
    if form & ZEROS:
        put(sign)
    filling = text("0") if form & ZEROS else text(" ")
    for _ in range(len(digits) + len(sign), usize(form & WIDTH_MASK)):
        put(filling)
    if not form & ZEROS:
        put(sign)
    put(digits)


@fn(inline=False)
def begin_error(site: u32) -> None:
    """Start the message of an error: `site` is the file's number << 16 and the line."""
    state.recording = True
    state.used = 0
    state.site = site


@fn(inline=False)
def raise_message(site: u32, template: ptr[u8], arguments: ptr[usize]) -> NoReturn:
    """Raise an error with the message that a template makes."""
    begin_error(site)
    put_message(template, arguments)
    raise_error()


@fn(inline=False)
def raise_error() -> NoReturn:
    """Go to the innermost except; where there is none, say what happened and stop."""
    state.recording = False
    if state.frame != 0:
        if target.bits == 64:
            unwind64(address(state.frame))
        else:
            unwind32(address(state.frame))
    print(f"{state.message[0 : usize(state.used)]} [{file_name(state.site >> 16)}:{state.site & 0xFFFF}]")
    hook_stop()


@fn(inline=False)
def index_error(site: u32) -> NoReturn:
    begin_error(site)
    put(text("index out of range"))
    raise_error()


@fn(inline=False)
def slice_error(site: u32) -> NoReturn:
    begin_error(site)
    put(text("slice out of range"))
    raise_error()


@fn(inline=False)
def copy_error(site: u32) -> NoReturn:
    begin_error(site)
    put(text("a slice is assigned one of another length"))
    raise_error()


@fn(inline=False)
def short_error(site: u32) -> NoReturn:
    begin_error(site)
    put(text("too few bytes for the struct"))
    raise_error()


@fn(inline=False)
def overflow_error(site: u32) -> NoReturn:
    begin_error(site)
    put(text("a number is too large: the sum, difference or product overflows"))
    raise_error()


@fn(inline=False)
def division_error(site: u32) -> NoReturn:
    begin_error(site)
    put(text("division by zero"))
    raise_error()


@fn(inline=False)
def halt_error(site: u32) -> NoReturn:
    """The host's `halt`."""
    begin_error(site)
    put(text("the machine was halted"))
    raise_error()


@fn(naked=True)
def attempt32(body: usize, frame: usize, slot: usize) -> u32:
    """Call `body(frame)`, having saved where to go on when it raises; RAISED if it did, else what it returned."""
    return asm("""
        push ebp
        push ebx
        push esi
        push edi
        push ecx
        push dword ptr [ecx]
        mov dword ptr [ecx], esp
        xchg eax, edx
        call edx
        pop ecx
        pop edx
        mov dword ptr [edx], ecx
        pop edi
        pop esi
        pop ebx
        pop ebp
        ret
    """).eax


@fn(naked=True)
def unwind32(slot: usize) -> NoReturn:
    """Return from the innermost `attempt32` with RAISED."""
    asm(f"""
        mov esp, dword ptr [eax]
        mov eax, {RAISED}
        pop ecx
        pop edx
        mov dword ptr [edx], ecx
        pop edi
        pop esi
        pop ebx
        pop ebp
        ret
    """)
    halt()


@fn(naked=True)
def attempt64(body: usize, frame: usize, slot: usize) -> u32:
    """`attempt32` in the System V calling convention."""
    return asm("""
        push rbp
        push rbx
        push r12
        push r13
        push r14
        push r15
        push rdx
        push qword ptr [rdx]
        mov qword ptr [rdx], rsp
        sub rsp, 8
        mov rax, rdi
        mov rdi, rsi
        call rax
        add rsp, 8
        pop rcx
        pop rdx
        mov qword ptr [rdx], rcx
        pop r15
        pop r14
        pop r13
        pop r12
        pop rbx
        pop rbp
        ret
    """).eax


@fn(naked=True)
def unwind64(slot: usize) -> NoReturn:
    """Return from the innermost `attempt64` with RAISED."""
    asm(f"""
        mov rsp, qword ptr [rdi]
        mov eax, {RAISED}
        pop rcx
        pop rdx
        mov qword ptr [rdx], rcx
        pop r15
        pop r14
        pop r13
        pop r12
        pop rbx
        pop rbp
        ret
    """)
    halt()
