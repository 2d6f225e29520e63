"""What `@fn` makes of a function: something that the compiler takes as source and that runs natively when called."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Options:
    """The keywords of `@fn`."""

    naked: bool = False
    section: str = ""
    symbol: str = ""
    provides: str = ""
    inline: bool | None = None
    optimize: str | None = None


class Function:
    """A slang function."""

    def __init__(self, python: Callable[..., Any], options: Options) -> None:
        self.python = python
        self.options = options
        self.__doc__ = python.__doc__
        self.__name__ = python.__name__
        self.__qualname__ = python.__qualname__
        self.__module__ = python.__module__
        self.__wrapped__ = python

    @property
    def symbol(self) -> str:
        """Its name for the linker."""
        return self.options.symbol or f"{self.__module__}.{self.__qualname__}"

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        """Compile for the host, unless that is done, and run."""
        from bootslang.slang.host import call

        return call(self, arguments, keywords)

    def __get__(self, instance: object | None, owner: type) -> Any:
        """Give a method, where a struct's instance is asked for it."""
        return self if instance is None else partial(self, instance)

    def __repr__(self) -> str:
        return f"<slang function {self.symbol}>"
