"""How fast the decoders and XXH64 are, compiled natively, beside the C libraries: `python -m bench decoders`.

Each corpus is cut into chunks as a disk is, each chunk packed alone. The best of several runs counts; the two run in
turns, so that a busy machine slows both. Every output is compared with the original.
"""

from __future__ import annotations

import bz2
import ctypes
import ctypes.util
import random
import sysconfig
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import xxhash
from rich.console import Console
from rich.table import Table

from bootslang.boot.codecs import bzip2
from bootslang.boot.disk import CHUNK_BYTES
from bootslang.boot.lib.xxh64 import xxh64
from bootslang.slang import span, u8

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

CORPUS_BYTES = 4 << 20
SUM_BYTES = 64 << 20
RUNS = 9


@dataclass(frozen=True)
class Result:
    """One line of the table; speeds in MB/s of unpacked bytes."""

    name: str
    packed: float | None
    """Packed size by unpacked size."""
    ours: float
    theirs: float


def main() -> list[dict[str, object]]:
    """Measure and print; what was measured, for the file."""
    table = Table(title="Native speed, MB/s (ours is slang, checked; theirs is the C library)")
    for heading in ("what", "packed to", "ours", "theirs", "ours / theirs"):
        table.add_column(heading, justify="left" if heading == "what" else "right")
    found = list(results())
    for result in found:
        packed = "" if result.packed is None else f"{result.packed:.0%}"
        ratio = f"{result.ours / result.theirs:.2f}"
        table.add_row(result.name, packed, f"{result.ours:.0f}", f"{result.theirs:.0f}", ratio)
    Console().print(table)
    return [asdict(result) for result in found]


def results() -> Iterable[Result]:
    for name, data in corpora().items():
        yield measure_bzip2(name, data)
    data = random.Random(1).randbytes(1 << 20) * (SUM_BYTES >> 20)  # noqa: S311 - no secret
    lent: span[u8] = span(data)
    ours, theirs = speeds(lambda: xxh64(lent), lambda: xxhash.xxh64_intdigest(data), SUM_BYTES)
    assert xxh64(lent) == xxhash.xxh64_intdigest(data)  # noqa: S101 - a wrong sum has no speed
    yield Result("xxh64", None, ours, theirs)


def corpora() -> dict[str, bytes]:
    """Machine code, text and noise: what every Python installation has."""
    library = Path(sysconfig.get_path("stdlib"))
    code = b"".join(path.read_bytes() for path in sorted(library.glob("lib-dynload/*")))
    text = b"".join(path.read_bytes() for path in sorted(library.glob("*.py")))
    noise = random.Random(1).randbytes(CORPUS_BYTES)  # noqa: S311 - no secret
    found = {"bzip2, machine code": code, "bzip2, Python source": text, "bzip2, noise": noise}
    return {name: data[:CORPUS_BYTES] for name, data in found.items()}


def measure_bzip2(name: str, data: bytes) -> Result:
    chunks = [data[start : start + CHUNK_BYTES] for start in range(0, len(data), CHUNK_BYTES)]
    packed = [bz2.compress(chunk) for chunk in chunks]
    outs = [bytearray(len(chunk)) for chunk in chunks]
    work: span[u8] = span(bytearray(bzip2.WORK_BYTES))
    lent: list[tuple[span[u8], span[u8]]] = [
        (span(source), span(out)) for source, out in zip(packed, outs, strict=True)
    ]

    def ours() -> None:
        for source, out in lent:
            bzip2.decode(source, out, work)

    speed, other = speeds(ours, c_library(packed, chunks), len(data))
    assert [bytes(out) for out in outs] == chunks  # noqa: S101 - wrong bytes have no speed
    return Result(name, sum(map(len, packed)) / len(data), speed, other)


def c_library(packed: list[bytes], chunks: list[bytes]) -> Callable[[], object]:
    """libbz2 called without a detour; through Python's module where the library is not found."""
    path = ctypes.util.find_library("bz2")
    if path is None:
        return lambda: [bz2.decompress(source) for source in packed]
    decompress = ctypes.CDLL(path).BZ2_bzBuffToBuffDecompress
    buffers = [ctypes.create_string_buffer(len(chunk)) for chunk in chunks]

    def theirs() -> None:
        for source, buffer in zip(packed, buffers, strict=True):
            size = ctypes.c_uint(len(buffer))
            status = decompress(buffer, ctypes.byref(size), source, len(source), 0, 0)
            assert (status, size.value) == (0, len(buffer))  # noqa: S101 - nor has a failure

    return theirs


def speeds(ours: Callable[[], object], theirs: Callable[[], object], size: int) -> tuple[float, float]:
    """MB/s of both: the best of RUNS, in turns, after a run that does not count."""
    ours()
    theirs()
    times = [(elapsed(ours), elapsed(theirs)) for _ in range(RUNS)]
    return size / min(own for own, _ in times) / 1e6, size / min(other for _, other in times) / 1e6


def elapsed(function: Callable[[], object]) -> float:
    """Seconds."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start
