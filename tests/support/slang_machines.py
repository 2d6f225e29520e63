"""The same slang function on four machines: this one, natively, and an emulated CPU in 16, 32 and 64 bits.

A test module holds its slang functions and calls them through `machine(target)`, with arguments and results as CPython
has them. On the emulated CPU the arguments go by the calling convention that the documentation promises: regparm(3) in
16- and 32-bit code, System V in 64-bit code.
"""

from __future__ import annotations

import contextlib
import io
import re
import sys
from functools import cache
from typing import TYPE_CHECKING, Any, Final, cast

import unicorn
from unicorn import x86_const as x86

from bootslang.slang import BootError, memory, span, types, units
from bootslang.slang.check import Surroundings
from bootslang.slang.check.scope import signature_of
from bootslang.slang.diagnostics import CompileError
from bootslang.slang.emission import LIBRARY
from bootslang.slang.emit import emit_unit
from bootslang.slang.link import Image, LinkRequest, ObjectFile, link
from bootslang.slang.machine import in_force
from bootslang.slang.source import definition_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from bootslang.slang.function import Function

EMULATED: Final = ("real16", "protected32", "long64")
TARGETS: Final = ("host", *EMULATED)

MEMORY: Final = 0x10_0000
BASE: Final = 0x1000
WRITE, STOP, BACK = 0x400, 0x410, 0x420
STACK: Final = 0xF000
HEAP: Final = {"real16": 0xF000, "protected32": 0x4_0000, "long64": 0x4_0000}
"""Where arguments in memory lie; 16-bit code reaches 64 KiB."""
MODES: Final = {"real16": unicorn.UC_MODE_16, "protected32": unicorn.UC_MODE_32, "long64": unicorn.UC_MODE_64}
REGPARM: Final = (x86.UC_X86_REG_EAX, x86.UC_X86_REG_EDX, x86.UC_X86_REG_ECX)
SYSTEM_V: Final = (
    x86.UC_X86_REG_RDI,
    x86.UC_X86_REG_RSI,
    x86.UC_X86_REG_RDX,
    x86.UC_X86_REG_RCX,
    x86.UC_X86_REG_R8,
    x86.UC_X86_REG_R9,
)
CALLEE_SAVED: Final = {
    4: (x86.UC_X86_REG_EBX, x86.UC_X86_REG_ESI, x86.UC_X86_REG_EDI, x86.UC_X86_REG_EBP),
    8: (
        x86.UC_X86_REG_RBX,
        x86.UC_X86_REG_RBP,
        x86.UC_X86_REG_R12,
        x86.UC_X86_REG_R13,
        x86.UC_X86_REG_R14,
        x86.UC_X86_REG_R15,
    ),
}
MOST_INSTRUCTIONS: Final = 5_000_000
emulator: Any = unicorn
"""It has no types."""
UNCAUGHT: Final = re.compile(r"(?P<message>[^\n]*) \[(?P<place>[^\]]+:\d+)\]\n\Z")


