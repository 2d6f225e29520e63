"""A unit as one LLVM module: its functions, its data, its debug information, and the glue of its run time."""

from __future__ import annotations

import zlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from bootslang.slang import function as functions
from bootslang.slang import memory, runtime, source, tree, types
from bootslang.slang.check import Surroundings, check_function
from bootslang.slang.check.scope import Scope, signature_of
from bootslang.slang.diagnostics import Diagnostic, source_line
from bootslang.slang.emit.data import Data, pointed_functions
from bootslang.slang.emit.debug import DebugInfo
from bootslang.slang.emit.host import HostGlue
from bootslang.slang.emit.lower import Lowering, quoted, text_constant
from bootslang.slang.emit.statements import Statements

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bootslang.slang.diagnostics import Location
    from bootslang.slang.emit.writer import Writer

EXTERNAL_HOOKS = {"hook_write": "slang.write", "hook_stop": "slang.stop"}
"""What a unit without a provider calls: the linker then says which name is missing."""
RunTime: TypeAlias = Literal["own", "shared", "foreign"]
"""Whether a unit keeps its run time to itself, shows it to other objects, or uses that of another object."""
PACKAGE = Path(runtime.__file__).absolute().parent.parent
VIOLATION_LETTER = "X"
"""What a unit that reports letters is given for a violated check."""


