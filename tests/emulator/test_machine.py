"""Is every way in which a machine can end told from the others, and does none outlive us?"""

import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from bootslang.emulator import PASS, Drive, DriveKind, Ending, Machine
from bootslang.emulator.drive import ReadError
from bootslang.errors import CheckFailed, GuestCrashed, GuestTimeout, UsageError
from support.boot_sectors import (
    ECHO_A_KEY,
    HANG,
    POWER_OFF,
    RESET,
    TRIPLE_FAULT,
    boot_disk,
    exit_with,
    read_sector_1,
    say,
)

pytestmark = pytest.mark.machine

LIMIT_SECONDS = 60.0


def machine(folder: Path, code: bytes, *, debugcon: bool = False, reboot: bool = False) -> Machine:
    return Machine(boot_disk(folder, code), accel="tcg", memory=32, debugcon=debugcon, reboot=reboot)


@pytest.mark.parametrize(
    ("code", "ending", "exit_code"),
    [
        (exit_with(PASS), Ending.EXITED, 0),
        (exit_with(PASS + 1), Ending.EXITED, 1),
        (exit_with(0), Ending.EXITED, 1),
        (POWER_OFF, Ending.POWERED_OFF, 0),
        (RESET, Ending.RESET, 6),
        (TRIPLE_FAULT, Ending.TRIPLE_FAULT, 6),
        (say("Kernel panic - not syncing: no init\r\nRegisters\r\n") + HANG, Ending.PANICKED, 6),
    ],
)
def test_each_ending_has_its_name_and_exit_code(tmp_path: Path, code: bytes, ending: Ending, exit_code: int) -> None:
    outcome = machine(tmp_path, say("before\r\n") + code).run(timeout=LIMIT_SECONDS)
    assert (outcome.ending, outcome.exit_code) == (ending, exit_code)
    assert outcome.last_lines[0] == "before"


def test_a_machine_that_hangs_runs_into_the_time_limit(tmp_path: Path) -> None:
    outcome = machine(tmp_path, say("here I stay\r\n") + HANG).run(timeout=3)
    assert (outcome.ending, outcome.exit_code) == (Ending.TIMED_OUT, 5)
    with pytest.raises(GuestTimeout) as late:
        outcome.check()
    assert late.value.hint == "The last lines of the console:\n    here I stay"


def test_the_expected_text_ends_the_run_at_once(tmp_path: Path) -> None:
    outcome = machine(tmp_path, say("x is 42!\r\n") + HANG).run(expect="42", timeout=LIMIT_SECONDS)
    assert (outcome.ending, outcome.detail, outcome.ok) == (Ending.EXPECTED, "42", True)
    assert outcome.check() is outcome


@pytest.mark.parametrize("code", [POWER_OFF, exit_with(PASS)])
def test_a_good_end_without_the_expected_text_is_a_failure(tmp_path: Path, code: bytes) -> None:
    with pytest.raises(CheckFailed, match="before it had printed 'hello'"):
        machine(tmp_path, say("hullo\r\n") + code).run(expect="hello", timeout=LIMIT_SECONDS).check()


def test_a_triple_fault_tells_where_the_cpu_was(tmp_path: Path) -> None:
    outcome = machine(tmp_path, TRIPLE_FAULT).run(timeout=LIMIT_SECONDS)
    assert outcome.detail == "EIP=00007c05 CS=0000"
    with pytest.raises(GuestCrashed, match="triple fault: EIP=00007c05"):
        outcome.check()


def test_a_reset_boots_again_where_that_is_wanted(tmp_path: Path) -> None:
    code = say("boot\r\n") + RESET
    outcome = machine(tmp_path, code, reboot=True).run(expect="boot\r\n" * 3, timeout=LIMIT_SECONDS)
    assert outcome.ok


def test_a_script_types_what_the_guest_waits_for(tmp_path: Path) -> None:
    code = say("name? ") + ECHO_A_KEY + say(" and? ") + ECHO_A_KEY + say(" done\r\n") + HANG
    steps = [("name? ", "q"), ("and? ", "z")]
    outcome = machine(tmp_path, code).run(script=steps, expect="done", timeout=LIMIT_SECONDS)
    assert outcome.ok
    assert "name? q and? z done" in outcome.console


def test_a_started_machine_can_be_talked_to(tmp_path: Path) -> None:
    with machine(tmp_path, say("key? ") + ECHO_A_KEY + say("\r\n") + POWER_OFF).start() as guest:
        guest.expect("key? ", timeout=LIMIT_SECONDS)
        status = guest.execute("query-status")
        assert isinstance(status, dict)
        assert status["status"] == "running"
        guest.send("k")
        guest.expect("k\r\n", timeout=LIMIT_SECONDS)
        assert guest.watch(timeout=LIMIT_SECONDS).ending is Ending.POWERED_OFF
        assert not guest.running
        with pytest.raises(GuestCrashed, match="has ended"):
            guest.execute("query-status")


