"""What only host code has: calls from CPython in, and calls out to the fake machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from bootslang.slang import memory, runtime, source, tree, types
from bootslang.slang.check.scope import signature_of
from bootslang.slang.emit.data import Data, pointed_functions
from bootslang.slang.emit.lower import quoted, text_constant

if TYPE_CHECKING:
    from bootslang.slang.emit.unit import Unit
    from bootslang.slang.function import Function

WRITE, READ_PORT, WRITE_PORT, READ_MEMORY, WRITE_MEMORY, ASSEMBLY = range(6)
CALLBACKS = 6
TABLE = '@"slang.host.callbacks"'
FAILED = '@"slang.host.failed"'
SIGNATURES = {
    WRITE: "void (ptr, i64)",
    READ_PORT: "i64 (i64, i64)",
    WRITE_PORT: "void (i64, i64, i64)",
    READ_MEMORY: "i64 (i64, i64)",
    WRITE_MEMORY: "void (i64, i64, i64)",
    ASSEMBLY: "void (ptr, i64, ptr, i64, ptr)",
}
ASSEMBLY_OF = {
    "cpuid": ("cpuid", ("eax", "ecx"), ("eax", "ebx", "ecx", "edx")),
    "read_tsc": ("rdtsc", (), ("eax", "edx")),
    "read_msr": ("rdmsr", ("ecx",), ("eax", "edx")),
    "write_msr": ("wrmsr", ("ecx", "eax", "edx"), ()),
    "pause": ("pause", (), ()),
    "read_cr0": ("mov rax, cr0", (), ("rax",)),
    "read_cr2": ("mov rax, cr2", (), ("rax",)),
    "read_cr3": ("mov rax, cr3", (), ("rax",)),
    "read_cr4": ("mov rax, cr4", (), ("rax",)),
    "write_cr0": ("mov cr0, rax", ("rax",), ()),
    "write_cr3": ("mov cr3, rax", ("rax",), ()),
    "write_cr4": ("mov cr4, rax", ("rax",), ()),
}
"""What the fake machine is asked for each of the machine's own operations."""
PORT_SIZES = {"inb": 1, "inw": 2, "inl": 4, "outb": 1, "outw": 2, "outl": 4}


def thunk_name(function: Function) -> str:
    """The symbol through which CPython calls a function."""
    return f"slang.call.{function.symbol}"


def parts_of(kind: types.Type, path: str = "") -> list[tuple[str, types.Type]]:
    """The words that a result consists of: where each is in LLVM's aggregate, and its type."""
    match kind:
        case types.SpanType():
            return [(f"{path}0", types.PtrType(kind.element)), (f"{path}1", types.U64)]
        case types.TupleType(items):
            return [part for index, item in enumerate(items) for part in parts_of(item, f"{path}{index}, ")]
        case _:
            return [(path.removesuffix(", "), kind)]


def address_name(function: Function) -> str:
    """The symbol of a constant that holds a function's address."""
    return f"slang.address.{function.symbol}"


