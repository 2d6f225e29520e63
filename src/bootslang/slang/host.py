"""Running slang natively: a call from CPython compiles for the host, loads the code, and calls it."""

from __future__ import annotations

import ctypes
import importlib
import platform
import sys
import threading
from dataclasses import dataclass
from typing import Any, cast

from bootslang.slang import function as functions
from bootslang.slang import machine, memory, runtime, types, units, words
from bootslang.slang.check import Surroundings
from bootslang.slang.check.scope import signature_of
from bootslang.slang.diagnostics import CompileError
from bootslang.slang.emit import emit_unit
from bootslang.slang.emit.data import pointed_functions
from bootslang.slang.emit.host import CALLBACKS, address_name, thunk_name
from bootslang.slang.source import definition_of

HOST = "host"
MOST_WORDS = 64
"""The most words that arguments or results take."""
ATTEMPT = ctypes.CFUNCTYPE(ctypes.c_uint32, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)


@dataclass(frozen=True)
class Number:
    """A module's variable that is a number: CPython and native code each have it in their own way."""

    namespace: dict[str, Any]
    name: str
    view: memoryview
    cell: types.Cell

    def give(self) -> None:
        """Let native code see what CPython has."""
        memory.store(self.view, self.cell, self.namespace[self.name], {})

    def take(self) -> None:
        """Let CPython see what native code has."""
        self.namespace[self.name] = memory.load(self.view, self.cell, {})


