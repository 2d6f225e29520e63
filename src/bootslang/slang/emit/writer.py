"""Writes the instructions of one function, and knows where its locals live."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bootslang.slang import tree, types

if TYPE_CHECKING:
    from bootslang.slang.diagnostics import Location
    from bootslang.slang.emit.unit import Unit

FRAME_ALIGNMENT = 16


@dataclass
class Loop:
    """Where break and continue go; `depth` is how many try bodies the loop stands inside."""

    on_break: str
    on_continue: str
    depth: int


@dataclass
class Frame:
    """The locals of a function that has a try: one block of memory that its try bodies share."""

    size: int = 0
    slots: dict[tree.Local, int] = field(default_factory=dict)


class Writer:
    """The text of one LLVM function, instruction by instruction."""

    def __init__(self, unit: Unit, body: tree.Body, scope: int) -> None:
        self.unit = unit
        self.low = unit.lowering
        self.body = body
        self.scope = scope
        self.lines: list[str] = []
        self.entry: list[str] = []
        self.count = 0
        self.debug = 0
        self.slots: dict[tree.Local, str] = {}
        self.frame: Frame | None = None
        self.depth = 0
        self.loops: list[Loop] = []
        self.terminated = False

    def fresh(self, prefix: str = "v") -> str:
        self.count += 1
        return f"%{prefix}{self.count}"

    def at(self, location: Location) -> None:
        """Everything from here on belongs to this place in the source."""
        self.debug = self.unit.debug.location(self.scope, location)

    def put(self, text: str) -> None:
        """Write an instruction that gives nothing."""
        if not self.terminated:
            self.lines.append(f"  {text}, !dbg !{self.debug}")

    def new(self, text: str) -> str:
        """Write an instruction that gives a value; its name."""
        name = self.fresh()
        if not self.terminated:
            self.lines.append(f"  {name} = {text}, !dbg !{self.debug}")
        return name

    def label(self, name: str) -> None:
        """Begin a block; the one before falls into it where it has no end of its own."""
        if not self.terminated:
            self.jump(name)
        self.terminated = False
        self.lines.append(f"{name[1:]}:")

    def end(self, text: str) -> None:
        """Write the last instruction of a block."""
        self.put(text)
        self.terminated = True

    def jump(self, label: str) -> None:
        self.end(f"br label {label}")

    def branch(self, condition: str, yes: str, no: str) -> None:
        self.end(f"br i1 {condition}, label {yes}, label {no}")

    # Memory of the function's own

    def storage(self, size: int) -> str:
        """Bytes that live as long as the function's call."""
        if self.frame is not None:
            place = (self.frame.size + FRAME_ALIGNMENT - 1) // FRAME_ALIGNMENT * FRAME_ALIGNMENT
            self.frame.size = place + size
            return self.new(f"getelementptr i8, ptr %frame, {self.low.word} {place}")
        name = self.fresh("a")
        self.entry.append(f"  {name} = alloca [{size} x i8], align {self.storage_alignment(size)}")
        return name

    def storage_alignment(self, size: int) -> int:
        return min(self.low.pointer_bytes, 1 << max(0, size.bit_length() - 1))

    def slot(self, local: tree.Local) -> str:
        """Where a local lives. A span has two slots, `slot` and `slot` + `.len`."""
        key = local
        if self.frame is not None:
            if key not in self.frame.slots:
                self.frame.slots[key] = self.frame.size
                self.frame.size += 2 * 8
                if isinstance(local.type, types.TupleType):
                    self.frame.size += 16 * len(local.type.items)
            return self.new(f"getelementptr i8, ptr %frame, {self.low.word} {self.frame.slots[key]}")
        if key not in self.slots:
            name = self.fresh("l")
            self.slots[key] = name
            if isinstance(local.type, types.SpanType):
                self.entry.append(f"  {name} = alloca ptr")
                self.entry.append(f"  {name}.len = alloca {self.low.word}")
            else:
                self.entry.append(f"  {name} = alloca {self.low.memory(local.type)}")
            self.describe(local, name)
        return self.slots[key]

    def describe(self, local: tree.Local, name: str) -> None:
        """Tell the debugger where a named local is."""
        if not local.name or "." in local.name:
            return
        debug = self.unit.debug
        number = debug.variable(local, self.scope, self.unit.path_of(self.body.function), 8 * self.low.pointer_bytes)
        place = debug.location(self.scope, local.location)
        self.entry.append(f"    #dbg_declare(ptr {name}, !{number}, !DIExpression(), !{place})")

    def length_slot(self, slot: str) -> str:
        if self.frame is not None:
            return self.new(f"getelementptr i8, ptr {slot}, {self.low.word} 8")
        return f"{slot}.len"

    def load_local(self, local: tree.Local) -> str:
        slot = self.slot(local)
        value = self.new(f"load {self.low.memory(local.type)}, ptr {slot}")
        return self.new(f"trunc i8 {value} to i1") if isinstance(local.type, types.BoolType) else value

    def load_span(self, local: tree.Local) -> tuple[str, str]:
        slot = self.slot(local)
        start = self.new(f"load ptr, ptr {slot}")
        return start, self.new(f"load {self.low.word}, ptr {self.length_slot(slot)}")

    def store_local(self, local: tree.Local, value: str) -> None:
        slot = self.slot(local)
        if isinstance(local.type, types.BoolType):
            value = self.new(f"zext i1 {value} to i8")
        self.put(f"store {self.low.memory(local.type)} {value}, ptr {slot}")

    def store_span(self, local: tree.Local, start: str, length: str) -> None:
        slot = self.slot(local)
        self.put(f"store ptr {start}, ptr {slot}")
        self.put(f"store {self.low.word} {length}, ptr {self.length_slot(slot)}")

    # Failing

    def fail_unless(self, condition: str, error: str, location: Location) -> None:
        """Go on if the condition holds; else raise one of the run time's errors, which names this place."""
        good, bad = self.fresh("ok"), self.fresh("bad")
        self.branch(condition, good, bad)
        self.label(bad)
        self.fail(error, location)
        self.label(good)

    def fail(self, error: str, location: Location) -> None:
        """Raise one of the run time's errors."""
        self.unit.fail(self, error, location)
        self.end("unreachable")