class Unit:
    """Everything of one compilation."""

    def __init__(
        self, name: str, around: Surroundings, providers: dict[str, functions.Function], *, run_time: RunTime
    ) -> None:
        self.around = around
        self.runtime = run_time
        self.host = around.target == "host"
        self.lowering = Lowering(around.target, around.pointer_bytes)
        self.debug = DebugInfo(name)
        self.providers = providers
        self.letters = "raise" in providers
        self.glue = HostGlue(self)
        self.definitions: list[str] = []
        self.declarations: dict[str, str] = {}
        self.texts: dict[bytes, str] = {}
        self.files: dict[int, str] = {}
        self.used: dict[str, None] = {}
        self.roots: set[functions.Function] = set()
        self.results: dict[str, tree.Local] = {}
        self.outlined = 0
        self.placed_modules: set[str] = set()

    # Names

    def function(self, function: Any) -> str:
        """The name of a function; hooks are replaced by what provides them."""
        name = function.__name__
        if function.__module__ == runtime.__name__ and name in EXTERNAL_HOOKS:
            return self.hook(function, name)
        if function.__module__ == runtime.__name__ and self.runtime == "foreign":
            return self.declared(function, function.symbol)
        self.around.want(function)
        return quoted(function.symbol)

    def hook(self, function: functions.Function, name: str) -> str:
        if self.host:
            return quoted(f"slang.host.{name.removeprefix('hook_')}")
        provider = self.providers.get(name.removeprefix("hook_"))
        if provider is not None:
            return self.function(provider)
        return self.declared(function, EXTERNAL_HOOKS[name])

    def declared(self, function: functions.Function, symbol: str) -> str:
        """A function that another object defines."""
        parameters, result = signature_of(function, self.around, source.definition_of(function)[1])
        lowered = self.lowering.parameters([kind for _, kind in parameters])
        listed = ", ".join(f"{kind} {attributes}".strip() for kind, attributes in lowered)
        never = " noreturn" if isinstance(result, types.NeverType) else ""
        cold = " cold" if symbol.endswith("_error") else ""
        self.declarations[symbol] = (
            f"declare {self.lowering.value(result)} {quoted(symbol)}({listed}) nounwind{never}{cold}"
        )
        return quoted(symbol)

    def symbol(self, name: str) -> str:
        """A name that the linker defines; on the host, the bounds of a set of placed values."""
        if self.host:
            return self.glue.set_bound(name)
        self.declarations[name] = f"{quoted(name)} = external hidden global i8"
        return quoted(name)

    def intrinsic(self, name: str, signature: str) -> str:
        result, _, parameters = signature.partition("(")
        self.declarations[name] = f"declare {result.strip()} @{name}({parameters}"
        return f"@{name}"

    def text(self, data: bytes) -> str:
        """The address of constant bytes; equal ones are stored once."""
        if data not in self.texts:
            self.texts[data] = quoted(f"slang.text.{len(self.texts)}")
        return self.texts[data]

    def path_of(self, function: functions.Function) -> str:
        return debug_path(source.source_of(function.__module__).path)

    def file_number(self, location: Location) -> int:
        """A file's number: a digest of its name, so that objects which are linked together agree on it."""
        name = error_path(location.path)
        number = zlib.crc32(name.encode()) & 0xFFFF
        other = self.files.setdefault(number, name)
        if other != name:
            message = f"{name} and {other} get the same number, by which errors name files"
            text = source_line(location.path, location.line)
            self.around.diagnostics.append(Diagnostic(location, message, "rename one of the two", text))
        return number

    def state_symbol(self) -> str:
        """The run time's ErrorState."""
        symbol = f"{runtime.__name__}.state"
        if symbol not in self.around.variables:
            kind = types.StructType(runtime.ErrorState)
            self.around.variables[symbol] = tree.Variable(symbol, kind, runtime.state, constant=False)
        return symbol

    # The run time

    def call_runtime(self, writer: Writer, function: Any, values: list[str]) -> str:
        parameters, result = signature_of(function, self.around, source.definition_of(function)[1])
        assert isinstance(writer, Statements)
        return writer.call_flat(self.function(function), result, [kind for _, kind in parameters], values)

    def site(self, location: Location) -> str:
        return str(self.file_number(location) << 16 | min(location.line, 0xFFFF))

    def fail(self, writer: Writer, error: str, location: Location) -> None:
        if self.letters:
            self.raise_letter(writer, ord(VIOLATION_LETTER))
            return
        self.call_runtime(writer, getattr(runtime, error), [self.site(location)])

    def raise_letter(self, writer: Writer, letter: int) -> None:
        assert isinstance(writer, Statements)
        writer.call_flat(self.function(self.providers["raise"]), types.NEVER, [types.U8], [str(letter)])

    def attempt(self, writer: Writer, body: str) -> str:
        """Call a try's body; how it ended."""
        word = self.lowering.word
        function = runtime.attempt64 if self.lowering.pointer_bytes == 8 else runtime.attempt32
        state = quoted(self.state_symbol())
        values = [writer.new(f"ptrtoint ptr {value} to {word}") for value in (body, "%frame", state)]
        return self.call_runtime(writer, function, values)

    def outline(self, writer: Statements, node: tree.Try) -> str:
        """Make a function of a try's body; it works in the frame of the function around."""
        self.outlined += 1
        symbol = f"{writer.body.symbol}.try{self.outlined}"
        scope = self.debug.function("try", symbol, self.path_of(writer.body.function), node.location.line)
        inner = Statements(self, writer.body, scope)
        inner.frame, inner.loops, inner.depth, inner.count = writer.frame, list(writer.loops), writer.depth + 1, 0
        inner.at(node.location)
        inner.block(node.body)
        if not inner.terminated:
            inner.end("ret i32 0")
        [(kind, attributes)] = self.lowering.parameters([types.usize_of(self.lowering.pointer_bytes)])
        del kind
        head = f"define internal i32 {quoted(symbol)}(ptr {attributes} %frame) {self.attributes(writer.body)}"
        text = [f"{head}{self.section(symbol)} !dbg !{scope} {{", "entry:", *inner.entry, *inner.lines, "}"]
        self.definitions.append("\n".join(text))
        return quoted(symbol)

    def result_local(self, body: tree.Body) -> tree.Local:
        return self.results.setdefault(body.symbol, tree.Local("", body.result, body.location))

    # The host

    def host_read(self, writer: Writer, address: str, kind: str, cell: types.Cell) -> str:
        return self.glue.read_memory(writer, address, kind, cell)

    def host_write(self, writer: Writer, address: str, kind: str, value: str, cell: types.Cell) -> None:
        self.glue.write_memory(writer, address, kind, value, cell)

    def host_assembly(self, writer: Any, node: tree.Assembly) -> str:
        return self.glue.assembly(writer, node)

    def host_intrinsic(self, writer: Any, node: tree.Intrinsic, values: list[str]) -> str:
        return self.glue.intrinsic(writer, node, values)

    # Functions

    def attributes(self, body: tree.Body) -> str:
        words = ["nounwind", "null_pointer_is_valid"]  # at address 0 is memory, such as the BIOS's interrupt vectors
        if not body.speed:
            words += ["minsize", "optsize"]
        if self.around.target == "long64":
            words.append("noredzone")
        match body.function.options.inline:
            case True:
                words.append("alwaysinline")
            case False:
                words.append("noinline")
        return " ".join(words)

    def section(self, symbol: str, wanted: str = "") -> str:
        if self.host:
            return ""
        return f' section "{wanted or f".text.{symbol}"}" align 1'

    def is_public(self, function: functions.Function) -> bool:
        """Whether other objects may refer to a function."""
        shared = self.runtime == "shared" and function.__module__ == runtime.__name__
        return bool(shared or function in self.roots or function.options.symbol or function.options.section)

    def head(self, body: tree.Body, parameters: str, scope: int) -> str:
        function = body.function
        options = function.options
        public = self.is_public(function)
        linkage = "" if public else "internal "
        words = self.attributes(body)
        if isinstance(body.result, types.NeverType):
            words += " noreturn"
            if self.around.target == "real16":
                words += ' "no_callee_saved_registers"'  # nobody is left to miss them, and a boot sector is small
        if function.__module__ == runtime.__name__ and function.__name__.endswith("_error"):
            words += " cold"
        result = self.lowering.value(body.result)
        section = self.section(body.symbol, options.section)
        return f"define {linkage}{result} {quoted(body.symbol)}({parameters}) {words}{section} !dbg !{scope}"

    def naked(self, body: tree.Body, scope: int) -> str:
        """A function that is assembly alone."""
        assert body.assembly is not None
        lowered = self.lowering.parameters([local.type for local in body.parameters])
        parameters = ", ".join(f"{kind} {attributes}".strip() for kind, attributes in lowered)
        words = f"naked noinline {self.attributes(body).replace(' noinline', '')}"
        function = body.function
        public = self.is_public(function)
        head = (
            f"define {'' if public else 'internal '}{self.lowering.value(body.result)} "
            f"{quoted(body.symbol)}({parameters}) {words}{self.section(body.symbol, function.options.section)}"
        )
        code = text_constant(self.assembly_text(body.assembly, body.assembly_location or body.location).encode())[1:]
        place = self.debug.location(scope, body.location)
        call = f'  call void asm sideeffect inteldialect {code}, ""(), !dbg !{place}'
        return f"{head} !dbg !{scope} {{\nentry:\n{call}\n  unreachable\n}}"

    def assembly_text(self, parts: list[str | tree.Variable | functions.Function], location: Location) -> str:
        """The text of an asm, its symbols filled in; each line ends with a comment that names its source line."""
        text = ""
        for part in parts:
            if isinstance(part, str):
                text += part
            else:
                symbol = part.symbol
                if isinstance(part, functions.Function):
                    symbol = self.function(part)[2:-1]
                self.used[symbol] = None
                text += symbol
        lines: list[str] = []
        for number, line in enumerate(text.splitlines()):
            if line.strip():
                lines.append(f"{line.strip().replace('$', '$$')} # {location.path}:{location.line + number}")
        return "\n".join(lines)

    def show_run_time(self) -> None:
        """Compile all of the run time that other objects may call."""
        other = "32" if self.lowering.pointer_bytes == 8 else "64"
        for value in vars(runtime).values():
            own = isinstance(value, functions.Function) and value.__module__ == runtime.__name__
            if own and not value.__name__.endswith(other):
                self.around.want(value)
        self.state_symbol()

    def want_pointed(self) -> None:
        """Compile the functions that data points to."""
        for variable in list(self.around.variables.values()):
            for pointed in pointed_functions(variable.value):
                self.around.want(pointed)

    def take_placed(self, module_name: str) -> None:
        """Take in what a module has placed in sections of its own: it belongs to every unit that uses its code."""
        if module_name in self.placed_modules or self.host:
            return
        self.placed_modules.add(module_name)
        owner = source.source_of(module_name)
        for name, value in vars(owner.module).items():
            section = memory.section_of(value)
            if section and source.home_of(module_name, name) == (module_name, name):
                scope = Scope(self.around, owner, runtime_function())
                found = scope.member(owner.module, name, owner.variables[name].node, own=True)
                assert isinstance(found, tree.VariableAddress)
                self.used[found.variable.symbol] = None

    def define(self, body: tree.Body) -> None:
        line = body.location.line
        scope = self.debug.function(body.function.__qualname__, body.symbol, self.path_of(body.function), line)
        if body.assembly is not None:
            self.definitions.append(self.naked(body, scope))
        else:
            self.definitions.append(Statements(self, body, scope).function())

    # The module

    def data(self) -> list[str]:
        writer = Data(self.lowering, self.pointed)
        lines: list[str] = []
        done: set[str] = set()
        while len(done) < len(self.around.variables):
            for symbol, variable in list(self.around.variables.items()):
                if symbol in done:
                    continue
                done.add(symbol)
                shared = self.runtime == "foreign" and variable.value is runtime.state
                if shared or (self.host and not variable.constant):
                    lines.append(f"{quoted(symbol)} = external global i8")
                else:
                    public = self.runtime == "shared" and variable.value is runtime.state
                    lines.append(writer.global_variable(variable, public=public))
        return lines

    def pointed(self, value: Any) -> str:
        """The symbol of what a pointer in constant data stands for."""
        if isinstance(value, functions.Function):
            return self.function(value)
        known = next((v for v in self.around.variables.values() if v.value is value), None)
        if known is None:
            from bootslang.slang import memory, words

            symbol = f"slang.data.{len(self.around.variables)}"
            if isinstance(value, words.Struct):
                kind: types.Type = types.StructType(type(value))
            else:
                kind = types.ArrayType(memory.generic_element(value, self.lowering.pointer_bytes), len(value))
            known = tree.Variable(symbol, kind, value, constant=True)
            self.around.variables[symbol] = known
        return quoted(known.symbol)

    def text_section(self, number: int) -> str:
        return "" if self.host else f', section ".rodata.slang.text.{number}"'

    def constants(self) -> list[str]:
        lines = []
        for number, (data, name) in enumerate(self.texts.items()):
            value = f"[{len(data)} x i8] {text_constant(data)}{self.text_section(number)}"
            lines.append(f"{name} = private unnamed_addr constant {value}, align 1")
        if self.used:
            names = ", ".join(f"ptr {quoted(symbol)}" for symbol in self.used)
            kind = f"[{len(self.used)} x ptr]"
            lines.append(f'@llvm.compiler.used = appending global {kind} [{names}], section "llvm.metadata"')
        return lines

    def file_table(self) -> list[str]:
        """The names of the source files that errors of this unit tell, in the set that the run time searches."""
        if self.host or self.letters:
            return []
        lines = []
        for number, name in self.files.items():
            symbol = f"slang.file.{name}"
            text = name.encode()[-runtime.LONGEST_FILE_NAME :]
            data = number.to_bytes(2, "little") + bytes([len(text)]) + text
            value = f"[{len(data)} x i8] {text_constant(data)}"
            section = f".set.{runtime.FILES}.{name}"
            lines.append(f'{quoted(symbol)} = internal constant {value}, section "{section}", align 1')
            self.used[symbol] = None
        return lines

    def module(self) -> str:
        files = self.file_table()
        data = self.data()
        flags = ['!{i32 7, !"Dwarf Version", i32 4}', '!{i32 2, !"Debug Info Version", i32 3}']
        if self.lowering.regparm:
            flags.append('!{i32 1, !"NumRegisterParameters", i32 3}')
        numbers = [f"!{self.debug.add(flag)}" for flag in flags]
        parts = [
            *data,
            *self.constants(),
            *files,
            *self.definitions,
            *self.glue.definitions(),
            *self.declarations.values(),
            f"!llvm.dbg.cu = !{{!{self.debug.unit}}}",
            f"!llvm.module.flags = !{{{', '.join(numbers)}}}",
            self.debug.text(),
        ]
        return "\n".join(parts) + "\n"


