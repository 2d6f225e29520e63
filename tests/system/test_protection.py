"""Do W^X, NX, RELRO and the guard page hold, and do the loader's handlers, while they are installed, say where?

The strict guest tells what it is about to do, then does it; it has wiped all free memory before.
"""

import re
from pathlib import Path
from typing import NamedTuple

import pytest

from support import doors
from support.doors import Payload
from support.handoff import LINKINGS, Guests

pytestmark = pytest.mark.machine

GUARD_BYTES = 0x1000


class Fault(NamedTuple):
    """What the guest is to do, and what the handler is to say of it."""

    how: str
    exception: str
    access: str = ""
    place: str = "the kernel"


PAGE_FAULT = "CPU exception 14 (#PF page fault)"
WRITTEN = "may not be written to"
EXECUTED = "may not be executed"
FAULTS = (
    Fault("write-code", f"{PAGE_FAULT}, error code 0x3", WRITTEN),
    Fault("write-constant", f"{PAGE_FAULT}, error code 0x3", WRITTEN),
    Fault("write-relro", f"{PAGE_FAULT}, error code 0x3", WRITTEN),
    Fault("execute-data", f"{PAGE_FAULT}, error code 0x11", EXECUTED),
    Fault("execute-constant", f"{PAGE_FAULT}, error code 0x11", EXECUTED),
    Fault(
        "execute-direct-map",
        f"{PAGE_FAULT}, error code 0x11",
        EXECUTED,
        place="outside of the loader and of the kernel",
    ),
    Fault("overflow-stack", f"{PAGE_FAULT}, error code 0x2", "written to, but not mapped"),
    Fault("divide", "CPU exception 0 (#DE divide error)"),
)


def report_of(folder: Path, guests: Guests, kernel: str, fault: Fault) -> str:
    payload = Payload(guests.path(kernel), command_line=f"fault={fault.how}")
    machine = doors.PVH_Q35.machine(folder, "module", payload, 64)
    outcome = machine.run(expect="Boot stopped.", timeout=180).check()
    return outcome.console.replace("\r", "")


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.how for fault in FAULTS])
def test_a_fault_is_told(tmp_path: Path, guests: Guests, fault: Fault) -> None:
    console = report_of(tmp_path, guests, "pie", fault)
    told = re.search(r"^fault (\w+) (\w+)$", console, re.MULTILINE)
    assert told, console
    instruction, target = (int(word, 16) for word in told.groups())
    assert f"\n{fault.exception}\nRIP {instruction:#x}: {fault.place}\n" in console
    if fault.access:
        found = re.search(rf"^CR2 (0x\w+): {fault.access}$", console, re.MULTILINE)
        assert found, console
        assert not target or int(found[1], 16) == target


def test_a_stack_that_overflows_does_so_at_its_guard_page(tmp_path: Path, guests: Guests) -> None:
    """The first page below the stack stops it: nothing of the loader's was written over before."""
    console = report_of(tmp_path, guests, "pie", FAULTS[-2])
    touched = re.search(r"^CR2 (0x\w+):", console, re.MULTILINE)
    pushed_at = re.search(r"^RSP (0x\w+) ", console, re.MULTILINE)
    assert touched
    assert pushed_at
    assert "That is the page below the kernel's stack: it has overflowed.\n" in console
    assert int(touched[1], 16) == int(pushed_at[1], 16) - 8
    assert int(pushed_at[1], 16) % GUARD_BYTES == 0


@pytest.mark.slow
@pytest.mark.parametrize("kernel", LINKINGS)
@pytest.mark.parametrize("fault", FAULTS[:2], ids=[fault.how for fault in FAULTS[:2]])
def test_every_linking_has_its_rights(tmp_path: Path, guests: Guests, kernel: str, fault: Fault) -> None:
    assert f"{fault.exception}\n" in report_of(tmp_path, guests, kernel, fault)
