"""Does the loader start on every kind of machine that QEMU puts it into, and say what it was told and what is wrong?"""

from pathlib import Path
from typing import Literal

import pytest

from bootslang import Loader, Machine
from bootslang.boot.doors.no_long_mode import MESSAGE

pytestmark = pytest.mark.machine
NOTHING = "there is nothing to boot: give the loader a kernel, or a bundle, as its first module"
STOPPED = "Boot stopped"
TIMEOUT_SECONDS = 60


@pytest.fixture(scope="module")
def loaders(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    folder = tmp_path_factory.mktemp("loaders")
    Loader().build(folder / "elf64")
    Loader(elf32=True).build(folder / "elf32")
    return {64: folder / "elf64", 32: folder / "elf32"}


@pytest.mark.parametrize(
    ("bits", "machine"), [(32, "pc"), (64, "pc"), (64, "q35"), (64, "microvm")], ids=["mb1", "pvh", "q35", "microvm"]
)
def test_without_a_module_it_says_what_to_do(loaders: dict[int, Path], bits: Literal[32, 64], machine: str) -> None:
    started = Machine(
        kernel=loaders[bits], append="--verbose --nonsense quiet", machine=machine, memory=32, accel="tcg"
    )
    outcome = started.run(expect=STOPPED, timeout=TIMEOUT_SECONDS)
    assert "option --nonsense is not understood, and passed over" in outcome.console
    assert NOTHING in outcome.console


@pytest.mark.parametrize("log", ["serial", "debugcon"])
def test_it_writes_where_it_is_told_to(loaders: dict[int, Path], log: str) -> None:
    machine = Machine(kernel=loaders[64], append=f"--log={log}", memory=32, accel="tcg", debugcon=True)
    with machine.start() as guest:
        assert guest.debugcon is not None
        used, unused = (guest.console, guest.debugcon) if log == "serial" else (guest.debugcon, guest.console)
        with used.changed:
            assert used.changed.wait_for(lambda: used.search(STOPPED), TIMEOUT_SECONDS)
        assert NOTHING in used.text
        assert NOTHING not in unused.text


def test_a_32_bit_cpu_is_told_so(loaders: dict[int, Path]) -> None:
    machine = Machine(kernel=loaders[32], cpu="qemu32", memory=32, accel="tcg")
    machine.run(expect=MESSAGE, timeout=TIMEOUT_SECONDS).check()
