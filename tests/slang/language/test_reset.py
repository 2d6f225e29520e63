"""Do module-level variables have their first values again, as if the machine had been switched on anew?"""

from __future__ import annotations

from bootslang.slang import array, compile_for, fn, host, u8, u32

compile_for("protected32", "long64")

count: u32 = 7
table: array[u8] = array[u8](4)


@fn
def use() -> u32:
    """Change both."""
    global count
    count += 1
    table[2] = 9
    return count


def test_numbers_and_arrays_begin_anew_for_native_code_and_for_python() -> None:
    assert use() == 8
    assert use() == 9
    assert (count, table[2]) == (9, 9)
    host.reset()
    assert (count, table[2]) == (7, 0)
    assert use() == 8
