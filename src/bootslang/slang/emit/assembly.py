"""Inline assembly and the machine's own operations."""

from __future__ import annotations

from dataclasses import dataclass

from bootslang.slang import tree, types
from bootslang.slang.check.assembly import FAMILIES, FLAGS, REGISTER_TYPES
from bootslang.slang.emit.lower import text_constant
from bootslang.slang.emit.writer import Writer
from bootslang.slang.machine import REGISTER_NAMES

WIDTH_INDEX = {64: 0, 32: 1, 16: 2, 8: 3}
PORT_SIZES = {"inb": 8, "inw": 16, "inl": 32, "outb": 8, "outw": 16, "outl": 32}
ACCUMULATOR = {8: "al", 16: "ax", 32: "eax"}
ALWAYS_CLOBBERED = "~{dirflag},~{fpsr},~{flags}"


@dataclass
class Register:
    """One machine register that a piece of assembly uses, at the width that covers all of its parts."""

    family: str
    bits: int
    high_only: bool = False

    @property
    def name(self) -> str:
        names = REGISTER_NAMES[self.family]
        return names[4] if self.high_only else names[WIDTH_INDEX[self.bits]]


def is_high(name: str) -> bool:
    return name in {"ah", "bh", "ch", "dh"}


def register_of(family: str, parts: list[str]) -> Register:
    if len(set(parts)) == 1 and is_high(parts[0]):
        return Register(family, 8, high_only=True)
    bits = max(16 if is_high(part) else REGISTER_TYPES[part].bits for part in parts)
    return Register(family, max(bits, 16) if len(REGISTER_NAMES[family]) < 4 else bits)


