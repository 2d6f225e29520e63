"""The typed tree: what the checker makes of Python's syntax tree, and the emitter makes LLVM IR of.

Every expression has a type, every node a place in the user's source. Structs and arrays are places: an expression of
such a type is the address of the bytes. Everything implicit in the source (widening, bounds checks, defaults) is
explicit here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bootslang.slang import types
    from bootslang.slang.diagnostics import Location
    from bootslang.slang.function import Function


@dataclass(eq=False)
class Local:
    """A local variable or parameter of a function."""

    name: str
    type: types.Type
    location: Location
    parameter: int | None = None


@dataclass(frozen=True)
class Variable:
    """A module-level variable or constant object: its owner's name, its type, and the object that holds its bytes."""

    symbol: str
    type: types.Type
    value: object
    constant: bool
    section: str = ""
    aligned: int = 1
    location: Location | None = None


@dataclass
class Expression:
    location: Location
    type: types.Type


@dataclass
class Constant(Expression):
    """A number or a truth value."""

    value: int


@dataclass
class TextConstant(Expression):
    """The address and length of bytes in read-only data: a span."""

    data: bytes


@dataclass
class LocalValue(Expression):
    local: Local


@dataclass
class VariableAddress(Expression):
    """The address of a module-level variable's bytes."""

    variable: Variable


@dataclass
class SymbolAddress(Expression):
    """The address that the linker gives to a name."""

    symbol: str


@dataclass
class FunctionAddress(Expression):
    function: Function


@dataclass
class Place(Expression):
    """A value in memory: `address` is an expression of type ptr, struct or array; `offset` in bytes is added."""

    address: Expression
    cell: types.Cell
    offset: int = 0


@dataclass
class Load(Expression):
    place: Place


@dataclass
class AddressOf(Expression):
    """A place as a pointer, or as a reference where a struct or an array stands there."""

    place: Place


@dataclass
class ElementAddress(Expression):
    """The address of an element: base + index * size, unchecked."""

    base: Expression
    index: Expression
    size: int


@dataclass
class SpanMake(Expression):
    """A span from an address (a pointer, a struct, an array) and a length in elements."""

    address: Expression
    count: Expression


@dataclass
class SpanLength(Expression):
    span: Expression


@dataclass
class SpanAddress(Expression):
    """The address of a span's first element, as a pointer."""

    span: Expression


@dataclass
class CheckedElement(Expression):
    """The address of a span's element, after a check that `index` is below its length."""

    span: Expression
    index: Expression
    size: int


@dataclass
class Slice(Expression):
    """A part of a span: `start` and `stop` checked; `length` is the constant number of elements where it is known."""

    span: Expression
    start: Expression
    stop: Expression | None
    length: int | None
    element_size: int


@dataclass
class SpanCast(Expression):
    """The same bytes with elements of another size."""

    span: Expression
    old_size: int
    new_size: int


@dataclass
class Overlay(Expression):
    """A struct over the first bytes of a span, its length checked."""

    span: Expression
    element_size: int


@dataclass
class Binary(Expression):
    """`op` is Python's: + - * // % & | ^ << >>; both operands have the type of the result (a shift count its own)."""

    op: str
    left: Expression
    right: Expression
    checked: bool = False


@dataclass
class Negate(Expression):
    operand: Expression


@dataclass
class Invert(Expression):
    operand: Expression


@dataclass
class Not(Expression):
    operand: Expression


@dataclass
class Compare(Expression):
    """One comparison of two values of one type: == != < <= > >=."""

    op: str
    left: Expression
    right: Expression


@dataclass
class Logic(Expression):
    """`and`, `or` over truth values, evaluated left to right as far as needed."""

    op: str
    operands: list[Expression]


@dataclass
class Choose(Expression):
    condition: Expression
    yes: Expression
    no: Expression


@dataclass
class Convert(Expression):
    """A change of type: integers by value (wrapping where narrower), pointers and numbers by bits."""

    operand: Expression


@dataclass
class Truth(Expression):
    """Whether a number is not zero."""

    operand: Expression


@dataclass
class Call(Expression):
    function: Function
    arguments: list[Expression]


@dataclass
class CallPointer(Expression):
    pointer: Expression
    arguments: list[Expression]


@dataclass
class Intrinsic(Expression):
    """One of the machine's own operations."""

    name: str
    arguments: list[Expression]