class Engine:
    """The native code of this process: one loaded object for each slang module that was called."""

    def __init__(self) -> None:
        import llvmlite.binding as llvm

        if platform.machine().lower() not in {"x86_64", "amd64"} or sys.platform == "win32":
            raise NotImplementedError("slang runs natively on x86-64 Linux and macOS only; it compiles anywhere")
        self.llvm = llvm
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        self.machine = llvm.Target.from_default_triple().create_target_machine(jit=True)
        self.engines: list[Any] = []
        self.table = (ctypes.c_void_p * CALLBACKS)()
        self.failed = ctypes.c_uint8(0)
        self.failure: BaseException | None = None
        self.keep: list[Any] = []
        self.storage: dict[str, Any] = {}
        self.initial: dict[str, bytes] = {}
        """What each module-level variable held when its code was loaded."""
        self.thunks: dict[str, int] = {}
        self.attempt: Any = None
        self.signatures: dict[str, tuple[list[types.Type], types.Type]] = {}
        self.numbers: dict[str, Number] = {}
        llvm.add_symbol("slang.host.callbacks", ctypes.addressof(self.table))
        llvm.add_symbol("slang.host.failed", ctypes.addressof(self.failed))
        self.install_callbacks()

    # Callbacks

    def install_callbacks(self) -> None:
        word, none, pointer = ctypes.c_uint64, None, ctypes.c_void_p
        self.install(0, none, (pointer, word), self.on_write)
        self.install(1, word, (word, word), lambda port, size: fake().read_port(port, size))
        self.install(2, none, (word, word, word), lambda port, size, value: fake().write_port(port, size, value))
        self.install(3, word, (word, word), lambda address, size: fake().read_memory(address, size))
        self.install(4, none, (word,) * 3, lambda address, size, value: fake().write_memory(address, size, value))
        self.install(5, none, (pointer, word, pointer, word, pointer), self.on_assembly)

    def install(self, number: int, result: Any, parameters: tuple[Any, ...], function: Any) -> None:
        def guarded(*arguments: Any) -> Any:
            try:
                return function(*arguments) if result is None else function(*arguments) or 0
            except BaseException as error:  # noqa: BLE001 - carried across the native code and raised behind it
                self.failure = error
                self.failed.value = 1
                return None if result is None else 0

        callback = ctypes.CFUNCTYPE(result, *parameters)(guarded)
        self.keep.append(callback)
        self.table[number] = ctypes.cast(callback, ctypes.c_void_p).value

    def on_write(self, address: int, length: int) -> None:
        sys.stdout.write(ctypes.string_at(address, length).decode(errors="replace") if length else "")

    def on_assembly(self, code: int, length: int, names: int, names_length: int, values: int) -> None:
        text = ctypes.string_at(code, length).decode()
        inputs, _, outputs = ctypes.string_at(names, names_length).decode().partition("|")
        given = [name for name in inputs.split(",") if name]
        asked = [name for name in outputs.split(",") if name]
        words_ = (ctypes.c_uint64 * max(1, len(given), len(asked))).from_address(values)
        results = fake().assembly(text, {name: words_[index] for index, name in enumerate(given)})
        for index, name in enumerate(asked):
            if name not in results:
                raise KeyError(f"the fake machine gave no {name} for {text.strip()!r}")
            words_[index] = results[name] & 0xFFFF_FFFF_FFFF_FFFF

    # Loading

    def load(self, function: functions.Function) -> int:
        """The address of a function's thunk; compiles its whole module where that has not been done."""
        name = thunk_name(function)
        if name not in self.thunks:
            self.load_module(function.__module__)
        if name not in self.thunks:
            raise TypeError(f"{function!r} cannot be called from Python: it is assembly alone")
        return self.thunks[name]

    def load_module(self, module_name: str) -> None:
        module = importlib.import_module(module_name)
        around = Surroundings(HOST)
        own = [f for f in units.functions_of(module) if not f.options.naked]
        if module_name == runtime.__name__:
            own = [f for f in own if not f.__name__.startswith("hook_")]
        ir = emit_unit(module_name, around, own, {}, thunks=True)
        if around.diagnostics:
            raise CompileError(around.diagnostics)
        known = set(self.storage)
        for variable in around.variables.values():
            if not variable.constant:
                self.share(variable.symbol, variable.value, variable.type)
        self.link(units.compile_host(ir))
        engine = self.engines[-1]
        for variable in around.variables.values():
            if not variable.constant and variable.symbol not in known:
                self.settle(variable.value, engine)
                self.initial[variable.symbol] = bytes(self.storage[variable.symbol])
        for function in own:
            self.thunks[thunk_name(function)] = engine.get_function_address(thunk_name(function))
        if self.attempt is None:
            symbol = cast("functions.Function", runtime.attempt64).symbol
            self.attempt = ATTEMPT(engine.get_function_address(symbol))

    def settle(self, variable: Any, engine: Any) -> None:
        """Let a variable's function pointers point to native code."""
        for pointed in pointed_functions(variable):
            place = engine.get_global_value_address(address_name(pointed))
            address = int.from_bytes(memory.memory_at(place, 8), "little")
            memory.settle(memory.view_of_object(variable), pointed, address)

    def share(self, symbol: str, value: Any, kind: types.Type) -> None:
        """Let native code use the very bytes of a module's struct or array, and a place of its own for a number."""
        if symbol in self.storage:
            return
        if isinstance(value, words.Struct):
            view = memory.view_of(value).memory
        elif isinstance(value, words.array):
            view = memory.bytes_of(value)
        else:
            home, _, name = symbol.rpartition(".")
            view = memoryview(bytearray(8))
            namespace, place = vars(sys.modules[home]), view[: types.size_of(kind, 8)]
            number = self.numbers[symbol] = Number(namespace, name, place, types.Cell(kind))
            number.give()
        self.storage[symbol] = view
        self.initial[symbol] = bytes(view)
        self.llvm.add_symbol(symbol, memory.address_of(view))

    def reset(self) -> None:
        """Give every module-level variable the value that it had when its code was loaded."""
        for symbol, view in self.storage.items():
            view[:] = self.initial[symbol]
        for number in self.numbers.values():
            number.take()

    def link(self, code: bytes) -> None:
        engine = self.llvm.create_mcjit_compiler(self.llvm.parse_assembly(""), self.machine)
        engine.add_object_file(self.llvm.ObjectFileRef.from_data(code))
        engine.finalize_object()
        self.engines.append(engine)

    # Calling

    def call(self, function: functions.Function, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        thunk = self.load(function)
        kinds, result = self.signature(function)
        given = self.ordered(function, arguments, keywords)
        if len(given) != len(kinds):
            raise TypeError(f"{function.__name__} takes {len(kinds)} arguments, {len(given)} given")
        keep: list[Any] = []
        flat: list[int] = []
        for value, kind in zip(given, kinds, strict=True):
            flat += self.lower(value, kind, keep)
        area = (ctypes.c_uint64 * max(MOST_WORDS, len(flat)))(*flat)
        self.failed.value, self.failure = 0, None
        frame = memory.view_of(runtime.state).address
        for number in self.numbers.values():
            number.give()
        ended = self.attempt(thunk, ctypes.addressof(area), frame)
        for number in self.numbers.values():
            number.take()
        self.raise_failure()
        if ended == runtime.RAISED:
            text = bytes(runtime.state.message)[: runtime.state.used]
            raise words.BootError(text.decode(errors="replace"))
        return self.lift(list(area), result, tuple(keep))

    def raise_failure(self) -> None:
        """Raise what a callback could not raise through native code."""
        failure, self.failure = self.failure, None
        self.failed.value = 0
        if failure is not None:
            raise failure

    def signature(self, function: functions.Function) -> tuple[list[types.Type], types.Type]:
        if function.symbol not in self.signatures:
            parameters, result = signature_of(function, Surroundings(HOST), definition_of(function)[1])
            self.signatures[function.symbol] = [kind for _, kind in parameters], result
        return self.signatures[function.symbol]

    def ordered(self, function: functions.Function, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> list[Any]:
        if not keywords and not function.python.__defaults__:
            return list(arguments)
        import inspect

        bound = inspect.signature(function.python).bind(*arguments, **keywords)
        bound.apply_defaults()
        return list(bound.arguments.values())

    def lower(self, value: Any, kind: types.Type, keep: list[Any]) -> list[int]:
        """A Python value as machine words; `keep` holds what must stay alive during the call."""
        match kind:
            case types.IntType():
                if not kind.least <= int(value) <= kind.most:
                    raise OverflowError(f"{value} does not fit {kind}")
                return [int(value) & 0xFFFF_FFFF_FFFF_FFFF]
            case types.BoolType():
                return [int(bool(value))]
            case types.SpanType(element):
                view = memory.bytes_of(value) if isinstance(value, words.span) else memory.lend(value, 0).memory
                keep.append(view)
                return [memory.address_of(view), len(view) // types.size_of(element.type, 8)]
            case types.StructType(python):
                if not isinstance(value, python):
                    raise TypeError(f"a {kind} is needed, this is {type(value).__name__}")
                view = memory.view_of(value).memory
                keep.append(view)
                return [memory.address_of(view)]
            case types.PtrType():
                return [int(value.address if isinstance(value, words.ptr) else value)]
            case _:
                raise TypeError(f"{kind} cannot be passed from Python")

    def lift(self, area: list[int], kind: types.Type, owners: tuple[object, ...]) -> Any:
        """Machine words as a Python value; takes from `area` what it uses. What it may point into stays alive."""
        match kind:
            case types.NoneKind() | types.NeverType():
                return None
            case types.TupleType(items):
                return tuple(self.lift(area, item, owners) for item in items)
            case types.IntType():
                word = area.pop(0)
                return word - (1 << 64) if kind.signed and word >> 63 else word
            case types.BoolType():
                return bool(area.pop(0))
            case types.SpanType(element):
                start, count = area.pop(0), area.pop(0)
                view = memory.View(memory.memory_at(start, types.size_of(element.type, 8) * count))
                view.owners = owners
                return memory.span_over(view, element)
            case types.StructType(python):
                view = memory.View(memory.memory_at(area.pop(0), types.size_of(kind, 8)))
                view.owners = owners
                return memory.attach(python, view)
            case _:
                return area.pop(0)


LOCK = threading.RLock()
ENGINES: list[Engine] = []


def fake() -> machine.FakeMachine:
    """The fake machine in force."""
    return machine.in_force()


def call(function: functions.Function, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    """Call a slang function natively. Not for several threads at once: it waits."""
    with LOCK:
        if not ENGINES:
            ENGINES.append(Engine())
        return ENGINES[0].call(function, arguments, keywords)


def reset() -> None:
    """Give native code's module-level variables their first values again, as switching a machine on does."""
    with LOCK:
        for engine in ENGINES:
            engine.reset()
