"""Does the cache give back what was put in, and never anything else?"""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bootslang.slang.cache import DIRECTORY_VARIABLE, Cache, default_directory, key

NAME = key("an entry")


def refuse() -> bytes:
    pytest.fail("it was computed again")


def files(cache: Cache) -> list[Path]:
    return [path for path in cache.directory.rglob("*") if path.is_file()]


def test_what_was_computed_once_is_not_computed_again(tmp_path: Path) -> None:
    assert Cache(tmp_path).get_or_compute(NAME, lambda: b"object") == b"object"
    assert Cache(tmp_path).get_or_compute(NAME, refuse) == b"object"


def test_an_error_is_passed_on_and_nothing_is_kept(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    with pytest.raises(ZeroDivisionError):
        cache.get_or_compute(NAME, lambda: bytes(1 // 0))
    assert cache.get(NAME) is None


@pytest.mark.parametrize("damage", [b"", b"slang cache 1\n", b"x" * 60])
def test_a_damaged_entry_is_computed_again(tmp_path: Path, damage: bytes) -> None:
    cache = Cache(tmp_path)
    cache.put(NAME, b"object")
    files(cache)[0].write_bytes(damage)
    assert cache.get_or_compute(NAME, lambda: b"new") == b"new"
    assert cache.get(NAME) == b"new"


def test_every_flipped_bit_is_noticed(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    cache.put(NAME, b"object")
    path = files(cache)[0]
    good = path.read_bytes()
    for bit in range(8 * len(good)):
        bad = bytearray(good)
        bad[bit // 8] ^= 1 << bit % 8
        path.write_bytes(bad)
        assert cache.get(NAME) is None


def test_a_directory_that_cannot_be_written_is_done_without(tmp_path: Path) -> None:
    # A file stands where the directory should be: that stops root, too, who may write anywhere.
    (tmp_path / "file").write_bytes(b"")
    cache = Cache(tmp_path / "file" / "cache")
    assert cache.get_or_compute(NAME, lambda: b"object") == b"object"
    assert cache.get(NAME) is None


def test_the_entries_unused_for_longest_go_first(tmp_path: Path) -> None:
    cache = Cache(tmp_path, most_bytes=3500)
    for index in range(4):
        cache.put(key(str(index)), bytes(1000))
        os.utime(cache._path(key(str(index))), (index, index))
    assert cache.get(key("0")) is not None  # it is used, and so the youngest
    cache.evict()
    assert [cache.get(key(str(index))) is not None for index in range(4)] == [True, False, True, True]


def test_the_size_is_bounded_by_writing_alone(tmp_path: Path) -> None:
    cache = Cache(tmp_path, most_bytes=10_000)
    for index in range(129):
        cache.put(key(str(index)), bytes(1000))
    assert sum(path.stat().st_size for path in files(cache)) <= 10_000


def test_many_writers_leave_whole_entries_and_no_litter(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from bootslang.slang.cache import Cache, key\n"
        "cache = Cache(Path(sys.argv[1]))\n"
        "for index in range(200): cache.put(key(str(index % 5)), bytes([index % 5]) * 5000)"
    )
    with ThreadPoolExecutor() as pool:
        runs = [
            pool.submit(subprocess.run, [sys.executable, "-c", program, str(tmp_path)], check=True) for _ in range(3)
        ]
        cache = Cache(tmp_path)
        while not all(run.done() for run in runs):
            assert cache.get(key("3")) in {None, bytes([3]) * 5000}
    assert [run.result().returncode for run in runs] == [0, 0, 0]
    assert len(files(cache)) == 5
    assert [cache.get(key(str(index))) for index in range(5)] == [bytes([index]) * 5000 for index in range(5)]


@given(st.lists(st.binary(max_size=4), max_size=4), st.lists(st.binary(max_size=4), max_size=4))
def test_only_equal_parts_have_equal_keys(one: list[bytes], other: list[bytes]) -> None:
    assert (key(*one) == key(*other)) == (one == other)


@pytest.mark.parametrize(
    ("platform", "variables", "expected"),
    [
        ("linux", {}, "/home/eve/.cache/bootslang"),
        ("linux", {"XDG_CACHE_HOME": "/var/eve"}, "/var/eve/bootslang"),
        ("linux", {"XDG_CACHE_HOME": "relative"}, "/home/eve/.cache/bootslang"),
        ("darwin", {"XDG_CACHE_HOME": "/var/eve"}, "/home/eve/Library/Caches/bootslang"),
        ("win32", {"LOCALAPPDATA": "/home/eve/local"}, "/home/eve/local/bootslang/Cache"),
        ("win32", {}, "/home/eve/AppData/Local/bootslang/Cache"),
        ("linux", {DIRECTORY_VARIABLE: "/elsewhere"}, "/elsewhere"),
        ("darwin", {DIRECTORY_VARIABLE: "/elsewhere"}, "/elsewhere"),
    ],
)
def test_the_directory_follows_the_operating_system(
    monkeypatch: pytest.MonkeyPatch, platform: str, variables: dict[str, str], expected: str
) -> None:
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA", DIRECTORY_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("bootslang.slang.cache.sys.platform", platform)
    monkeypatch.setattr(Path, "home", lambda: Path("/home/eve"))
    assert default_directory() == Path(expected)


def test_a_user_without_a_home_has_no_cache_and_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError

    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA", DIRECTORY_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    assert Cache().get_or_compute(NAME, lambda: b"object") == b"object"