class HostGlue:
    """Thunks and callbacks of one unit."""

    def __init__(self, unit: Unit) -> None:
        self.unit = unit
        self.thunked: list[Function] = []
        self.sets: dict[str, str] = {}

    def begin(self, functions: list[Function]) -> None:
        """Name the functions that CPython will call."""
        self.thunked = sorted(functions, key=lambda function: function.symbol)
        for function in (runtime.raise_error, runtime.attempt64, runtime.unwind64, runtime.halt_error):
            self.unit.function(function)
        self.unit.roots.add(cast("Function", runtime.attempt64))  # CPython calls it: it has to outlive the optimiser

    # Calls out

    def callback(self, writer: Any, number: int, values: list[str]) -> str:
        """Call into CPython; if that failed, unwind."""
        signature = SIGNATURES[number]
        result, _, parameters = signature.partition(" ")
        kinds = parameters.strip("()").split(", ")
        place = writer.new(f"getelementptr ptr, ptr {TABLE}, i64 {number}")
        target = writer.new(f"load ptr, ptr {place}")
        given = ", ".join(f"{kind} {value}" for kind, value in zip(kinds, values, strict=True))
        text = f"call {result} {target}({given})"
        value = ""
        if result == "void":
            writer.put(text)
        else:
            value = writer.new(text)
        writer.put('call void @"slang.host.check"()')
        return value

    def as_word(self, writer: Any, value: str, kind: str) -> str:
        if kind == "ptr":
            return str(writer.new(f"ptrtoint ptr {value} to i64"))
        return value if kind == "i64" else str(writer.new(f"zext {kind} {value} to i64"))

    def from_word(self, writer: Any, value: str, kind: str) -> str:
        if kind == "ptr":
            return str(writer.new(f"inttoptr i64 {value} to ptr"))
        return value if kind == "i64" else str(writer.new(f"trunc i64 {value} to {kind}"))

    def size(self, cell: types.Cell) -> str:
        return str(types.size_of(cell.type, self.unit.lowering.pointer_bytes))

    def read_memory(self, writer: Any, address: str, kind: str, cell: types.Cell) -> str:
        place = self.as_word(writer, address, "ptr")
        return self.from_word(writer, self.callback(writer, READ_MEMORY, [place, self.size(cell)]), kind)

    def write_memory(self, writer: Any, address: str, kind: str, value: str, cell: types.Cell) -> None:
        place = self.as_word(writer, address, "ptr")
        self.callback(writer, WRITE_MEMORY, [place, self.size(cell), self.as_word(writer, value, kind)])

    def assembly(self, writer: Any, node: tree.Assembly) -> str:
        code = "".join(part if isinstance(part, str) else part.symbol for part in node.code)
        given: dict[str, str] = {}
        for name, value in node.inputs.items():
            given[name] = self.as_word(writer, writer.value(value), self.unit.lowering.value(value.type))
        outputs = self.run(writer, code, given, node.outputs)
        assert isinstance(node.type, types.TupleType)
        items = []
        for word, kind in zip(outputs, node.type.items, strict=True):
            low = self.unit.lowering.value(kind)
            items.append((low, self.from_word(writer, word, low)))
        return str(writer.aggregate(self.unit.lowering.value(node.type), items)) if items else "undef"

    def run(self, writer: Any, code: str, given: dict[str, str], outputs: list[str]) -> list[str]:
        """Let the fake machine stand in for assembly: values in and out through an array of words."""
        names = f"{','.join(given)}|{','.join(outputs)}".encode()
        values = writer.storage(8 * max(1, len(given), len(outputs)))
        for index, value in enumerate(given.values()):
            place = writer.new(f"getelementptr i64, ptr {values}, i64 {index}")
            writer.put(f"store i64 {value}, ptr {place}")
        text = code.encode()
        arguments = [self.unit.text(text), str(len(text)), self.unit.text(names), str(len(names)), values]
        self.callback(writer, ASSEMBLY, arguments)
        found = []
        for index in range(len(outputs)):
            place = writer.new(f"getelementptr i64, ptr {values}, i64 {index}")
            found.append(str(writer.new(f"load i64, ptr {place}")))
        return found

    def intrinsic(self, writer: Any, node: tree.Intrinsic, values: list[str]) -> str:
        kinds = [self.unit.lowering.value(argument.type) for argument in node.arguments]
        words = [self.as_word(writer, value, kind) for value, kind in zip(values, kinds, strict=True)]
        if node.name in PORT_SIZES:
            size = str(PORT_SIZES[node.name])
            if node.name.startswith("in"):
                value = self.callback(writer, READ_PORT, [words[0], size])
                return self.from_word(writer, value, self.unit.lowering.value(node.type))
            self.callback(writer, WRITE_PORT, [words[0], size, words[1]])
            return ""
        if node.name == "halt":
            writer.fail("halt_error", node.location)
            return ""
        return self.machine_operation(writer, node, words)

    def machine_operation(self, writer: Any, node: tree.Intrinsic, words: list[str]) -> str:
        code, inputs, outputs = ASSEMBLY_OF[node.name]
        if node.name == "write_msr":
            words = [words[0], writer.new(f"and i64 {words[1]}, 4294967295"), writer.new(f"lshr i64 {words[1]}, 32")]
        results = self.run(writer, code, dict(zip(inputs, words, strict=True)), list(outputs))
        match node.type:
            case types.TupleType():
                items = [("i32", str(writer.new(f"trunc i64 {value} to i32"))) for value in results]
                return str(writer.aggregate(self.unit.lowering.value(node.type), items))
            case types.NoneKind():
                return ""
        if len(results) == 1:
            return results[0]
        low = writer.new(f"and i64 {results[0]}, 4294967295")
        high = writer.new(f"shl i64 {results[1]}, 32")
        return str(writer.new(f"or i64 {low}, {high}"))

    # Sets

    def set_bound(self, name: str) -> str:
        """Where a set of placed values starts or stops: on the host the unit carries all that are known."""
        start, set_name = name.split("_set_")
        prefix = f".set.{set_name}."
        placed = sorted((p for p in memory.PLACED if p.section.startswith(prefix)), key=lambda p: p.section)
        writer = Data(self.unit.lowering, self.unit.pointed)
        pieces: list[bytes | str] = []
        for item in placed:
            value: Any = item.value
            pieces += writer.pieces(value, types.Cell(types.StructType(type(value))))
            for pointed in memory.view_of(value).references.values():
                if hasattr(pointed, "symbol"):
                    self.unit.function(pointed)
        kind, initial = writer.initialiser(pieces)
        symbol = f"slang.set.{set_name}"
        self.sets[symbol] = f"{quoted(symbol)} = internal constant {kind} {initial}, align 1"
        if start.endswith("start"):
            return quoted(symbol)
        size = sum(8 if isinstance(piece, str) else len(piece) for piece in pieces)
        return f"getelementptr (i8, ptr {quoted(symbol)}, i64 {size})"

    # Calls in

    def definitions(self) -> list[str]:
        if not self.unit.host:
            return []
        self.unit.state_symbol()
        return [
            f"{TABLE} = external global [{CALLBACKS} x ptr]",
            f"{FAILED} = external global i8",
            *self.sets.values(),
            *self.addresses(),
            *self.hooks(),
            *(self.thunk(function) for function in self.thunked),
        ]

    def addresses(self) -> list[str]:
        """Where the functions are that variables point to: CPython puts them into the variables' bytes."""
        found = [item for v in self.unit.around.variables.values() for item in pointed_functions(v.value)]
        return [
            f"{quoted(address_name(item))} = constant ptr {self.unit.function(item)}" for item in dict.fromkeys(found)
        ]

    def hooks(self) -> list[str]:
        raise_error = quoted(runtime.raise_error.symbol) if hasattr(runtime.raise_error, "symbol") else ""
        return [
            'define internal void @"slang.host.check"() {',
            f"  %failed = load i8, ptr {FAILED}",
            "  %bad = icmp ne i8 %failed, 0",
            "  br i1 %bad, label %raise, label %done",
            "raise:",
            f"  call void {raise_error}()",
            "  unreachable",
            "done:",
            "  ret void",
            "}",
            'define internal void @"slang.host.write"(ptr %text, i64 %length) {',
            f"  %target = load ptr, ptr {TABLE}",
            "  call void %target(ptr %text, i64 %length)",
            '  call void @"slang.host.check"()',
            "  ret void",
            "}",
            'define internal void @"slang.host.stop"() {',
            "  call void @llvm.trap()",
            "  unreachable",
            "}",
            "declare void @llvm.trap()",
        ]

    def thunk(self, function: Function) -> str:
        """A function that takes its arguments from an array of words, and puts its results there."""
        low = self.unit.lowering
        parameters, result = signature_of(function, self.unit.around, source.definition_of(function)[1])
        lines: list[str] = []
        given: list[str] = []
        for index, (kind, attributes) in enumerate(low.parameters([kind for _, kind in parameters])):
            lines.append(f"  %s{index} = getelementptr i64, ptr %words, i64 {index}")
            wide = "ptr" if kind == "ptr" else "i64"
            lines.append(f"  %w{index} = load {wide}, ptr %s{index}")
            name = f"%w{index}"
            if kind not in {"ptr", "i64"}:
                lines.append(f"  %n{index} = trunc i64 %w{index} to {kind}")
                name = f"%n{index}"
            given.append(f"{kind} {attributes} {name}".replace("  ", " "))
        called = f"{low.value(result)} {self.unit.function(function)}({', '.join(given)})"
        if isinstance(result, (types.NoneKind, types.NeverType)):
            lines.append(f"  call {called}")
        else:
            lines.append(f"  %result = call {called}")
            lines += self.store_result(result)
        name = quoted(thunk_name(function))
        return "\n".join([f"define i32 {name}(ptr %words) {{", *lines, "  ret i32 0", "}"])

    def store_result(self, result: types.Type) -> list[str]:
        low = self.unit.lowering
        if not isinstance(result, (types.TupleType, types.SpanType)):
            return self.store_word("%result", result, 0)
        lines = []
        for index, (path, kind) in enumerate(parts_of(result)):
            lines.append(f"  %r{index} = extractvalue {low.value(result)} %result, {path}")
            lines += self.store_word(f"%r{index}", kind, index)
        return lines

    def store_word(self, value: str, kind: types.Type, index: int) -> list[str]:
        low = self.unit.lowering.value(kind)
        lines = [f"  %o{index} = getelementptr i64, ptr %words, i64 {index}"]
        if low in {"ptr", "i64"}:
            return [*lines, f"  store {low} {value}, ptr %o{index}"]
        extend = "sext" if isinstance(kind, types.IntType) and kind.signed else "zext"
        return [*lines, f"  %x{index} = {extend} {low} {value} to i64", f"  store i64 %x{index}, ptr %o{index}"]


__all__ = ["CALLBACKS", "FAILED", "TABLE", "HostGlue", "address_name", "text_constant", "thunk_name"]
