"""Slang functions compiled for a bare machine and run there: a CPU emulator in 32-bit protected or in long mode.

`Bare("protected32", bzip2.decode).call(bzip2.decode, packed, out, work)` gives what calling `bzip2.decode` natively
would: spans are bytes-likes (a bytearray is changed in place), structs must not hold pointers, an uncaught error is a
BootError.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, cast

import unicorn
from unicorn import x86_const as x86

from bootslang.boot.lib import division, memory
from bootslang.slang import BootError, Struct, types
from bootslang.slang.check import Surroundings
from bootslang.slang.check.scope import signature_of
from bootslang.slang.emit import emit_unit
from bootslang.slang.emit.lower import Lowering
from bootslang.slang.link import LinkRequest, ObjectFile, link
from bootslang.slang.memory import view_of
from bootslang.slang.source import definition_of
from bootslang.slang.units import compile_ir, functions_of

if TYPE_CHECKING:
    from bootslang.slang.function import Function

Target = Literal["protected32", "long64"]

GATES = 0x1000
"""Where calls leave the emulated machine: the run time's `write` and `stop`, and the return to us."""
WRITE, STOP, END = GATES, GATES + 0x10, GATES + 0x20
STACK, STACK_BYTES = 0x10_0000, 0x4_0000
CODE = 0x20_0000
HEAP, HEAP_BYTES = 0x100_0000, 0x200_0000
emulator: Any = unicorn
"""It has no types."""
RETURN = b"\xc3"
REGISTERS32 = (x86.UC_X86_REG_EAX, x86.UC_X86_REG_EDX, x86.UC_X86_REG_ECX)
REGISTERS64 = (
    x86.UC_X86_REG_RDI,
    x86.UC_X86_REG_RSI,
    x86.UC_X86_REG_RDX,
    x86.UC_X86_REG_RCX,
    x86.UC_X86_REG_R8,
    x86.UC_X86_REG_R9,
)