class Machine:
    """Something that runs slang functions."""

    output = ""
    """What the last call printed."""

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Run a slang function. What it raises and nobody catches comes out as a BootError."""
        raise NotImplementedError


class Native(Machine):
    """The machine that the tests run on."""

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        taken = io.StringIO()
        try:
            with contextlib.redirect_stdout(taken):
                return function(*arguments)
        finally:
            self.output = taken.getvalue()


@cache
def image_of(module_name: str, target: str) -> Image:
    """All functions of a module, linked at BASE."""
    module = sys.modules[module_name]
    around = Surroundings(target)
    own = units.functions_of(module)
    library = units.roots_of(units.Unit("library", target, LIBRARY))
    text = emit_unit(module_name, around, [*own, *library], units.providers_of(module), modules=(module_name,))
    if around.diagnostics:
        raise CompileError(around.diagnostics)
    code = units.compile_ir(text, target)
    hooks = {"slang.write": WRITE, "slang.stop": STOP}
    return link(
        LinkRequest(
            name=module_name,
            objects=(ObjectFile(module_name, code),),
            base=BASE,
            entry=own[0].symbol,
            keep=tuple(function.symbol for function in own),
            symbols=hooks,
            memory_limit=STACK - 0x1000 - BASE,
        )
    )


class Emulated(Machine):
    """A CPU of unicorn's with one module in its memory, whose variables live from call to call."""

    def __init__(self, module_name: str, target: str) -> None:
        self.target = target
        self.pointer_bytes = 8 if target == "long64" else 4
        self.image = image_of(module_name, target)
        self.cpu = emulator.Uc(unicorn.UC_ARCH_X86, MODES[target])
        self.cpu.mem_map(0, MEMORY)
        self.cpu.mem_write(BASE, self.image.data)
        self.cpu.mem_write(WRITE, b"\x66\xc3" if target == "real16" else b"\xc3")
        self.cpu.hook_add(unicorn.UC_HOOK_CODE, self.on_hook, begin=WRITE, end=STOP)
        self.cpu.hook_add(unicorn.UC_HOOK_INSN, self.on_in, None, 1, 0, x86.UC_X86_INS_IN)
        self.cpu.hook_add(unicorn.UC_HOOK_INSN, self.on_out, None, 1, 0, x86.UC_X86_INS_OUT)
        self.heap = 0
        self.lent: list[tuple[int, memoryview]] = []
        self.stopped = False

    # What the code calls

    def on_hook(self, cpu: Any, address: int, _size: int, _data: object) -> None:
        if address == STOP:
            self.stopped = True
            cpu.emu_stop()
        elif address == WRITE:
            registers = SYSTEM_V if self.pointer_bytes == 8 else REGPARM
            start, count = (cpu.reg_read(register) for register in registers[:2])
            self.output += cpu.mem_read(start, count).decode(errors="replace")

    def on_in(self, _cpu: Any, port: int, size: int, _data: object) -> int:
        return in_force().read_port(port, size)

    def on_out(self, _cpu: Any, port: int, size: int, value: int, _data: object) -> None:
        in_force().write_port(port, size, value)

    # Calls

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        slang = cast("Function", function)
        parameters, result = signature_of(slang, Surroundings(self.target), definition_of(slang)[1])
        assert len(parameters) == len(arguments)
        self.heap, self.lent, self.output, self.stopped = HEAP[self.target], [], "", False
        words: list[tuple[int, int]] = []
        for value, (_, kind) in zip(arguments, parameters, strict=True):
            words += self.lower(value, kind)
        self.enter(words)
        saved = self.saved_registers()
        self.cpu.emu_start(self.image.symbols[slang.symbol], BACK, count=MOST_INSTRUCTIONS)
        for place, view in self.lent:
            if not view.readonly:
                view[:] = bytes(self.cpu.mem_read(place, len(view)))
        if self.stopped:
            found = UNCAUGHT.search(self.output)
            assert found, f"stopped without a message: {self.output!r}"
            self.output = self.output[: found.start()]
            raise BootError(found["message"])
        assert self.saved_registers() == saved, "a register that the callee has to keep was changed"
        return self.lift(self.results(), result)

    def saved_registers(self) -> list[int]:
        return [self.cpu.reg_read(register) for register in CALLEE_SAVED[self.pointer_bytes]]

    def lower(self, value: Any, kind: types.Type) -> list[tuple[int, int]]:
        """A value as arguments: each a number and its size in bytes."""
        match kind:
            case types.IntType():
                size = kind.bits // 8
                return [(value & (1 << kind.bits) - 1, size)]
            case types.BoolType():
                return [(int(value), 1)]
            case types.SpanType(element):
                view = memory.bytes_of(value) if isinstance(value, span) else memoryview(value)
                count = len(view) // types.size_of(element.type, self.pointer_bytes)
                return [(self.lend(view), self.pointer_bytes), (count, self.pointer_bytes)]
            case types.StructType():
                return [(self.lend(memory.view_of(value).memory), self.pointer_bytes)]
            case _:
                raise TypeError(f"{kind} as an argument")

    def lend(self, view: memoryview) -> int:
        place = self.heap
        self.cpu.mem_write(place, bytes(view))
        self.lent.append((place, view))
        self.heap += len(view) + 3  # nothing is aligned
        return place

    def enter(self, words: list[tuple[int, int]]) -> None:
        """Put arguments where the calling convention says, and the return address below them."""
        registers = list(SYSTEM_V if self.pointer_bytes == 8 else REGPARM)
        stack: list[int] = []
        for value, size in words:
            needed = 1 if self.pointer_bytes == 8 else (size + 3) // 4
            parts = [value >> 32 * index & 0xFFFF_FFFF for index in range(needed)] if needed > 1 else [value]
            if needed <= len(registers):
                for part in parts:
                    self.cpu.reg_write(registers.pop(0), part)
            else:
                stack += parts
                if self.pointer_bytes == 4:
                    registers = []
        size = self.pointer_bytes
        top = (STACK - size * len(stack)) // 16 * 16
        data = b"".join(part.to_bytes(size, "little") for part in [BACK, *stack])
        self.cpu.mem_write(top - size, data)
        self.cpu.reg_write(x86.UC_X86_REG_RSP if size == 8 else x86.UC_X86_REG_ESP, top - size)

    def results(self) -> list[int]:
        registers = (x86.UC_X86_REG_RAX, x86.UC_X86_REG_RDX, x86.UC_X86_REG_RCX) if self.pointer_bytes == 8 else REGPARM
        return [self.cpu.reg_read(register) for register in registers]

    def lift(self, words: list[int], kind: types.Type) -> Any:
        """Registers as a Python value; takes from `words` what it uses."""
        match kind:
            case types.NoneKind():
                return None
            case types.IntType():
                number = words.pop(0)
                if kind.bits > 8 * self.pointer_bytes:
                    number |= words.pop(0) << 32
                number &= (1 << kind.bits) - 1
                return number - (1 << kind.bits) if kind.signed and number >> (kind.bits - 1) else number
            case types.BoolType():
                return bool(words.pop(0) & 1)
            case types.TupleType(items):
                return tuple(self.lift(words, item) for item in items)
            case types.SpanType(element):
                size = types.size_of(element.type, self.pointer_bytes)
                start, count = words.pop(0), words.pop(0)
                view = memory.View(memoryview(bytearray(self.cpu.mem_read(start, size * count))))
                return memory.span_over(view, element)
            case types.StructType(python):
                size = types.size_of(kind, self.pointer_bytes)
                return memory.attach(python, memory.View(memoryview(self.cpu.mem_read(words.pop(0), size))))
            case _:
                raise TypeError(f"{kind} as a result")


@cache
def machine(target: str, module_name: str) -> Machine:
    """The machine of that name, with a module in its memory."""
    return Native() if target == "host" else Emulated(module_name, target)


def call(target: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """Run a slang function on the machine called `target`."""
    return machine(target, function.__module__).call(function, *arguments)


def output_of(target: str, function: Callable[..., Any], *arguments: Any) -> str:
    """What a slang function prints there."""
    chosen = machine(target, function.__module__)
    chosen.call(function, *arguments)
    return chosen.output


def error_of(target: str, function: Callable[..., Any], *arguments: Any) -> str:
    """The message of the BootError that a slang function raises there."""
    try:
        result = call(target, function, *arguments)
    except BootError as error:
        return str(error)
    raise AssertionError(f"no error but {result!r}")


__all__ = ["EMULATED", "TARGETS", "Emulated", "Machine", "call", "error_of", "machine", "output_of"]
