"""Does QEMU start the kernel that it is given, by Multiboot and by PVH, on every kind of machine, and with UEFI?"""

import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from bootslang.emulator import PASS, Machine
from bootslang.emulator.firmware import find_firmware
from bootslang.errors import InputInvalid, ToolMissing, UsageError
from support.small_kernels import exit_with, multiboot1_kernel, pvh_kernel, say

LIMIT_SECONDS = 60.0


@pytest.mark.machine
@pytest.mark.parametrize(
    ("kernel", "board"),
    [
        (multiboot1_kernel, "pc"),
        (multiboot1_kernel, "q35"),
        (pvh_kernel, "pc"),
        (pvh_kernel, "q35"),
        (pvh_kernel, "microvm"),
    ],
)
def test_a_kernel_is_started(tmp_path: Path, kernel: Callable[[bytes], bytes], board: str) -> None:
    path = tmp_path / "kernel, with a comma"
    path.write_bytes(kernel(say("started") + exit_with(PASS)))
    module = tmp_path / "module"
    module.touch()
    machine = Machine(kernel=path, initrd=module, append="some words", machine=board, accel="tcg", memory=64)
    outcome = machine.run(timeout=LIMIT_SECONDS)
    assert (outcome.console, outcome.guest_code) == ("started", PASS)


@pytest.mark.machine
def test_uefi_runs_without_a_disk() -> None:
    machine = Machine(machine="q35", firmware="ovmf", accel="tcg", memory=128)
    assert machine.run(expect="UEFI Interactive Shell", timeout=LIMIT_SECONDS).ok


def test_the_command_line_has_kernel_initrd_and_append() -> None:
    machine = Machine("a.img", kernel="k", initrd="i", append="two words", firmware=__file__, accel="tcg")
    words = shlex.split(machine.print_command())
    for option, value in (("-kernel", "k"), ("-initrd", "i"), ("-append", "two words"), ("-bios", __file__)):
        assert words[words.index(option) + 1] == value
    assert "-bios" not in Machine("a.img", accel="tcg").print_command()


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"kernel": "nowhere"}, InputInvalid, "nowhere: there is no such kernel"),
        ({"kernel": __file__, "initrd": "nowhere"}, InputInvalid, "nowhere: there is no such file"),
        ({"firmware": "nowhere"}, InputInvalid, "nowhere: there is no such firmware"),
        ({"append": "words"}, UsageError, "initrd and append belong to a kernel that QEMU loads, and there is none"),
    ],
)
def test_what_cannot_be_started(options: dict[str, str], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind) as refusal:
        Machine(**options, accel="tcg").run()  # type: ignore[arg-type]
    assert str(refusal.value).splitlines()[0] == message


def test_without_ovmf_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bootslang.emulator.firmware.OVMF_FILES", ("/nowhere",))
    with pytest.raises(ToolMissing) as missing:
        find_firmware("ovmf")
    assert "apt install ovmf" in missing.value.hint