class AssemblyWriter(Writer):
    """Constraint texts, and values in and out of registers."""

    def value(self, node: tree.Expression) -> str:
        raise NotImplementedError

    def span(self, node: tree.Expression) -> tuple[str, str]:
        raise NotImplementedError

    def aggregate(self, kind: str, values: list[tuple[str, str]]) -> str:
        raise NotImplementedError

    def store_at(self, address: str, value: str, cell: types.Cell) -> None:
        raise NotImplementedError

    def assembly(self, node: tree.Assembly) -> str:
        if self.unit.host:
            return self.unit.host_assembly(self, node)
        parts: dict[str, list[str]] = {}
        for name in [*node.inputs, *node.outputs]:
            if name not in FLAGS:
                parts.setdefault(FAMILIES[name], []).append(name)
        registers = {family: register_of(family, names) for family, names in parts.items()}
        inputs = {family: self.combined(node, register) for family, register in registers.items()}
        flags = [name for name in node.outputs if name in FLAGS]
        outputs = [(f"i{register.bits}", f"={{{register.name}}}") for register in registers.values()]
        outputs += [("i32", f"={{@cc{FLAGS[name]}}}") for name in flags]
        given = {family: value for family, value in inputs.items() if value is not None}
        constraints = [constraint for _, constraint in outputs]
        constraints += [f"{{{registers[family].name}}}" for family in given]
        constraints += [f"~{{{name}}}" for name in node.clobbers if name not in {"cc", "flags"}] + [ALWAYS_CLOBBERED]
        arguments = ", ".join(f"i{registers[family].bits} {value}" for family, value in given.items())
        kinds = [kind for kind, _ in outputs]
        text = self.unit.assembly_text(node.code, node.location)
        results = self.run(text, ",".join(constraints), kinds, arguments, cookie=self.unit.debug.cookie())
        return self.results(node, registers, flags, results)

    def run(
        self, code: str, constraints: str, kinds: list[str], arguments: str, *, cookie: int | None = None
    ) -> list[str]:
        """Write an assembly call; the names of its results. LLVM names `cookie` where it cannot take the operands."""
        kind = "void" if not kinds else kinds[0] if len(kinds) == 1 else "{" + ", ".join(kinds) + "}"
        text = (
            f'call {kind} asm sideeffect inteldialect {text_constant(code.encode())[1:]}, "{constraints}"({arguments})'
        ) + ("" if cookie is None else f", !srcloc !{cookie}")
        if not kinds:
            self.put(text)
            return []
        whole = self.new(text)
        if len(kinds) == 1:
            return [whole]
        return [self.new(f"extractvalue {kind} {whole}, {index}") for index in range(len(kinds))]

    def combined(self, node: tree.Assembly, register: Register) -> str | None:
        """The value that goes into a register, put together from the parts that are given."""
        names = [name for name in node.inputs if FAMILIES[name] == register.family]
        if not names:
            return None
        kind = f"i{register.bits}"
        result: str | None = None
        for name in names:
            value = self.value(node.inputs[name])
            have = self.low.value(node.inputs[name].type)
            if have != kind:
                value = self.new(f"zext {have} {value} to {kind}")
            if is_high(name) and not register.high_only:
                value = self.new(f"shl {kind} {value}, 8")
            result = value if result is None else self.new(f"or {kind} {result}, {value}")
        return result

    def results(self, node: tree.Assembly, registers: dict[str, Register], flags: list[str], values: list[str]) -> str:
        """The outputs that were asked for, as a tuple."""
        by_family = dict(zip(registers, values, strict=False))
        by_flag = dict(zip(flags, values[len(registers) :], strict=True))
        items: list[tuple[str, str]] = []
        for name in node.outputs:
            if name in FLAGS:
                items.append(("i1", self.new(f"icmp ne i32 {by_flag[name]}, 0")))
                continue
            register = registers[FAMILIES[name]]
            value, bits = by_family[register.family], REGISTER_TYPES[name].bits
            if is_high(name) and not register.high_only:
                value = self.new(f"lshr i{register.bits} {value}, 8")
            if bits < register.bits:
                value = self.new(f"trunc i{register.bits} {value} to i{bits}")
            items.append((f"i{bits}", value))
        return self.aggregate(self.low.value(node.type), items) if items else "undef"

    # Intrinsics

    def intrinsic(self, node: tree.Intrinsic) -> str:
        plain = {"min", "max", "abs", "rotate_left", "rotate_right", "fill"}
        if node.name in plain:
            return self.arithmetic_intrinsic(node)
        values = [self.value(argument) for argument in node.arguments]
        if self.unit.host:
            return self.unit.host_intrinsic(self, node, values)
        return self.machine_intrinsic(node, values)

    def arithmetic_intrinsic(self, node: tree.Intrinsic) -> str:
        if node.name == "fill":
            return self.fill(node)
        kind = self.low.value(node.type)
        values = [self.value(argument) for argument in node.arguments]
        signed = isinstance(node.type, types.IntType) and node.type.signed
        match node.name:
            case "min" | "max":
                name = f"llvm.{'s' if signed else 'u'}{node.name}.{kind}"
                called = self.unit.intrinsic(name, f"{kind} ({kind}, {kind})")
                return self.new(f"call {kind} {called}({kind} {values[0]}, {kind} {values[1]})")
            case "abs":
                called = self.unit.intrinsic(f"llvm.abs.{kind}", f"{kind} ({kind}, i1)")
                return self.new(f"call {kind} {called}({kind} {values[0]}, i1 false)")
            case _:
                letter = "l" if node.name == "rotate_left" else "r"
                called = self.unit.intrinsic(f"llvm.fsh{letter}.{kind}", f"{kind} ({kind}, {kind}, {kind})")
                value, count = values
                return self.new(f"call {kind} {called}({kind} {value}, {kind} {value}, {kind} {count})")

    def fill(self, node: tree.Intrinsic) -> str:
        span, value = node.arguments
        assert isinstance(span.type, types.SpanType)
        start, length = self.span(span)
        filling = self.value(value)
        cell = span.type.element
        kind, word = self.low.memory(cell.type), self.low.word
        if cell.volatile:
            self.fill_loop(start, length, filling, cell)
            return ""
        if isinstance(value.type, types.BoolType):
            filling = self.new(f"zext i1 {filling} to i8")
        if kind == "i8" or filling == "0":
            size = length if kind == "i8" else self.new(f"mul {word} {length}, {int(kind[1:]) // 8}")
            name = self.unit.intrinsic(f"llvm.memset.p0.{word}", f"void (ptr, i8, {word}, i1)")
            self.put(f"call void {name}(ptr {start}, i8 {filling}, {word} {size}, i1 false)")
            return ""
        self.fill_loop(start, length, filling, cell)
        return ""

    def fill_loop(self, start: str, length: str, filling: str, cell: types.Cell) -> None:
        word, kind = self.low.word, self.low.memory(cell.type)
        counter = tree.Local("", self.low.usize, self.body.location)
        head, inside, done = self.fresh("fill"), self.fresh("each"), self.fresh("filled")
        self.store_local(counter, "0")
        self.label(head)
        at = self.load_local(counter)
        self.branch(self.new(f"icmp ult {word} {at}, {length}"), inside, done)
        self.label(inside)
        place = self.new(f"getelementptr {kind}, ptr {start}, {word} {at}")
        self.store_at(place, filling, cell)
        self.store_local(counter, self.new(f"add {word} {at}, 1"))
        self.jump(head)
        self.label(done)

    def machine_intrinsic(self, node: tree.Intrinsic, values: list[str]) -> str:
        name, word = node.name, self.low.word
        if name in PORT_SIZES:
            bits = PORT_SIZES[name]
            register = ACCUMULATOR[bits]
            if name.startswith("in"):
                return self.run(f"in {register}, dx", f"={{{register}}},{{dx}}", [f"i{bits}"], f"i16 {values[0]}")[0]
            self.run(f"out dx, {register}", f"{{dx}},{{{register}}}", [], f"i16 {values[0]}, i{bits} {values[1]}")
            return ""
        match name:
            case "cpuid":
                constraints = "={eax},={ebx},={ecx},={edx},{eax},{ecx}"
                arguments = f"i32 {values[0]}, i32 {values[1]}"
                results = self.run("cpuid", constraints, ["i32"] * 4, arguments)
                return self.aggregate(self.low.value(node.type), [("i32", value) for value in results])
            case "read_tsc":
                return self.two_halves(self.run("rdtsc", "={eax},={edx}", ["i32", "i32"], ""))
            case "read_msr":
                return self.two_halves(self.run("rdmsr", "={eax},={edx},{ecx}", ["i32", "i32"], f"i32 {values[0]}"))
            case "write_msr":
                self.write_msr(values)
                return ""
            case "pause":
                self.run("pause", "", [], "")
                return ""
            case "halt":
                return self.halt()
            case _:
                register = name.rpartition("_")[2]
                if name.startswith("read"):
                    return self.run(f"mov $0, {register}", "=r", [word], "")[0]
                self.run(f"mov {register}, $0", "r,~{memory}", [], f"{word} {values[0]}")
                return ""

    def two_halves(self, values: list[str]) -> str:
        low = self.new(f"zext i32 {values[0]} to i64")
        high = self.new(f"zext i32 {values[1]} to i64")
        return self.new(f"or i64 {low}, {self.new(f'shl i64 {high}, 32')}")

    def write_msr(self, values: list[str]) -> None:
        low = self.new(f"trunc i64 {values[1]} to i32")
        high = self.new(f"trunc i64 {self.new(f'lshr i64 {values[1]}, 32')} to i32")
        self.run("wrmsr", "{ecx},{eax},{edx},~{memory}", [], f"i32 {values[0]}, i32 {low}, i32 {high}")

    def halt(self) -> str:
        again = self.fresh("halt")
        self.run("cli", "~{memory}", [], "")
        self.label(again)
        self.run("hlt", "~{memory}", [], "")
        self.jump(again)
        return ""
