"""Expressions."""

from __future__ import annotations

from bootslang.slang import tree, types
from bootslang.slang.emit.assembly import AssemblyWriter
from bootslang.slang.emit.lower import quoted

ARITHMETIC = {"+": "add", "-": "sub", "*": "mul", "&": "and", "|": "or", "^": "xor"}
OVERFLOWING = {"+": "add", "-": "sub", "*": "mul"}
UNSIGNED = {"==": "eq", "!=": "ne", "<": "ult", "<=": "ule", ">": "ugt", ">=": "uge"}
SIGNED = {"==": "eq", "!=": "ne", "<": "slt", "<=": "sle", ">": "sgt", ">=": "sge"}


class Values(AssemblyWriter):
    """Every expression has a method that writes its instructions and gives its value's name."""

    def value(self, node: tree.Expression) -> str:  # noqa: C901, PLR0911, PLR0912 - one line for each kind of node
        """Evaluate; a span comes back as one aggregate."""
        if isinstance(node.type, types.SpanType):
            start, length = self.span(node)
            return self.aggregate(self.low.value(node.type), [("ptr", start), (self.low.word, length)])
        match node:
            case tree.Constant():
                return ("true" if node.value else "false") if isinstance(node.type, types.BoolType) else str(node.value)
            case tree.LocalValue():
                return self.load_local(node.local)
            case tree.VariableAddress():
                return quoted(node.variable.symbol)
            case tree.SymbolAddress():
                return self.unit.symbol(node.symbol)
            case tree.FunctionAddress():
                return self.unit.function(node.function)
            case tree.AddressOf():
                return self.address(node.place)
            case tree.Load():
                return self.load(node)
            case tree.ElementAddress():
                index = self.value(node.index)
                return self.scaled(self.value(node.base), index, node.size)
            case tree.CheckedElement():
                return self.checked_element(node)
            case tree.SpanLength():
                return self.span(node.span)[1]
            case tree.SpanAddress():
                return self.span(node.span)[0]
            case tree.Overlay():
                return self.overlay(node)
            case tree.Binary():
                return self.binary(node)
            case tree.Negate():
                return self.new(f"sub {self.low.value(node.type)} 0, {self.value(node.operand)}")
            case tree.Invert():
                return self.new(f"xor {self.low.value(node.type)} {self.value(node.operand)}, -1")
            case tree.Not():
                return self.new(f"xor i1 {self.value(node.operand)}, true")
            case tree.Truth():
                return self.new(f"icmp ne {self.low.value(node.operand.type)} {self.value(node.operand)}, 0")
            case tree.Compare():
                return self.compare(node)
            case tree.Logic():
                return self.logic(node)
            case tree.Choose():
                return self.choose(node)
            case tree.Convert():
                return self.convert(node)
            case tree.Call():
                return self.call(node)
            case tree.CallPointer():
                return self.call_pointer(node)
            case tree.Intrinsic():
                return self.intrinsic(node)
            case tree.MakeStruct():
                return self.make_struct(node)
            case tree.MakeArray():
                return self.make_array(node)
            case tree.MakeTuple():
                values = [(self.low.value(item.type), self.value(item)) for item in node.items]
                return self.aggregate(self.low.value(node.type), values)
            case tree.TupleItem():
                return self.new(f"extractvalue {self.low.value(node.base.type)} {self.value(node.base)}, {node.index}")
            case tree.Bind():
                self.bind(node)
                return self.value(node.body)
            case tree.Assembly():
                return self.assembly(node)
            case _:
                message = f"no instructions for {type(node).__name__}"
                raise AssertionError(message)

    def aggregate(self, kind: str, values: list[tuple[str, str]]) -> str:
        whole = "poison"
        for index, (item_kind, value) in enumerate(values):
            whole = self.new(f"insertvalue {kind} {whole}, {item_kind} {value}, {index}")
        return whole

    def bind(self, node: tree.Bind) -> None:
        for local, value in node.bindings:
            self.assign(local, value)

    def assign(self, local: tree.Local, value: tree.Expression) -> None:
        if isinstance(local.type, types.SpanType):
            self.store_span(local, *self.span(value))
        else:
            self.store_local(local, self.value(value))

    # Spans

    def span(self, node: tree.Expression) -> tuple[str, str]:
        """The address and the length of a span."""
        match node:
            case tree.LocalValue():
                return self.load_span(node.local)
            case tree.TextConstant():
                return self.unit.text(node.data), str(len(node.data))
            case tree.SpanMake():
                return self.pointer(node.address), self.value(node.count)
            case tree.Slice():
                return self.slice(node)
            case tree.SpanCast():
                return self.cast(node)
            case tree.Load():
                return self.load_stored_span(node)
            case tree.Bind():
                self.bind(node)
                return self.span(node.body)
            case tree.Choose():
                return self.choose_span(node)
            case tree.TupleItem():
                whole = self.value(node.base)
                inner = self.new(f"extractvalue {self.low.value(node.base.type)} {whole}, {node.index}")
            case tree.Call():
                inner = self.call(node)
            case tree.CallPointer():
                inner = self.call_pointer(node)
            case _:
                message = f"no span in {type(node).__name__}"
                raise AssertionError(message)
        kind = self.low.value(node.type)
        return self.new(f"extractvalue {kind} {inner}, 0"), self.new(f"extractvalue {kind} {inner}, 1")

    def pointer(self, node: tree.Expression) -> str:
        """An address: a number becomes a pointer."""
        value = self.value(node)
        if isinstance(node.type, types.IntType):
            return self.new(f"inttoptr {self.low.value(node.type)} {value} to ptr")
        return value

    def load_stored_span(self, node: tree.Load) -> tuple[str, str]:
        address = self.address(node.place)
        start = self.new(f"load ptr, ptr {address}, align 1")
        behind = self.new(f"getelementptr i8, ptr {address}, {self.low.word} {self.low.pointer_bytes}")
        return start, self.new(f"load {self.low.word}, ptr {behind}, align 1")

    def widest(self, *nodes: tree.Expression) -> str:
        bits = max(node.type.bits for node in nodes if isinstance(node.type, types.IntType))
        return f"i{max(bits, 8 * self.low.pointer_bytes)}"

    def widened(self, value: str, have: str, want: str) -> str:
        return value if have == want else self.new(f"zext {have} {value} to {want}")

    def word_of(self, value: str, have: str) -> str:
        """A number that is known to fit, as a word of the machine."""
        if have == self.low.word:
            return value
        operation = "trunc" if int(have[1:]) > int(self.low.word[1:]) else "zext"
        return self.new(f"{operation} {have} {value} to {self.low.word}")

    def checked_element(self, node: tree.CheckedElement) -> str:
        start, length = self.span(node.span)
        index = self.value(node.index)
        have = self.low.value(node.index.type)
        if not (index.isdigit() and length.isdigit() and int(index) < int(length)):
            wide = self.widest(node.index)
            left, right = self.widened(index, have, wide), self.widened(length, self.low.word, wide)
            self.fail_unless(self.new(f"icmp ult {wide} {left}, {right}"), "index_error", node.location)
        return self.scaled(start, index if index.isdigit() else self.word_of(index, have), node.size)

    def scaled(self, base: str, index: str, size: int) -> str:
        if index.isdigit():
            return self.new(f"getelementptr i8, ptr {base}, {self.low.word} {int(index) * size}")
        return self.new(f"getelementptr [{size} x i8], ptr {base}, {self.low.word} {index}")

    def slice(self, node: tree.Slice) -> tuple[str, str]:
        start, length = self.span(node.span)
        first = self.value(node.start)
        wide = self.widest(node.start, *([] if node.stop is None else [node.stop]))
        lower = self.widened(first, self.low.value(node.start.type), wide)
        whole = self.widened(length, self.low.word, wide)
        if node.length is not None:
            count = self.constant_slice(node, lower, whole, wide)
        elif node.stop is None:
            self.require(f"icmp ule {wide} {lower}, {whole}", node)
            count = self.new(f"sub {wide} {whole}, {lower}")
        else:
            upper = self.widened(self.value(node.stop), self.low.value(node.stop.type), wide)
            self.require(f"icmp ule {wide} {upper}, {whole}", node)
            if lower != "0":
                self.require(f"icmp ule {wide} {lower}, {upper}", node)
            count = upper if lower == "0" else self.new(f"sub {wide} {upper}, {lower}")
        address = start if lower == "0" else self.scaled(start, self.narrowed(lower, wide), node.element_size)
        return address, self.narrowed(count, wide)

    def narrowed(self, value: str, wide: str) -> str:
        return value if value.isdigit() else self.word_of(value, wide)

    def require(self, test: str, node: tree.Slice) -> None:
        self.fail_unless(self.new(test), "slice_error", node.location)

    def constant_slice(self, node: tree.Slice, lower: str, whole: str, wide: str) -> str:
        """`at <= len` and `len - at >= n`: a guard of that form in the source makes the second test vanish."""
        assert node.length is not None
        if lower.isdigit() and whole.isdigit():
            self.require(f"icmp ule {wide} {int(lower) + node.length}, {whole}", node)
            return str(node.length)
        if lower != "0":
            self.require(f"icmp ule {wide} {lower}, {whole}", node)
        rest = whole if lower == "0" else self.new(f"sub {wide} {whole}, {lower}")
        self.require(f"icmp uge {wide} {rest}, {node.length}", node)
        return str(node.length)

    def cast(self, node: tree.SpanCast) -> tuple[str, str]:
        start, length = self.span(node.span)
        if node.new_size in {0, node.old_size}:
            return start, length
        if length.isdigit():
            return start, str(int(length) * node.old_size // node.new_size)
        word = self.low.word
        if node.old_size != 1:
            length = self.new(f"mul {word} {length}, {node.old_size}")
        return start, self.new(f"udiv {word} {length}, {node.new_size}")

    def overlay(self, node: tree.Overlay) -> str:
        start, length = self.span(node.span)
        size = types.size_of(node.type, self.low.pointer_bytes)
        least = -(-size // max(1, node.element_size))
        if not (length.isdigit() and int(length) >= least):
            self.fail_unless(self.new(f"icmp uge {self.low.word} {length}, {least}"), "short_error", node.location)
        return start

    # Places

    def address(self, place: tree.Place) -> str:
        base = self.pointer(place.address)
        if place.offset == 0:
            return base
        return self.new(f"getelementptr i8, ptr {base}, {self.low.word} {place.offset}")

    def load(self, node: tree.Load) -> str:
        cell = node.place.cell
        address = self.address(node.place)
        kind = self.low.memory(cell.type)
        if cell.volatile and self.unit.host:
            value = self.unit.host_read(self, address, kind, cell)
        else:
            value = self.new(f"load {'volatile ' if cell.volatile else ''}{kind}, ptr {address}, align 1")
        if cell.big_endian:
            value = self.swapped(value, kind)
        return self.new(f"icmp ne i8 {value}, 0") if isinstance(cell.type, types.BoolType) else value

    def swapped(self, value: str, kind: str) -> str:
        if kind == "i8":
            return value
        name = self.unit.intrinsic(f"llvm.bswap.{kind}", f"{kind} ({kind})")
        return self.new(f"call {kind} {name}({kind} {value})")

    def store(self, place: tree.Place, node: tree.Expression) -> None:
        cell = place.cell
        if isinstance(cell.type, (types.StructType, types.ArrayType)):
            source = self.value(node)
            self.move(self.address(place), source, str(types.size_of(cell.type, self.low.pointer_bytes)))
            return
        if isinstance(cell.type, types.SpanType):
            start, length = self.span(node)
            address = self.address(place)
            behind = self.new(f"getelementptr i8, ptr {address}, {self.low.word} {self.low.pointer_bytes}")
            self.put(f"store ptr {start}, ptr {address}, align 1")
            self.put(f"store {self.low.word} {length}, ptr {behind}, align 1")
            return
        value = self.value(node)
        self.store_at(self.address(place), value, cell)

    def store_at(self, address: str, value: str, cell: types.Cell) -> None:
        """Store a scalar as its cell says."""
        kind = self.low.memory(cell.type)
        if isinstance(cell.type, types.BoolType):
            value = self.new(f"zext i1 {value} to i8")
        if cell.big_endian:
            value = self.swapped(value, kind)
        if cell.volatile and self.unit.host:
            self.unit.host_write(self, address, kind, value, cell)
        else:
            self.put(f"store {'volatile ' if cell.volatile else ''}{kind} {value}, ptr {address}, align 1")

    def move(self, target: str, source: str, size: str) -> None:
        """Copy bytes that may overlap."""
        word = self.low.word
        name = self.unit.intrinsic(f"llvm.memmove.p0.p0.{word}", f"void (ptr, ptr, {word}, i1)")
        self.put(f"call void {name}(ptr {target}, ptr {source}, {word} {size}, i1 false)")

    def clear(self, target: str, size: str) -> None:
        word = self.low.word
        name = self.unit.intrinsic(f"llvm.memset.p0.{word}", f"void (ptr, i8, {word}, i1)")
        self.put(f"call void {name}(ptr {target}, i8 0, {word} {size}, i1 false)")

    def make_struct(self, node: tree.MakeStruct) -> str:
        values = [(field, self.prepared(value)) for field, value in node.fields]
        size = types.size_of(node.type, self.low.pointer_bytes)
        address = self.storage(size)
        self.clear(address, str(size))
        base = tree.LocalValue(node.location, node.type, tree.Local("", node.type, node.location))
        self.store_local(base.local, address)
        for field, value in values:
            self.store(tree.Place(node.location, field.cell.type, base, field.cell, field.offset), value)
        return self.load_local(base.local)

    def prepared(self, value: tree.Expression) -> tree.Expression:
        """A value that is computed now and used later."""
        if isinstance(value, tree.Constant):
            return value
        local = tree.Local("", value.type, value.location)
        embedded = isinstance(value.type, (types.StructType, types.ArrayType))
        if embedded and not isinstance(value, (tree.MakeStruct, tree.MakeArray, tree.VariableAddress)):
            # It may lie in the very bytes that are about to be cleared: `node = Node(inner=node.inner)` in a loop.
            size = types.size_of(value.type, self.low.pointer_bytes)
            copy = self.storage(size)
            self.move(copy, self.value(value), str(size))
            self.store_local(local, copy)
        else:
            self.assign(local, value)
        return tree.LocalValue(value.location, value.type, local)

    def make_array(self, node: tree.MakeArray) -> str:
        size = types.size_of(node.type, self.low.pointer_bytes)
        address = self.storage(size)
        if node.data is None:
            self.clear(address, str(size))
        else:
            self.move(address, quoted(node.data.symbol), str(size))
        return address

    # Operators

    def binary(self, node: tree.Binary) -> str:
        kind = self.low.value(node.type)
        left, right = self.value(node.left), self.value(node.right)
        if node.op in {"<<", ">>"}:
            return self.shift(node, left, right)
        if node.op in {"//", "%"}:
            return self.divide(node, left, right)
        if node.checked:
            return self.overflowing(node, left, right)
        return self.new(f"{ARITHMETIC[node.op]} {kind} {left}, {right}")

    def signed(self, node: tree.Expression) -> bool:
        return isinstance(node.type, types.IntType) and node.type.signed

    def shift(self, node: tree.Binary, left: str, right: str) -> str:
        kind = self.low.value(node.type)
        have = self.low.value(node.right.type)
        if not right.isdigit():
            if int(have[1:]) != int(kind[1:]):
                operation = "trunc" if int(have[1:]) > int(kind[1:]) else "zext"
                right = self.new(f"{operation} {have} {right} to {kind}")
            right = self.new(f"and {kind} {right}, {int(kind[1:]) - 1}")
        operation = "shl" if node.op == "<<" else "ashr" if self.signed(node) else "lshr"
        return self.new(f"{operation} {kind} {left}, {right}")

    def divide(self, node: tree.Binary, left: str, right: str) -> str:
        kind = self.low.value(node.type)
        if not isinstance(node.right, tree.Constant):
            self.fail_unless(self.new(f"icmp ne {kind} {right}, 0"), "division_error", node.location)
        if not self.signed(node):
            return self.new(f"{'udiv' if node.op == '//' else 'urem'} {kind} {left}, {right}")
        return self.floored(node, kind, left, right)

    def floored(self, node: tree.Binary, kind: str, left: str, right: str) -> str:
        """Python rounds down, the machine towards zero; the least number by -1 would trap."""
        minus = self.new(f"icmp eq {kind} {right}, -1")
        safe = self.new(f"select i1 {minus}, {kind} 1, {kind} {right}")
        rest = self.new(f"srem {kind} {left}, {safe}")
        mixed = self.new(f"xor {kind} {rest}, {right}")
        opposite = self.new(f"icmp slt {kind} {mixed}, 0")
        some = self.new(f"icmp ne {kind} {rest}, 0")
        adjust = self.new(f"and i1 {opposite}, {some}")
        if node.op == "%":
            added = self.new(f"add {kind} {rest}, {right}")
            return self.new(f"select i1 {adjust}, {kind} {added}, {kind} {rest}")
        quotient = self.new(f"sdiv {kind} {left}, {safe}")
        negated = self.new(f"sub {kind} 0, {left}")
        quotient = self.new(f"select i1 {minus}, {kind} {negated}, {kind} {quotient}")
        lower = self.new(f"sub {kind} {quotient}, 1")
        return self.new(f"select i1 {adjust}, {kind} {lower}, {kind} {quotient}")

    def overflowing(self, node: tree.Binary, left: str, right: str) -> str:
        kind = self.low.value(node.type)
        letter = "s" if self.signed(node) else "u"
        name = f"llvm.{letter}{OVERFLOWING[node.op]}.with.overflow.{kind}"
        called = self.unit.intrinsic(name, f"{{{kind}, i1}} ({kind}, {kind})")
        both = self.new(f"call {{{kind}, i1}} {called}({kind} {left}, {kind} {right})")
        over = self.new(f"extractvalue {{{kind}, i1}} {both}, 1")
        good = self.new(f"xor i1 {over}, true")
        self.fail_unless(good, "overflow_error", node.location)
        return self.new(f"extractvalue {{{kind}, i1}} {both}, 0")

    def compare(self, node: tree.Compare) -> str:
        table = SIGNED if self.signed(node.left) else UNSIGNED
        left = self.value(node.left)
        return self.new(f"icmp {table[node.op]} {self.low.value(node.left.type)} {left}, {self.value(node.right)}")

    def logic(self, node: tree.Logic) -> str:
        result = tree.Local("", types.BOOL, node.location)
        done = self.fresh("done")
        for index, operand in enumerate(node.operands):
            value = self.value(operand)
            self.store_local(result, value)
            if index + 1 < len(node.operands):
                more = self.fresh("more")
                self.branch(value, *((more, done) if node.op == "and" else (done, more)))
                self.label(more)
        self.label(done)
        return self.load_local(result)

    def choose(self, node: tree.Choose) -> str:
        result = tree.Local("", node.type, node.location)
        self.choose_into(result, node)
        return self.load_local(result)

    def choose_span(self, node: tree.Choose) -> tuple[str, str]:
        result = tree.Local("", node.type, node.location)
        self.choose_into(result, node)
        return self.load_span(result)

    def choose_into(self, result: tree.Local, node: tree.Choose) -> None:
        yes, no, done = self.fresh("yes"), self.fresh("no"), self.fresh("done")
        self.branch(self.value(node.condition), yes, no)
        self.label(yes)
        self.assign(result, node.yes)
        self.jump(done)
        self.label(no)
        self.assign(result, node.no)
        self.label(done)

    def convert(self, node: tree.Convert) -> str:
        have, want = node.operand.type, node.type
        value = self.value(node.operand)
        if isinstance(want, types.IntType):
            return self.to_integer(value, have, want)
        if isinstance(have, types.IntType):
            return self.new(f"inttoptr {self.low.value(have)} {value} to ptr")
        return value

    def to_integer(self, value: str, have: types.Type, want: types.IntType) -> str:
        kind = self.low.value(want)
        if isinstance(have, types.BoolType):
            return self.new(f"zext i1 {value} to {kind}")
        if not isinstance(have, types.IntType):
            return self.new(f"ptrtoint ptr {value} to {kind}")
        if have.bits == want.bits:
            return value
        operation = "trunc" if have.bits > want.bits else "sext" if have.signed else "zext"
        return self.new(f"{operation} i{have.bits} {value} to {kind}")

    # Calls

    def arguments(self, nodes: list[tree.Expression]) -> list[str]:
        flat: list[str] = []
        for node in nodes:
            if isinstance(node.type, types.SpanType):
                flat += self.span(node)
            else:
                flat.append(self.value(node))
        return flat

    def call(self, node: tree.Call) -> str:
        called = self.unit.function(node.function)
        return self.call_value(called, node.type, [argument.type for argument in node.arguments], node.arguments)

    def call_pointer(self, node: tree.CallPointer) -> str:
        pointer = self.value(node.pointer)
        return self.call_value(pointer, node.type, [argument.type for argument in node.arguments], node.arguments)

    def call_value(self, called: str, result: types.Type, kinds: list[types.Type], nodes: list[tree.Expression]) -> str:
        values = self.arguments(nodes)
        return self.call_flat(called, result, kinds, values)

    def call_flat(self, called: str, result: types.Type, kinds: list[types.Type], values: list[str]) -> str:
        lowered = self.low.parameters(kinds)
        given = ", ".join(
            f"{kind} {attributes} {value}".replace("  ", " ")
            for (kind, attributes), value in zip(lowered, values, strict=True)
        )
        text = f"call {self.low.value(result)} {called}({given})"
        if isinstance(result, (types.NoneKind, types.NeverType)):
            self.put(text)
            if isinstance(result, types.NeverType):
                self.end("unreachable")
            return ""
        return self.new(text)
