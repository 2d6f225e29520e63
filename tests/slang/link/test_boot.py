"""Does a boot sector made from IR run on a machine that a BIOS started?"""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from bootslang.slang.link import LinkRequest, ObjectFile, link

DEBUG_PORT = 0xE9
EXIT_PORT = 0xF4
BOOT_SECTOR = """
@greeting = internal constant [6 x i8] c"slang!", section ".rodata.greeting", align 1
@total = internal global i32 zeroinitializer, section ".bss.total", align 4

define void @start() naked section ".start" {
  call void asm sideeffect inteldialect "
    xor ax, ax
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov esp, 0x7c00
    mov edi, offset __bss_start
    mov ecx, offset __bss_end
    sub ecx, edi
    rep stosb
    call dword ptr cs:[pointer]", ""()
  unreachable
}
@pointer = hidden constant ptr @main, section ".rodata.pointer", align 4

define internal void @main() minsize optsize section ".text.main" {
entry:
  br label %loop
loop:
  %index = phi i32 [ 0, %entry ], [ %next, %loop ]
  %place = getelementptr [6 x i8], ptr @greeting, i32 0, i32 %index
  %letter = load i8, ptr %place
  call void @out(i16 233, i8 %letter)
  %wide = zext i8 %letter to i32
  %before = load i32, ptr @total
  %after = add i32 %before, %wide
  store i32 %after, ptr @total
  %next = add i32 %index, 1
  %more = icmp ult i32 %next, 6
  br i1 %more, label %loop, label %done
done:
  ; The exit device turns the value v into the exit code 2 v + 1.
  %sum = load i32, ptr @total
  %tenth = udiv i32 %sum, 10
  %code = trunc i32 %tenth to i8
  call void @out(i16 244, i8 %code)
  ret void
}
define internal void @out(i16 %port, i8 %value) minsize optsize noinline section ".text.out" {
  call void asm sideeffect inteldialect "out dx, al", "{dx},{al}"(i16 %port, i8 %value)
  ret void
}
@llvm.compiler.used = appending global [1 x ptr] [ptr @pointer], section "llvm.metadata"
"""


@pytest.mark.machine
def test_a_flat_real_mode_image_boots_and_reports(compiled: Callable[..., ObjectFile], tmp_path: Path) -> None:
    qemu = shutil.which("qemu-system-i386") or shutil.which("qemu-system-x86_64")
    assert qemu, "QEMU for x86 is not installed"
    code = compiled(BOOT_SECTOR, target="real16")
    linked = link(LinkRequest(name="stage 1", objects=(code,), base=0x7C00, file_limit=440))
    disk = tmp_path / "disk.img"
    disk.write_bytes(linked.data.ljust(510, b"\0") + b"\x55\xaa")
    run = subprocess.run(
        [
            *(qemu, "-accel", "tcg", "-display", "none", "-no-reboot", "-nodefaults", "-m", "8"),
            *("-drive", f"file={disk},format=raw"),
            *("-debugcon", "stdio", "-device", f"isa-debug-exit,iobase={EXIT_PORT:#x},iosize=1"),
        ],
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert b"slang!" in run.stdout
    assert run.returncode == 2 * (sum(b"slang!") // 10) + 1
