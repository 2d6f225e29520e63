"""What a Linux kernel wants to know of a PC from its BIOS: keyboard state, SpeedStep (IST), APM. Stage 3 calls each.

32-bit protected mode, BIOS calls through the gate. A BIOS that does not know a call leaves the field zero.
"""

from typing import Final

from bootslang.boot.bios.calls import KEYBOARD, SYSTEM, call_bios
from bootslang.boot.context import BootContext, GateRequest
from bootslang.boot.lib import console
from bootslang.slang import Struct, compile_for, cpuid, fn, u8, u16, u32

compile_for("protected32")

GET_SHIFT_STATE: Final = 0x0200
SET_FASTEST_REPEAT: Final = 0x0305

GET_IST: Final = 0xE980
IST_SIGNATURE: Final = 0x4753_4943
"""Its letters are "GSIC"."""
IST_LEAST_FAMILY: Final = 6
"""Older BIOSes have been seen to crash on the call, and older processors have no SpeedStep."""

APM_CHECK: Final = 0x5300
APM_CONNECT_32: Final = 0x5303
APM_DISCONNECT: Final = 0x5304
APM_SIGNATURE: Final = 0x504D
"""Its letters are "PM"."""
APM_32_BIT: Final = 2


class ApmInfo(Struct):
    """As it stands in the zero page at 0x40."""

    version: u16
    code_segment: u16
    entry: u32
    code16_segment: u16
    data_segment: u16
    flags: u16
    code_size: u16
    code16_size: u16
    data_size: u16


@fn
def read_keyboard(context: BootContext) -> None:
    """Take the state of the shift and lock keys; set the keys' repeat rate to the fastest, as Linux does."""
    request = GateRequest.zeroed()
    request.eax = GET_SHIFT_STATE
    call_bios(KEYBOARD, request, 0)
    context.keyboard_state = u8(request.eax)
    request = GateRequest.zeroed()
    request.eax = SET_FASTEST_REPEAT
    call_bios(KEYBOARD, request, 0)


@fn
def read_ist(context: BootContext) -> None:
    """Ask for the SpeedStep interface, where the processor is new enough for the question."""
    signature, _, _, _ = cpuid(1)
    if signature >> 8 & 15 < IST_LEAST_FAMILY:
        return
    request = GateRequest.zeroed()
    request.eax = GET_IST
    request.edx = IST_SIGNATURE
    if not call_bios(SYSTEM, request, 0) and request.eax == IST_SIGNATURE:
        context.ist[0] = request.eax
        context.ist[1] = request.ebx
        context.ist[2] = request.ecx
        context.ist[3] = request.edx


@fn
def read_apm(context: BootContext) -> None:
    """Connect the 32-bit Advanced Power Management interface and describe it."""
    request = GateRequest.zeroed()
    if not has_apm(request) or request.ecx & APM_32_BIT == 0:
        return
    disconnect_apm()
    info = ApmInfo.of(context.apm)
    request = GateRequest.zeroed()
    request.eax = APM_CONNECT_32
    if call_bios(SYSTEM, request, 0):
        return
    info.code_segment = u16(request.eax)
    info.entry = request.ebx
    info.code16_segment = u16(request.ecx)
    info.data_segment = u16(request.edx)
    info.code_size = u16(request.esi)
    info.code16_size = u16(request.esi >> 16)
    info.data_size = u16(request.edi)
    # Some BIOSes tell other flags once the 32-bit interface is connected.
    request = GateRequest.zeroed()
    if has_apm(request):
        info.version = u16(request.eax)
        info.flags = u16(request.ecx)
        if console.verbose:
            print(f"stage 3: APM {info.version:#06x}")
    else:
        disconnect_apm()
        context.apm.fill(0)


@fn
def has_apm(request: GateRequest) -> bool:
    request.eax = APM_CHECK
    return not call_bios(SYSTEM, request, 0) and u16(request.ebx) == APM_SIGNATURE


@fn
def disconnect_apm() -> None:
    request = GateRequest.zeroed()
    request.eax = APM_DISCONNECT
    call_bios(SYSTEM, request, 0)
