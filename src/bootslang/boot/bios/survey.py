"""Stage 3: asks the BIOS all that the kernel will want to know, writes it into BootContext, and goes on in stage 4.

Stage 2 enters it in 32-bit protected mode: flat segments, interrupts off, paging off, the low stack, EAX = BootContext.
It leaves stage 4 in the same state.
"""

from typing import Final, NoReturn

from bootslang.boot.bios import calls
from bootslang.boot.bios.edd import survey_disks
from bootslang.boot.bios.low_memory import reserve_low_memory
from bootslang.boot.bios.memory_map import read_memory_map
from bootslang.boot.bios.next_stage import enter
from bootslang.boot.bios.platform import read_apm, read_ist, read_keyboard
from bootslang.boot.bios.video import Size, read_text_mode, set_framebuffer
from bootslang.boot.context import FLAG_VERBOSE, LOG_WITHOUT_SCREEN, BootContext
from bootslang.boot.disk import LoaderHeader
from bootslang.boot.layout import BOUNCE, BOUNCE_END, STAGE2, STAGE4
from bootslang.boot.lib import console, tables
from bootslang.slang import asm, compile_for, fn, offsetof, read_tsc, span, u8, u32

compile_for("protected32")

STAMP: Final = 3


@fn(naked=True, section=".start")
def start() -> None:
    """The first byte of the image: EAX is `main`'s argument as it stands."""
    asm(f"jmp {main}")


@fn
def main(context_address: u32) -> NoReturn:
    """Do what stage 3 has to do, in order."""
    context = BootContext.at(context_address)
    context.stamps[STAMP] = read_tsc()
    calls.gate_entry = context.gate
    console.start(context.log, context.flags & FLAG_VERBOSE != 0)
    scratch = span[u8](BOUNCE, BOUNCE_END - BOUNCE)

    read_memory_map(context)  # what is RAM
    reserve_low_memory(context)  # and what of it is taken
    survey_disks(context, scratch)  # EDD data and MBR signatures, for /sys/firmware/edd
    tables.find_tables(context)  # ACPI, SMBIOS
    tables.tell(context)
    read_keyboard(context)  # NumLock and its friends
    read_ist(context)  # SpeedStep
    read_apm(context)  # power management before ACPI
    read_text_mode(context.text_mode)  # the screen as it is
    set_framebuffer(context.framebuffer, wanted_framebuffer(), scratch)  # or the one that `build` asked for
    if context.framebuffer.base:
        context.log = LOG_WITHOUT_SCREEN
    enter(STAGE4, context_address)


@fn
def wanted_framebuffer() -> Size:
    """The fields of stage 2's header, which is still in memory."""
    return Size.at(STAGE2 + offsetof(LoaderHeader, "framebuffer_width"))