class Bare:
    """A machine with some functions in its memory, and what LLVM may call of its own accord."""

    def __init__(self, target: Target, *roots: object) -> None:
        self.target = target
        self.wide = target == "long64"
        self.around = Surroundings(target)
        self.lowering = Lowering(target, self.around.pointer_bytes)
        functions = [cast("Function", root) for root in roots]
        library = functions_of(memory) + ([] if self.wide else functions_of(division))
        library = [function for function in library if function.options.symbol]
        ir = emit_unit("bare", self.around, [*functions, *library], {})
        assert not self.around.diagnostics, self.around.diagnostics
        found = ObjectFile("bare", compile_ir(ir, target))
        names = tuple(function.symbol for function in functions)
        gates = {"slang.write": WRITE, "slang.stop": STOP}
        self.image = link(
            LinkRequest(name="bare", objects=(found,), base=CODE, entry=names[0], keep=names, symbols=gates)
        )
        self.instructions = 0
        """How many the last call took, where `count` was asked for."""

    def call(self, function: object, *arguments: Any, count: bool = False) -> int:
        """Run one of the functions; its result as an unsigned number."""
        called = cast("Function", function)
        machine = emulator.Uc(unicorn.UC_ARCH_X86, unicorn.UC_MODE_64 if self.wide else unicorn.UC_MODE_32)
        for base, size in ((GATES, 0x1000), (STACK, STACK_BYTES), (HEAP, HEAP_BYTES)):
            machine.mem_map(base, size)
        machine.mem_map(CODE, -(-self.image.memory_bytes // 0x1000) * 0x1000)
        machine.mem_write(CODE, self.image.data)
        machine.mem_write(GATES, RETURN * 0x100)
        output = Output(machine, wide=self.wide)
        lent = Lent(machine)
        self.push(machine, self.lowered(called, lent, arguments))
        self.instructions = 0
        if count:
            machine.hook_add(unicorn.UC_HOOK_CODE, self.step)
        machine.emu_start(self.image.symbols[called.symbol], END)
        if output.stopped:
            raise BootError(output.text.strip())
        lent.give_back()
        low = machine.reg_read(x86.UC_X86_REG_RAX if self.wide else x86.UC_X86_REG_EAX)
        high = 0 if self.wide else machine.reg_read(x86.UC_X86_REG_EDX)
        _, result = signature_of(called, self.around, definition_of(called)[1])
        bits = result.bits if isinstance(result, types.IntType) else 32
        return int(low | high << 32) & (1 << bits) - 1

    def step(self, *_: object) -> None:
        self.instructions += 1

    def lowered(self, function: Function, lent: Lent, arguments: tuple[Any, ...]) -> list[tuple[int, int, bool]]:
        """Value, size in bytes, and whether it goes into a register, of each machine argument."""
        parameters, _ = signature_of(function, self.around, definition_of(function)[1])
        kinds = [kind for _, kind in parameters]
        values: list[int] = []
        for argument in arguments:
            if isinstance(argument, (bytes, bytearray, memoryview)):
                values += lent.lend(argument)
            elif isinstance(argument, Struct):
                values += lent.lend(view_of(argument).memory)[:1]
            else:
                values.append(int(argument))
        shapes = self.lowering.parameters(kinds)
        assert len(shapes) == len(values)
        sizes = [self.around.pointer_bytes if kind == "ptr" else max(4, int(kind[1:]) // 8) for kind, _ in shapes]
        inside = [self.wide or "inreg" in attributes for _, attributes in shapes]
        return list(zip(values, sizes, inside, strict=True))

    def push(self, machine: Any, arguments: list[tuple[int, int, bool]]) -> None:
        """Put arguments where the calling convention wants them, and the return address on the stack."""
        free = list(REGISTERS64 if self.wide else REGISTERS32)
        word = 8 if self.wide else 4
        stack = b""
        for value, size, inside in arguments:
            if inside and len(free) >= -(-size // word):
                for part in range(-(-size // word)):
                    machine.reg_write(free.pop(0), value >> 8 * word * part & (1 << 8 * word) - 1)
            else:
                stack += (value % (1 << 8 * size)).to_bytes(-(-size // word) * word, "little")
        top = STACK + STACK_BYTES - 0x100 - -(-len(stack) // 16) * 16
        machine.mem_write(top, stack)
        machine.mem_write(top - word, END.to_bytes(word, "little"))
        machine.reg_write(x86.UC_X86_REG_RSP if self.wide else x86.UC_X86_REG_ESP, top - word)


class Output:
    """What the code writes, and whether it has stopped."""

    def __init__(self, machine: Any, *, wide: bool) -> None:
        self.text = ""
        self.stopped = False
        self.registers = REGISTERS64[:2] if wide else REGISTERS32[:2]
        machine.hook_add(unicorn.UC_HOOK_CODE, self.write, begin=WRITE, end=WRITE)
        machine.hook_add(unicorn.UC_HOOK_CODE, self.stop, begin=STOP, end=STOP)

    def write(self, machine: Any, *_: object) -> None:
        place, size = (machine.reg_read(register) for register in self.registers)
        self.text += machine.mem_read(place, size).decode()

    def stop(self, machine: Any, *_: object) -> None:
        self.stopped = True
        machine.emu_stop()


class Lent:
    """Buffers of ours in the machine's memory, a page of nothing between them."""

    def __init__(self, machine: Any) -> None:
        self.machine = machine
        self.next = HEAP
        self.buffers: list[tuple[int, memoryview]] = []

    def lend(self, buffer: bytes | bytearray | memoryview) -> tuple[int, int]:
        view = memoryview(buffer).cast("B")
        place = self.next
        self.machine.mem_write(place, bytes(view))
        self.next += (len(view) // 0x1000 + 2) * 0x1000
        self.buffers.append((place, view))
        return place, len(view)

    def give_back(self) -> None:
        for place, view in self.buffers:
            if not view.readonly:
                view[:] = self.machine.mem_read(place, len(view))
