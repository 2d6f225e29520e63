"""The words of slang: machine integers, structs, spans, pointers, arrays and the `fn` decorator.

Type checkers read them as ordinary Python: `u8` is an `int`, a `Struct` a dataclass, `span` a sequence. In CPython they
are what constants and tests are made of: a `Struct` instance is a view of real bytes, which a slang function that is
called from Python reads and writes. What they mean on a machine is the compiler's business.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    ClassVar,
    Generic,
    Literal,
    NoReturn,
    Self,
    TypeAlias,
    TypeVar,
    dataclass_transform,
    overload,
)
from typing import (
    cast as typing_cast,
)

if TYPE_CHECKING:
    from bootslang.slang.memory import View

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])
Optimize: TypeAlias = Literal["size", "speed"]
Bytes: TypeAlias = bytes | bytearray | memoryview


class BootError(Exception):
    """An error of boot code.

    On a machine its message stops the boot, or an `except` catches it; on the host it is raised like any exception.
    """

    @property
    def message(self) -> span[u8]:
        """The text, as slang sees it."""
        return array[u8](str(self).encode())


if TYPE_CHECKING:
    u8: TypeAlias = int
    u16: TypeAlias = int
    u32: TypeAlias = int
    u64: TypeAlias = int
    usize: TypeAlias = int
    i8: TypeAlias = int
    i16: TypeAlias = int
    i32: TypeAlias = int
    i64: TypeAlias = int
else:

    class Integer(type):
        """The type of machine integers: calling one wraps a number to its width, as a machine does."""

        bits: int
        signed: bool

        def __new__(cls, name, bits, signed):
            return super().__new__(cls, name, (int,), {"__doc__": f"A machine integer: {name}.", "__slots__": ()})

        def __init__(cls, name, bits, signed):
            super().__init__(name, (int,), {})
            cls.bits, cls.signed = bits, signed

        def __call__(cls, value=0, /):
            wrapped = int(value) & ((1 << cls.bits) - 1)
            if cls.signed and wrapped >> (cls.bits - 1):
                wrapped -= 1 << cls.bits
            return wrapped

    u8, u16, u32, u64 = (Integer(f"u{bits}", bits, False) for bits in (8, 16, 32, 64))
    i8, i16, i32, i64 = (Integer(f"i{bits}", bits, True) for bits in (8, 16, 32, 64))
    usize = Integer("usize", 64, False)


class Mark:
    """How a field is stored: seen by the compiler, invisible to type checkers."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name


volatile = Annotated[T, Mark("volatile")]
"""A field or element that a device may change: every access in the source is one access on the machine."""
be = Annotated[T, Mark("be")]
"""An integer field that is stored big-endian."""


class FieldSpecifier:
    """What stands behind `=` in a struct's body: an array's length, a fixed offset, a default."""

    def __init__(self, *, count: int | None = None, offset: int | None = None, default: object = None) -> None:
        self.count, self.offset, self.default = count, offset, default


def length(count: int, /, *, init: Literal[False] = False) -> Any:
    """Give an array field its number of elements (0 or more); the field starts as zeros and leaves the constructor."""
    del init
    return FieldSpecifier(count=count)


def at(offset: int, /, *, count: int | None = None, default: object = None, init: Literal[False] = False) -> Any:
    """Put a field at a fixed byte offset of its struct; bytes between fields are zero."""
    del init
    return FieldSpecifier(offset=offset, count=count, default=default)


