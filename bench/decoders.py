"""How fast the decoders and XXH64 are, compiled natively, beside the C libraries: `python -m bench decoders`.

Each corpus is cut into chunks as a disk is, each chunk packed alone by the host's packer. The best of several runs
counts, in processor time; the two run in turns, so that a busy machine slows both. A call from Python to slang takes
some 10 microseconds, which no boot has: noise unpacks in twice that. It is subtracted, one to C is not. Every output is
compared with the original. A format is one line in FORMATS, its C library one function in c_libraries.py.
"""

from __future__ import annotations

import random
import sysconfig
import time
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import xxhash
from rich.console import Console
from rich.table import Table

from bench import c_libraries
from bootslang.boot.codecs import bzip2, deflate, gzip, lz4, lzma, registry, xz, zstd
from bootslang.boot.disk import CHUNK_BYTES
from bootslang.boot.lib.xxh64 import xxh64
from bootslang.image.codecs import CODECS
from bootslang.kernel.debian import amd64_busybox, cloud_vmlinux
from bootslang.slang import span, u8

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

CORPUS_BYTES = 8 << 20
SUM_BYTES = 64 << 20
RUNS = 9


@dataclass(frozen=True)
class Format:
    """One codec: ours and theirs."""

    decode: Callable[[span[u8], span[u8], span[u8]], None]
    work_bytes: int
    library: Callable[[], c_libraries.Unpack]
    """The C library's function, found when it is needed."""


FORMATS: Final = {
    "bzip2": Format(bzip2.decode, bzip2.WORK_BYTES, c_libraries.bzip2),
    "deflate": Format(deflate.decode, deflate.WORK_BYTES, c_libraries.deflate),
    "gzip": Format(gzip.decode, gzip.WORK_BYTES, c_libraries.gzip),
    "xz": Format(xz.decode, xz.WORK_BYTES, c_libraries.xz),
    "lzma": Format(lzma.decode, lzma.WORK_BYTES, c_libraries.lzma),
    "lz4": Format(lz4.decode, lz4.WORK_BYTES, c_libraries.lz4),
    "zstd": Format(zstd.decode, zstd.WORK_BYTES, c_libraries.zstd),
}


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
    parts = corpora()
    for name in FORMATS:
        for corpus, data in parts.items():
            yield measure(name, corpus, data)
    data = random.Random(1).randbytes(1 << 20) * (SUM_BYTES >> 20)  # noqa: S311 - no secret
    lent: span[u8] = span(data)
    ours, theirs = speeds(lambda: xxh64(lent), lambda: xxhash.xxh64_intdigest(data), SUM_BYTES)
    assert xxh64(lent) == xxhash.xxh64_intdigest(data)  # noqa: S101 - a wrong sum has no speed
    yield Result("xxh64", None, ours, theirs)


def corpora() -> dict[str, bytes]:
    """What is booted, and text and noise."""
    library = Path(sysconfig.get_path("stdlib"))
    found = {
        "kernel": cloud_vmlinux().read_bytes(),
        "busybox": amd64_busybox().read_bytes(),
        "Python source": b"".join(path.read_bytes() for path in sorted(library.glob("*.py"))),
        "noise": random.Random(1).randbytes(CORPUS_BYTES),  # noqa: S311 - no secret
    }
    return {name: data[:CORPUS_BYTES] for name, data in found.items()}


def measure(name: str, corpus: str, data: bytes) -> Result:
    """One format on one corpus."""
    form = FORMATS[name]
    chunks = [data[start : start + CHUNK_BYTES] for start in range(0, len(data), CHUNK_BYTES)]
    packed = [CODECS[name].pack(chunk) for chunk in chunks]
    outs = [bytearray(len(chunk)) for chunk in chunks]
    work: span[u8] = span(bytearray(form.work_bytes))
    lent: list[tuple[span[u8], span[u8]]] = [
        (span(source), span(out)) for source, out in zip(packed, outs, strict=True)
    ]
    unpack = form.library()
    buffers = [c_libraries.buffer(len(chunk)) for chunk in chunks]

    def ours() -> None:
        for source, out in lent:
            form.decode(source, out, work)

    def theirs() -> None:
        for source, out in zip(packed, buffers, strict=True):
            unpack(source, out)

    speed, other = speeds(ours, theirs, len(data), calls=len(chunks))
    assert [bytes(out) for out in outs] == chunks  # noqa: S101 - wrong bytes have no speed
    assert [out.raw for out in buffers] == chunks  # noqa: S101 - nor have these
    return Result(f"{name}, {corpus}", sum(map(len, packed)) / len(data), speed, other)


def speeds(
    ours: Callable[[], object], theirs: Callable[[], object], size: int, *, calls: int = 1
) -> tuple[float, float]:
    """MB/s of both: the best of RUNS, in turns, after a run that does not count; `calls` are made to slang in each."""
    ours()
    theirs()
    times = [(elapsed(ours), elapsed(theirs)) for _ in range(RUNS)]
    own = min(own for own, _ in times) - calls * call_seconds()
    return size / own / 1e6, size / min(other for _, other in times) / 1e6


@cache
def call_seconds() -> float:
    """What a call to a decoder takes that has nothing to do."""
    nothing: span[u8] = span(bytearray())
    return min(elapsed(lambda: registry.copy(nothing, nothing, nothing)) for _ in range(1000))


def elapsed(function: Callable[[], object]) -> float:
    """Seconds of this thread."""
    start = time.thread_time()
    function()
    return time.thread_time() - start
