"""How slang's types, names and calling conventions look in LLVM IR."""

from __future__ import annotations

from bootslang.slang import types

REGISTER_PARAMETERS = 3
"""32-bit code passes this many words in registers: regparm(3), EAX, EDX, ECX."""


class Lowering:
    """Types for one pointer width."""

    def __init__(self, target: str, pointer_bytes: int) -> None:
        self.target = target
        self.pointer_bytes = pointer_bytes
        self.word = f"i{8 * pointer_bytes}"
        self.usize = types.usize_of(pointer_bytes)
        self.regparm = target in {"real16", "protected32"}

    def value(self, kind: types.Type) -> str:
        """The type of a value in a register."""
        match kind:
            case types.IntType():
                return f"i{kind.bits}"
            case types.BoolType():
                return "i1"
            case types.NoneKind() | types.NeverType():
                return "void"
            case types.SpanType():
                return f"{{ptr, {self.word}}}"
            case types.TupleType():
                return "{" + ", ".join(self.value(item) for item in kind.items) + "}"
            case _:
                return "ptr"

    def memory(self, kind: types.Type) -> str:
        """The type of a scalar in memory."""
        return "i8" if isinstance(kind, types.BoolType) else self.value(kind)

    def parameters(self, kinds: list[types.Type]) -> list[tuple[str, str]]:
        """LLVM types and attributes of parameters; a span is two."""
        flat: list[tuple[str, int]] = []
        for kind in kinds:
            if isinstance(kind, types.SpanType):
                flat += [("ptr", self.pointer_bytes), (self.word, self.pointer_bytes)]
            elif isinstance(kind, types.IntType):
                flat.append((f"i{kind.bits}", kind.bits // 8))
            elif isinstance(kind, types.BoolType):
                flat.append(("i1", 1))
            else:
                flat.append((self.value(kind), self.pointer_bytes))
        return self.in_registers(flat)

    def in_registers(self, flat: list[tuple[str, int]]) -> list[tuple[str, str]]:
        """As in C: the first value that does not fit ends the row of register parameters."""
        left = REGISTER_PARAMETERS if self.regparm else 0
        result: list[tuple[str, str]] = []
        for name, size in flat:
            needed = (size + 3) // 4
            fits = needed <= left
            left = left - needed if fits else 0
            attributes = ["inreg"] if fits else []
            if name in {"i1", "i8", "i16"}:
                attributes.append("zeroext")
            result.append((name, " ".join(attributes)))
        return result


def quoted(symbol: str) -> str:
    """A global name."""
    return f'@"{symbol}"'


def text_constant(data: bytes) -> str:
    """An array of bytes as LLVM writes it."""
    shown = "".join(chr(b) if 32 <= b < 127 and b not in b'"\\' else f"\\{b:02X}" for b in data)
    return f'c"{shown}"'