@dataclass_transform(field_specifiers=(length, at), kw_only_default=True)
class Struct:
    """A packed little-endian record.

    Fields stand in the order of the body without gaps. A struct-typed name is a reference, as in Python; a struct-typed
    field is embedded. In CPython an instance is a view of bytes: `bytes(entry)` gives them.
    """

    __slang_aligned__: ClassVar[int] = 1

    def __init_subclass__(cls, *, aligned: int = 1, **options: Any) -> None:
        """Collect the fields; `aligned` is the alignment in bytes of variables of this type (a power of two)."""
        from bootslang.slang.memory import install_fields

        super().__init_subclass__(**options)
        cls.__slang_aligned__ = aligned
        install_fields(cls)

    if not TYPE_CHECKING:

        def __init__(self, **values: object) -> None:
            from bootslang.slang.memory import construct

            construct(self, values)

        def __repr__(self) -> str:
            from bootslang.slang.memory import represent

            return represent(self)

    def __bytes__(self) -> bytes:
        from bootslang.slang.memory import view_of

        return bytes(view_of(self).memory)

    @classmethod
    def of(cls, data: span[u8], /) -> Self:
        """Overlay the first bytes of `data`; a span that is too short raises a BootError."""
        from bootslang.slang.memory import overlay

        return overlay(cls, data)

    @classmethod
    def at(cls, address: int, /) -> Self:
        """Overlay the memory at `address`, unchecked."""
        raise only_compiled(f"{cls.__name__}.at")

    @classmethod
    def zeroed(cls) -> Self:
        """A new instance, all of its bytes zero."""
        from bootslang.slang.memory import zeroed

        return zeroed(cls)


def only_compiled(what: str) -> TypeError:
    return TypeError(f"{what} has a meaning in compiled slang only: call it from a function marked @fn")


class span(Generic[T]):
    """A pointer and a length: indexing and slicing are checked, on the machine too.

    `span(data)` lends bytes to a slang function that is called from Python; `span[u64](address, count)` in slang makes
    one from a raw address.
    """

    @overload
    def __init__(self, source: Bytes, /) -> None: ...
    @overload
    def __init__(self, source: int, count: int, /) -> None: ...
    def __init__(self, source: Bytes | int, count: int = 0, /) -> None:
        from bootslang.slang.memory import lend

        self._view: View = lend(source, count)

    @property
    def address(self) -> usize:
        """Where the first element is."""
        return self._view.address

    def __len__(self) -> usize:
        return self._view.count(self)

    @overload
    def __getitem__(self, index: int, /) -> T: ...
    @overload
    def __getitem__(self, index: slice, /) -> span[T]: ...
    def __getitem__(self, index: int | slice, /) -> T | span[T]:
        return typing_cast("T | span[T]", self._view.get(self, index))

    @overload
    def __setitem__(self, index: int, value: T, /) -> None: ...
    @overload
    def __setitem__(self, index: slice, value: span[T], /) -> None: ...
    def __setitem__(self, index: int | slice, value: T | span[T], /) -> None:
        self._view.set(self, index, value)

    def __iter__(self) -> Iterator[T]:
        return (self[index] for index in range(len(self)))

    def __bytes__(self) -> bytes:
        return bytes(self._view.memory)

    def cast(self, element: type[F | T] | Any, /) -> span[Any]:
        """The same bytes as a span of `element`: as many whole ones as fit."""
        raise only_compiled("span.cast")

    def fill(self, value: T, /) -> None:
        """Set every element to `value`."""
        for index in range(len(self)):
            self[index] = value


class array(span[T]):
    """A fixed number of elements: `array[u8](512)` starts as zeros, `array[u32](numbers)` holds them.

    An array passes wherever a span is wanted.
    """

    @overload
    def __init__(self, elements: int, /) -> None: ...
    @overload
    def __init__(self, elements: Iterable[T], /) -> None: ...
    def __init__(self, elements: int | Iterable[T], /) -> None:
        from bootslang.slang.memory import ArrayView

        self._view = ArrayView(elements)


