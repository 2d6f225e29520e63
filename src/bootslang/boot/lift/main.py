"""Stage 4, the lift: read what is to be booted, check it, put it where it belongs, hand the machine over.

A door enters `main` with the BootContext that it has filled (the BIOS's by `entry32.py` or `entry64.py`); all that
happens from here on is the same for every door and for both widths. Nothing goes back.
"""

from typing import NoReturn

from bootslang.boot.context import FLAG_VERBOSE, BootContext
from bootslang.boot.disk import KERNEL_HANDOFF
from bootslang.boot.lib import console, progress
from bootslang.boot.lift import exceptions, kernel, linux, payload
from bootslang.boot.lift.handoff import boot as handoff
from bootslang.boot.lift.memory_map import MemoryMap, normalise
from bootslang.boot.lift.stopwatch import STAMP_LIFT, stamp
from bootslang.slang import compile_for, fn, target, usize

compile_for("protected32", "long64")

memory: MemoryMap = MemoryMap.zeroed()


@fn
def main(context_address: usize) -> NoReturn:
    """Boot what the door has lent."""
    context = BootContext.at(context_address)
    stamp(context, STAMP_LIFT)
    console.start(context.log, context.flags & FLAG_VERBOSE != 0)
    if target.bits == 64 and not target.host:
        exceptions.install(0, with_stacks=False)
    normalise(context, memory)
    payload.find(memory, context)
    progress.start(payload.total_bytes())
    if payload.kernel().kind == KERNEL_HANDOFF:
        start_by_handoff(context)
    linux.boot(memory, context)


@fn
def start_by_handoff(context: BootContext) -> NoReturn:
    """Start a kernel of the user's own."""
    if target.bits == 64:
        handoff.boot(memory, context)
    kernel.refuse_64_bits()