@dataclass
class MakeStruct(Expression):
    """A new local struct: zeroed, then its fields stored."""

    fields: list[tuple[types.Field, Expression]]


@dataclass
class MakeArray(Expression):
    """A new local array: zeros, or a copy of constant bytes."""

    data: Variable | None = None


@dataclass
class MakeTuple(Expression):
    items: list[Expression]


@dataclass
class TupleItem(Expression):
    base: Expression
    index: int


@dataclass
class Bind(Expression):
    """Give names to values, then evaluate a body that uses them: each is evaluated once."""

    bindings: list[tuple[Local, Expression]]
    body: Expression


@dataclass
class Assembly(Expression):
    """Inline assembly. Its value is a tuple of the outputs, in their order."""

    code: list[str | Variable | Function]
    inputs: dict[str, Expression]
    outputs: list[str]
    clobbers: list[str]


@dataclass
class Statement:
    location: Location


@dataclass
class Evaluate(Statement):
    value: Expression


@dataclass
class Assign(Statement):
    local: Local
    value: Expression


@dataclass
class Store(Statement):
    place: Place
    value: Expression


@dataclass
class CopySpan(Statement):
    """Copy elements: lengths equal (checked unless `length` says that both are that constant)."""

    target: Expression
    value: Expression
    element_size: int
    length: int | None


@dataclass
class If(Statement):
    condition: Expression
    body: list[Statement]
    orelse: list[Statement]


@dataclass
class While(Statement):
    condition: Expression
    body: list[Statement]
    orelse: list[Statement]


@dataclass
class ForRange(Statement):
    """Count `counter` from `start` to before `stop`; the user's name is assigned from it at the head of the body."""

    local: Local
    counter: Local
    start: Expression
    stop: Expression
    step: int
    body: list[Statement]
    orelse: list[Statement]
    backwards: bool
    """Count from `start`, exclusive, down to `stop`, inclusive."""


@dataclass
class ForSpan(Statement):
    """Walk over the elements of a span by pointer."""

    local: Local
    index: Local | None
    span: Expression
    cell: types.Cell
    element_size: int
    body: list[Statement]
    orelse: list[Statement]


@dataclass
class Break(Statement):
    pass


@dataclass
class Continue(Statement):
    pass


@dataclass
class Return(Statement):
    value: Expression | None


@dataclass
class Part:
    """A piece of a message: a value and how it is written."""

    value: Expression
    form: str
    """`text`, `hex`, `decimal`, `bool`, `character`."""
    width: int = 0
    zeros: bool = False
    prefix: bool = False


@dataclass
class Print(Statement):
    parts: list[bytes | Part]


@dataclass
class Raise(Statement):
    parts: list[bytes | Part]


@dataclass
class Try(Statement):
    body: list[Statement]
    handler: list[Statement]
    message: Local | None


@dataclass
class Body:
    """A function, checked."""

    function: Function
    symbol: str
    location: Location
    parameters: list[Local]
    result: types.Type
    locals: list[Local] = field(default_factory=list)
    statements: list[Statement] = field(default_factory=list)
    assembly: list[str | Variable | Function] | None = None
    """The code of a naked function."""
    assembly_location: Location | None = None
    speed: bool = False


def is_plain(node: Expression) -> bool:
    """Whether evaluating an expression twice gives the same and does nothing: names, constants, fields, arithmetic."""
    match node:
        case Constant() | LocalValue() | VariableAddress() | TextConstant() | FunctionAddress() | SymbolAddress():
            return True
        case Load(place=place):
            return not place.cell.volatile and is_plain(place.address)
        case AddressOf(place=place):
            return is_plain(place.address)
        case Binary(left=left, right=right):
            return is_plain(left) and is_plain(right)
        case Convert(operand=operand) | Negate(operand=operand) | Invert(operand=operand) | Truth(operand=operand):
            return is_plain(operand)
        case SpanLength(span=span) | SpanAddress(span=span):
            return is_plain(span)
        case CheckedElement(span=span, index=index):
            return is_plain(span) and is_plain(index)
        case SpanMake(address=address, count=count):
            return is_plain(address) and is_plain(count)
        case _:
            return False


def known_length(span: Expression) -> int | None:
    """How many elements a span has, where that is known at compile time."""
    match span:
        case Slice(length=length):
            return length
        case TextConstant(data=data):
            return len(data)
        case SpanMake(count=Constant(value=count)):
            return count
        case _:
            return None