def test_a_shell_can_be_asked(tmp_path: Path) -> None:
    code = say("# ") + ECHO_A_KEY + ECHO_A_KEY + say("yes\r\nand no\r\n# ") + HANG
    with machine(tmp_path, code).start() as guest:
        guest.expect("# ", timeout=LIMIT_SECONDS)
        assert guest.ask("?", timeout=LIMIT_SECONDS) == "yes\nand no\n"


def test_what_does_not_come_is_a_timeout(tmp_path: Path) -> None:
    with machine(tmp_path, say("one\r\n") + HANG).start() as guest:
        guest.expect("one", timeout=LIMIT_SECONDS)
        with pytest.raises(GuestTimeout, match=r"'one' did not come within 0\.5 seconds"):
            guest.expect("one", timeout=0.5)


def test_what_can_come_no_more_is_a_crash(tmp_path: Path) -> None:
    with (
        machine(tmp_path, say("one\r\n") + POWER_OFF).start() as guest,
        pytest.raises(GuestCrashed, match="powered the machine off"),
    ):
        guest.expect("two", timeout=LIMIT_SECONDS)


def test_port_e9_has_a_console_of_its_own(tmp_path: Path) -> None:
    with machine(tmp_path, say("aside", port=0xE9) + say("aloud") + exit_with(PASS), debugcon=True).start() as guest:
        assert guest.watch(timeout=LIMIT_SECONDS).ok
        assert guest.debugcon is not None
        assert (guest.debugcon.text, guest.console.text) == ("aside", "aloud")


@pytest.mark.parametrize("kind", ["ide", "virtio"])
def test_a_read_error_reaches_the_guest(tmp_path: Path, kind: DriveKind) -> None:
    path = boot_disk(tmp_path, read_sector_1())
    for errors, answer in (([], "G"), ([ReadError(offset_bytes=512)], "B")):
        drive = Drive(path=path, kind=kind, read_errors=errors)
        outcome = Machine(drive, accel="tcg", memory=32).run(expect=re.compile("[GB]"), timeout=LIMIT_SECONDS)
        assert outcome.console == answer


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "board"),
    [
        ("ide", "pc"),
        ("ide", "isapc"),
        ("ahci", "q35"),
        ("ahci", "pc"),
        ("virtio", "q35"),
        ("nvme", "pc"),
        ("usb", "pc"),
        ("usb-ehci", "pc"),
        ("usb-uhci", "pc"),
        ("lsi", "pc"),
        ("megasas", "pc"),
        ("pvscsi", "pc"),
        ("virtio-scsi", "pc"),
    ],
)
def test_every_kind_of_drive_boots_ahead_of_another(tmp_path: Path, kind: DriveKind, board: str) -> None:
    other = boot_disk(tmp_path, say("the wrong disk") + HANG, name="first.img")
    booted = boot_disk(tmp_path, say("booted") + exit_with(PASS))
    disks = [Drive(path=other), Drive(path=booted, kind=kind, boot_index=0)]
    if board == "isapc":
        disks.reverse()  # SeaBIOS takes the boot order from PCI paths, which this machine has not
    outcome = Machine(*disks, machine=board, accel="tcg", memory=64).run(timeout=LIMIT_SECONDS)
    assert (outcome.console, outcome.guest_code) == ("booted", PASS)


def test_what_qemu_refuses_is_told_in_its_words(tmp_path: Path) -> None:
    path = boot_disk(tmp_path, HANG)
    with pytest.raises(UsageError, match=r"QEMU refused to start: .*no-such-cpu"):
        Machine(path, cpu="no-such-cpu", accel="tcg").run()


def test_qemu_dies_with_us_however_we_die(tmp_path: Path) -> None:
    code = textwrap.dedent(
        """
        import sys, time
        from bootslang import Machine
        guest = Machine(sys.argv[1], accel="tcg", memory=32).start()
        guest.expect("up", timeout=60)
        print(guest.process_id, flush=True)
        time.sleep(60)
        """
    )
    path = boot_disk(tmp_path, say("up\r\n") + HANG)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as parent:
        assert parent.stdout is not None
        qemu = int(parent.stdout.readline())
        assert lives(qemu)
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    deadline = time.monotonic() + 10
    while lives(qemu) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not lives(qemu)


def lives(process_id: int) -> bool:
    """It runs; one that is dead but not yet waited for does not."""
    try:
        os.kill(process_id, 0)
        stat = Path(f"/proc/{process_id}/stat").read_text()
    except (ProcessLookupError, FileNotFoundError):
        return False
    return stat.rsplit(")", 1)[1].split()[0] != "Z"