class ptr(Generic[T]):
    """A raw pointer: `p[0]` reads, `p[0] = x` writes, unchecked; `ptr[u32](address)` makes one from a number."""

    def __init__(self, address: int, /) -> None:
        self._address = address

    @property
    def address(self) -> usize:
        """The number."""
        return self._address

    def __getitem__(self, index: int, /) -> T:
        raise only_compiled("ptr")

    def __setitem__(self, index: int, value: T, /) -> None:
        raise only_compiled("ptr")

    def __add__(self, count: int, /) -> ptr[T]:
        """The pointer `count` elements further on."""
        raise only_compiled("ptr")

    def cast(self, element: Any, /) -> ptr[Any]:
        """The same address as a pointer to `element`."""
        raise only_compiled("ptr.cast")

    def span(self, count: int, /) -> span[T]:
        """The `count` elements from here on, as a span."""
        raise only_compiled("ptr.span")


@overload
def fn(function: F, /) -> F: ...
@overload
def fn(
    *,
    naked: bool = False,
    section: str = "",
    symbol: str = "",
    provides: str = "",
    inline: bool | None = None,
    optimize: Optimize | None = None,
) -> Callable[[F], F]: ...
def fn(
    function: F | None = None,
    /,
    *,
    naked: bool = False,
    section: str = "",
    symbol: str = "",
    provides: str = "",
    inline: bool | None = None,
    optimize: Optimize | None = None,
) -> F | Callable[[F], F]:
    """Mark a function as slang.

    naked: the body is assembly alone, without entry and exit code of the compiler's.
    section: the section it is put into (`.start` stands first in an image).
    symbol: its name for the linker; by default `module.function`.
    provides: the hook of the slang run time that it fills: `write`, `stop` or `raise`.
    inline: True always inlines it, False never; by default the optimiser decides.
    optimize: "speed" or "size", where it is not what `compile_for` says of the module.
    """
    from bootslang.slang.function import Function, Options

    options = Options(naked=naked, section=section, symbol=symbol, provides=provides, inline=inline, optimize=optimize)

    def mark(marked: F) -> F:
        return typing_cast("F", Function(marked, options))

    return mark if function is None else mark(function)


TargetName: TypeAlias = Literal["real16", "protected32", "long64"]


def compile_for(*targets: TargetName, optimize: Optimize = "size") -> None:
    """State, once at the top of a module, which targets its functions are for, and what they are optimised for."""
    namespace = sys._getframe(1).f_globals  # noqa: SLF001 - the statement is about the module that makes it
    namespace["__slang_module__"] = (targets, optimize)


class Target:
    """The machine that code is being compiled for; `if target.bits == 64:` is decided at compile time."""

    bits: ClassVar[Literal[16, 32, 64]]
    host: ClassVar[bool]
    """True when compiled for the machine that runs the tests, where no port and no register is touched."""

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)  # what Python itself asks every object for
        raise only_compiled(f"target.{name}")


target = Target()


def sizeof(kind: Any, /) -> usize:
    """The size in bytes of a type or of a variable's type."""
    from bootslang.slang.memory import size_of

    return size_of(kind)


def offsetof(struct: type[Struct], field: str, /) -> usize:
    """Where in `struct` the named field starts, in bytes."""
    from bootslang.slang.memory import offset_of

    return offset_of(struct, field)


def address(thing: Any, /) -> usize:
    """The address of a struct, an array, a module-level variable or a function."""
    raise only_compiled("address")


def offset(thing: Any, /) -> u16:
    """The low 16 bits of an address: what a real-mode register holds when its segment is 0."""
    raise only_compiled("offset")


def placed(section: str, value: T, /) -> T:
    """Put a module-level struct or array into a section of its own.

    `.header` stands first in an image. All that is placed in sections `.set.NAME.*` becomes one array, in the order of
    the section names, which `linked(T, "NAME")` gives as a span.
    """
    from bootslang.slang.memory import place

    place(section, value)
    return value


def linked(element: type[T], name: str, /) -> span[T]:
    """All that was placed in sections `.set.NAME.*`, of every object that is linked together."""
    raise only_compiled("linked")


def cast(kind: type[T] | Any, value: Any, /) -> Any:
    """Read `value`, a number or a pointer, as a function pointer or a pointer: `cast(Callable[[u32], None], n)`."""
    raise only_compiled("cast")
