"""Objects for the linker's tests: made from LLVM IR by the backend, one worker for all."""

from collections.abc import Callable, Iterator

import pytest

from bootslang.slang.backend import Backend
from bootslang.slang.link import ObjectFile


@pytest.fixture(scope="session")
def backend() -> Iterator[Backend]:
    with Backend() as shared:
        yield shared


@pytest.fixture(scope="session")
def compiled(backend: Backend) -> Callable[..., ObjectFile]:
    """`compiled(ir, target=..., name=...)` is an object file."""

    def compile_ir(ir: str, *, target: str = "protected32", name: str = "a.o") -> ObjectFile:
        return ObjectFile(name, backend.compile(ir, target=target))

    return compile_ir
