"""Every exception that Bootslang raises on purpose, and the exit code that the command gives each.

    BootslangError             the root; never raised itself
    ├── CheckFailed       1    the thing that was checked is bad: damage found, the guest said fail
    ├── UsageError        2    what was asked for makes no sense
    ├── ToolMissing       3    a program or library is not there, or this host cannot do it
    ├── InputInvalid      4    a file cannot be read, or is not what it has to be
    │   ├── KernelInvalid      … a kernel
    │   ├── InitramfsInvalid   … the tree or the file of an initramfs
    │   └── ImageInvalid       … a disk image, a device, or what lies on it
    │       ├── PartitionTableInvalid   … the partition table
    │       ├── FormatInvalid           … a loader slot, a manifest or a chunk table
    │       ├── NoRoom                  … too small for what has to go there
    │       └── TargetRefused           … what must not be written to: mounted, holding a file system, read-only
    ├── GuestTimeout      5    a machine did not do what was waited for in time
    └── GuestCrashed      6    a machine panicked, reset itself or died

An error says what failed, where and why in `message`, and what to do about it in `hint`. Both are whole sentences for
the user, without a traceback. Anything else that escapes is a bug of ours (exit code 70).
"""

from typing import ClassVar


class BootslangError(Exception):
    """What a user can meet and mend.

    `message` says what failed, where and why; `hint` what to do, and is empty where there is nothing to add.
    `exit_code` is what the command ends with.
    """

    exit_code: ClassVar[int] = 70

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class CheckFailed(BootslangError):
    """What was checked is bad: `verify` found damage, or a guest reported failure."""

    exit_code = 1


class UsageError(BootslangError):
    """The options contradict each other, or ask for what does not exist."""

    exit_code = 2


class ToolMissing(BootslangError):
    """A program or library that this needs is not installed, or the host cannot do it at all."""

    exit_code = 3


class InputInvalid(BootslangError):
    """A file or device cannot be read or written, or does not hold what it has to."""

    exit_code = 4


class KernelInvalid(InputInvalid):
    """The file is no kernel that can be booted, or the kernel cannot take what it is to be given."""


class InitramfsInvalid(InputInvalid):
    """A tree that cannot become an initramfs, or a file that is none."""


class ImageInvalid(InputInvalid):
    """A disk image or device that cannot be built, updated or read."""


class PartitionTableInvalid(ImageInvalid):
    """The partition table contradicts itself or the disk, or is not one that a BIOS starts from."""


class FormatInvalid(ImageInvalid):
    """Bytes in a boot partition that are no loader slot, manifest or chunk table, although they should be."""


class NoRoom(ImageInvalid):
    """The content does not fit the partition, or the disk, or the space that is left on the host."""


class TargetRefused(ImageInvalid):
    """What was named as the disk must not be written to: it is mounted, holds a file system, or is no disk."""


class GuestTimeout(BootslangError):
    """A machine did not reach what was waited for within its time."""

    exit_code = 5


class GuestCrashed(BootslangError):
    """A machine ended otherwise than by powering off: panic, triple fault, or its emulator died."""

    exit_code = 6