def emit_unit(
    name: str,
    around: Surroundings,
    roots: Iterable[functions.Function],
    providers: dict[str, functions.Function],
    *,
    run_time: RunTime = "own",
    thunks: bool = False,
    modules: Iterable[str] = (),
) -> str:
    """Check and emit `roots` and all that they need; the text of the module.

    Findings are in `around.diagnostics` afterwards; the text is then of no use. `thunks` adds what CPython calls;
    what `modules` have placed in sections of their own is part of the unit in any case.
    """
    unit = Unit(name, around, providers, run_time=run_time)
    for root in roots:
        unit.roots.add(root)
        around.want(root)
    if thunks:
        unit.glue.begin(list(unit.roots))
    for module in modules:
        unit.take_placed(module)
    unit.want_pointed()
    if run_time == "shared":
        unit.show_run_time()
    position = 0
    while position < len(around.wanted):
        function = around.wanted[position]
        position += 1
        unit.take_placed(function.__module__)
        body = check_function(function, around)
        if body is not None and not around.diagnostics:
            unit.define(body)
        unit.want_pointed()
    return unit.module() if not around.diagnostics else ""


def runtime_function() -> functions.Function:
    """Some function: a scope needs one to say whose names it knows."""
    found: Any = runtime.put
    assert isinstance(found, functions.Function)
    return found


@cache
def error_path(path: str) -> str:
    """A source file as error messages on the machine name it: short, and the same wherever it is installed."""
    return package_path(path) or Path(path).name


@cache
def debug_path(path: str) -> str:
    """A source file as the debugger names it: from the package's folder on, so that objects are the same everywhere."""
    inside = package_path(path)
    return f"{PACKAGE.name}/{inside}" if inside else path


def package_path(path: str) -> str:
    """Where a file lies within the package; the empty text if it does not."""
    full = Path(path).absolute()
    return full.relative_to(PACKAGE).as_posix() if full.is_relative_to(PACKAGE) else ""
