"""Statements and whole functions."""

from __future__ import annotations

from bootslang.slang import runtime, tree, types
from bootslang.slang.emit.lower import quoted
from bootslang.slang.emit.values import Values
from bootslang.slang.emit.writer import Frame, Loop

CODE_END, CODE_RETURN, CODE_BREAK, CODE_CONTINUE = 0, 1, 2, 3
"""How a try's body ended; runtime.RAISED is the fifth."""


class Statements(Values):
    """Statements; a try's body becomes a function of its own, which shares the frame."""

    def block(self, statements: list[tree.Statement]) -> None:
        for statement in statements:
            if self.terminated:
                return
            self.at(statement.location)
            self.statement(statement)

    def statement(self, node: tree.Statement) -> None:  # noqa: C901, PLR0912 - one line for each kind of node
        match node:
            case tree.Evaluate():
                self.value(node.value)
            case tree.Assign():
                self.assign(node.local, node.value)
            case tree.Store():
                self.store(node.place, node.value)
            case tree.CopySpan():
                self.copy(node)
            case tree.If():
                self.if_(node)
            case tree.While():
                self.while_(node)
            case tree.ForRange():
                self.for_range(node)
            case tree.ForSpan():
                self.for_span(node)
            case tree.Break():
                self.leave(CODE_BREAK)
            case tree.Continue():
                self.leave(CODE_CONTINUE)
            case tree.Return():
                self.return_(node)
            case tree.Print():
                self.print_(node)
            case tree.Raise():
                self.raise_(node)
            case tree.Try():
                self.try_(node)
            case _:
                message = f"no instructions for {type(node).__name__}"
                raise AssertionError(message)

    def copy(self, node: tree.CopySpan) -> None:
        source, count = self.span(node.value)
        target, room = self.span(node.target)
        if node.length is None and count != room:
            equal = self.new(f"icmp eq {self.low.word} {count}, {room}")
            self.fail_unless(equal, "copy_error", node.location)
        if room.isdigit():
            size = str(int(room) * node.element_size)
        else:
            size = room if node.element_size == 1 else self.new(f"mul {self.low.word} {room}, {node.element_size}")
        self.move(target, source, size)

    # Ways through

    def if_(self, node: tree.If) -> None:
        yes, no, done = self.fresh("then"), self.fresh("else"), self.fresh("end")
        self.branch(self.value(node.condition), yes, no if node.orelse else done)
        self.label(yes)
        self.block(node.body)
        if not self.terminated:
            self.jump(done)
        if node.orelse:
            self.label(no)
            self.block(node.orelse)
        self.label(done)

    def while_(self, node: tree.While) -> None:
        head, inside, otherwise, done = (self.fresh(name) for name in ("while", "body", "else", "end"))
        self.label(head)
        self.at(node.location)
        self.branch(self.value(node.condition), inside, otherwise if node.orelse else done)
        self.label(inside)
        self.loops.append(Loop(done, head, self.depth))
        self.block(node.body)
        self.loops.pop()
        if not self.terminated:
            self.jump(head)
        self.otherwise(node.orelse, otherwise)
        self.label(done)

    def otherwise(self, statements: list[tree.Statement], label: str) -> None:
        if statements:
            self.label(label)
            self.block(statements)

    def for_range(self, node: tree.ForRange) -> None:
        kind = self.low.value(node.counter.type)
        signed = isinstance(node.counter.type, types.IntType) and node.counter.type.signed
        limit = tree.Local("", node.counter.type, node.location)
        head, inside, step, otherwise, done = (self.fresh(n) for n in ("for", "body", "step", "else", "end"))
        self.assign(node.counter, node.start)
        self.assign(limit, node.stop)
        self.label(head)
        self.at(node.location)
        counter, stop = self.load_local(node.counter), self.load_local(limit)
        test = ("sgt" if signed else "ugt") if node.backwards else ("slt" if signed else "ult")
        self.branch(self.new(f"icmp {test} {kind} {counter}, {stop}"), inside, otherwise if node.orelse else done)
        self.label(inside)
        if node.backwards:
            counter = self.new(f"sub {kind} {counter}, 1")
            self.store_local(node.counter, counter)
        self.store_local(node.local, counter)
        self.loops.append(Loop(done, step, self.depth))
        self.block(node.body)
        self.loops.pop()
        self.label(step)
        self.at(node.location)
        if not node.backwards:
            self.count_up(node, kind, stop, otherwise if node.orelse else done)
        self.jump(head)
        self.otherwise(node.orelse, otherwise)
        self.label(done)

    def count_up(self, node: tree.ForRange, kind: str, stop: str, leave: str) -> None:
        """Add the step; one that would pass the largest number ends the loop instead of starting it over."""
        counter = self.load_local(node.counter)
        if node.step != 1:
            more = self.fresh("more")
            rest = self.new(f"sub {kind} {stop}, {counter}")
            self.branch(self.new(f"icmp ugt {kind} {rest}, {node.step}"), more, leave)
            self.label(more)
        self.store_local(node.counter, self.new(f"add {kind} {counter}, {node.step}"))

    def for_span(self, node: tree.ForSpan) -> None:
        """Walk by pointer; the index, where one is asked for, counts along."""
        word = self.low.word
        pointer = tree.Local("", types.PtrType(node.cell), node.location)
        limit = tree.Local("", types.PtrType(node.cell), node.location)
        number = tree.Local("", self.low.usize, node.location)
        start, length = self.span(node.span)
        self.store_local(pointer, start)
        self.store_local(limit, self.scaled(start, length, node.element_size))
        if node.index is not None:
            self.store_local(number, "0")
        head, inside, step, otherwise, done = (self.fresh(n) for n in ("each", "body", "step", "else", "end"))
        self.label(head)
        self.at(node.location)
        here = self.load_local(pointer)
        more = self.new(f"icmp ne ptr {here}, {self.load_local(limit)}")
        self.branch(more, inside, otherwise if node.orelse else done)
        self.label(inside)
        self.take_element(node, pointer)
        if node.index is not None:
            self.store_local(node.index, self.load_local(number))
        self.loops.append(Loop(done, step, self.depth))
        self.block(node.body)
        self.loops.pop()
        self.label(step)
        self.at(node.location)
        self.store_local(pointer, self.scaled(self.load_local(pointer), "1", node.element_size))
        if node.index is not None:
            self.store_local(number, self.new(f"add {word} {self.load_local(number)}, 1"))
        self.jump(head)
        self.otherwise(node.orelse, otherwise)
        self.label(done)

    def take_element(self, node: tree.ForSpan, pointer: tree.Local) -> None:
        here = tree.LocalValue(node.location, pointer.type, pointer)
        place = tree.Place(node.location, node.cell.type, here, node.cell)
        if isinstance(node.cell.type, (types.StructType, types.ArrayType)):
            self.assign(node.local, tree.AddressOf(node.location, node.cell.type, place))
        else:
            self.assign(node.local, tree.Load(node.location, node.cell.type, place))

    def leave(self, code: int) -> None:
        """Break or continue, out of a try's body if the loop is outside of it."""
        loop = self.loops[-1]
        if loop.depth == self.depth:
            self.jump(loop.on_break if code == CODE_BREAK else loop.on_continue)
        else:
            self.end(f"ret i32 {code}")

    def return_(self, node: tree.Return) -> None:
        if self.depth > 0:
            if node.value is not None:
                self.assign(self.result_local, node.value)
            self.end(f"ret i32 {CODE_RETURN}")
        elif node.value is None:
            self.end("ret void")
        else:
            self.end(f"ret {self.low.value(self.body.result)} {self.value(node.value)}")

    # Messages and errors

    def message(self, parts: list[bytes | tree.Part]) -> tuple[str, str]:
        """A template for the run time, and the words that fill it."""
        template = b""
        words: list[str] = []
        for part in parts:
            if isinstance(part, bytes):
                template += part
            else:
                template += self.placeholder(part, words)
        return self.unit.text(template + bytes([runtime.END])), self.words(words)

    def words(self, values: list[str]) -> str:
        """An array of machine words."""
        if not values:
            return "null"
        area = self.storage(self.low.pointer_bytes * len(values))
        for index, value in enumerate(values):
            place = self.new(f"getelementptr {self.low.word}, ptr {area}, {self.low.word} {index}")
            self.put(f"store {self.low.word} {value}, ptr {place}, align 1")
        return area

    def placeholder(self, part: tree.Part, words: list[str]) -> bytes:
        """The placeholder of a value, whose words are added to `words`."""
        if part.form == "text":
            start, length = self.span(part.value)
            words += [self.new(f"ptrtoint ptr {start} to {self.low.word}"), length]
            return bytes([runtime.TEXT, 0])
        value = self.value(part.value)
        if part.form == "bool":
            words.append(self.new(f"zext i1 {value} to {self.low.word}"))
            return bytes([runtime.BOOL, 0])
        assert isinstance(part.value.type, types.IntType)
        if part.form == "character":
            words += self.split(value, part.value.type, 32)
            return bytes([runtime.CHARACTER, 0])
        return self.number(part, part.value.type, value, words)

    def number(self, part: tree.Part, kind: types.IntType, value: str, words: list[str]) -> bytes:
        form = part.width | (runtime.ZEROS if part.zeros else 0) | (runtime.PREFIX if part.prefix else 0)
        if kind.signed:
            form |= runtime.SIGNED
        if part.form == "hex":
            words += self.split(value, kind, 64, keep_sign=False)
            return bytes([runtime.HEX64, form])
        wide = kind.bits > 32 or kind.signed
        words += self.split(value, kind, 64 if wide else 32)
        return bytes([runtime.DECIMAL64 if wide else runtime.DECIMAL32, form])

    def split(self, value: str, kind: types.IntType, bits: int, *, keep_sign: bool = True) -> list[str]:
        """A number of `bits` bits as machine words, the low one first."""
        word_bits = 8 * self.low.pointer_bytes
        bits = max(bits, word_bits)
        value = self.resized(value, kind, bits, keep_sign=keep_sign)
        if bits == word_bits:
            return [value]
        low = self.new(f"trunc i{bits} {value} to {self.low.word}")
        high = self.new(f"lshr i{bits} {value}, {word_bits}")
        return [low, self.new(f"trunc i{bits} {high} to {self.low.word}")]

    def resized(self, value: str, kind: types.IntType, bits: int, *, keep_sign: bool) -> str:
        if kind.bits == bits:
            return value
        operation = "trunc" if kind.bits > bits else "sext" if kind.signed and keep_sign else "zext"
        return self.new(f"{operation} i{kind.bits} {value} to i{bits}")

    def print_(self, node: tree.Print) -> None:
        self.unit.call_runtime(self, runtime.put_message, list(self.message(node.parts)))

    def raise_(self, node: tree.Raise) -> None:
        if self.unit.letters:
            first = next((part for part in node.parts if isinstance(part, bytes)), b"?")
            self.unit.raise_letter(self, first[0])
            return
        self.unit.call_runtime(self, runtime.raise_message, [self.unit.site(node.location), *self.message(node.parts)])

    # Try

    def try_(self, node: tree.Try) -> None:
        name = self.unit.outline(self, node)
        code = self.unit.attempt(self, name)
        caught, returned, broken, continued, done = (
            self.fresh(n) for n in ("caught", "returned", "broken", "continued", "done")
        )
        loop = self.loops[-1] if self.loops else None
        cases = [f"i32 {runtime.RAISED}, label {caught}", f"i32 {CODE_RETURN}, label {returned}"]
        if loop is not None:
            cases += [f"i32 {CODE_BREAK}, label {broken}", f"i32 {CODE_CONTINUE}, label {continued}"]
        self.end(f"switch i32 {code}, label {done} [{' '.join(cases)}]")
        self.label(returned)
        self.return_stored()
        if loop is not None:
            self.label(broken)
            self.leave(CODE_BREAK)
            self.label(continued)
            self.leave(CODE_CONTINUE)
        self.label(caught)
        if node.message is not None:
            self.store_local(node.message, self.caught_message())
        self.block(node.handler)
        self.label(done)

    def return_stored(self) -> None:
        if self.depth > 0:
            self.end(f"ret i32 {CODE_RETURN}")
        elif isinstance(self.body.result, (types.NoneKind, types.NeverType)):
            self.end("ret void")
        elif isinstance(self.body.result, types.SpanType):
            start, length = self.load_span(self.result_local)
            kind = self.low.value(self.body.result)
            self.end(f"ret {kind} {self.aggregate(kind, [('ptr', start), (self.low.word, length)])}")
        else:
            self.end(f"ret {self.low.value(self.body.result)} {self.load_local(self.result_local)}")

    def caught_message(self) -> str:
        """A CaughtError whose message is a copy of the error's text: the next error overwrites the original."""
        address = self.storage(2 * self.low.pointer_bytes)
        copy = self.storage(runtime.MESSAGE_BYTES)
        state = quoted(self.unit.state_symbol())
        layout = types.layout_of(runtime.ErrorState, self.low.pointer_bytes).fields
        text = self.new(f"getelementptr i8, ptr {state}, {self.low.word} {layout['message'].offset}")
        used = self.new(f"getelementptr i8, ptr {state}, {self.low.word} {layout['used'].offset}")
        count = self.new(f"load i32, ptr {used}, align 1")
        length = count if self.low.word == "i32" else self.new(f"zext i32 {count} to {self.low.word}")
        behind = self.new(f"getelementptr i8, ptr {address}, {self.low.word} {self.low.pointer_bytes}")
        self.move(copy, text, length)
        self.put(f"store ptr {copy}, ptr {address}, align 1")
        self.put(f"store {self.low.word} {length}, ptr {behind}, align 1")
        return address

    # Functions

    @property
    def result_local(self) -> tree.Local:
        """Where a return inside a try leaves its value."""
        return self.unit.result_local(self.body)

    def function(self) -> str:
        """The whole definition."""
        if has_try(self.body.statements):
            self.frame = Frame()
        self.at(self.body.location)
        parameters = self.parameters()
        self.block(self.body.statements)
        if not self.terminated:
            never = isinstance(self.body.result, types.NeverType)
            self.end("unreachable" if never or not isinstance(self.body.result, types.NoneKind) else "ret void")
        if self.frame is not None:
            self.entry.insert(0, f"  %frame = alloca [{max(1, self.frame.size)} x i8], align 16")
        head = self.unit.head(self.body, parameters, self.scope)
        return "\n".join([f"{head} {{", "entry:", *self.entry, *self.lines, "}"])

    def parameters(self) -> str:
        """Store the parameters into their locals; the list for the definition's head."""
        lowered = self.low.parameters([local.type for local in self.body.parameters])
        names = [f"%p{index}" for index in range(len(lowered))]
        position = 0
        for local in self.body.parameters:
            if isinstance(local.type, types.SpanType):
                self.store_span(local, names[position], names[position + 1])
                position += 2
            else:
                self.store_local(local, names[position])
                position += 1
        return ", ".join(
            f"{kind} {attributes} {name}".replace("  ", " ")
            for (kind, attributes), name in zip(lowered, names, strict=True)
        )


def has_try(statements: list[tree.Statement]) -> bool:
    for statement in statements:
        match statement:
            case tree.Try():
                return True
            case tree.If() | tree.While() | tree.ForRange() | tree.ForSpan():
                if has_try(statement.body) or has_try(statement.orelse):
                    return True
            case _:
                pass
    return False
