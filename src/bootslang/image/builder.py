"""`Image`: from kernel, initrds and command line to a disk that boots, a new image or an existing one.

    Image(kernel="vmlinuz", initrds=["initrd.gz"], command_line="console=ttyS0").build("disk.img")

The command `bootslang build` is a thin coat over this file.
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import UUID

from xxhash import xxh3_128, xxh32_intdigest

from bootslang.errors import TargetRefused, UsageError
from bootslang.image import codecs, ext4, update
from bootslang.image import format as disk
from bootslang.image.contents import Contents, Progress, advancing
from bootslang.image.disks import bootable, guess_sector_size
from bootslang.image.filesystems import recognise
from bootslang.image.generation import kernel_bits
from bootslang.image.layout import NewDisk, parse_size, whole_mib
from bootslang.image.loader import (
    Loader,
    LoaderOptions,
    Stages,
    check_framebuffer,
    make_loader,
    parse_framebuffer,
)
from bootslang.image.medium import FileMedium, Medium, Region
from bootslang.image.partitions import (
    SECTOR_SIZES,
    Partition,
    read_partition_table,
    write_partition_table,
)
from bootslang.image.payload import Payload
from bootslang.image.report import BuildReport, blob_sizes
from bootslang.image.target import Kind, classify, existing_disk, new_image
from bootslang.kernel import Kernel

_ROOT_TRIES: Final = 5


@dataclass(frozen=True, kw_only=True)
class Image:
    """A disk to be built."""

    kernel: str | os.PathLike[str] | Kernel
    """Linux's `bzImage` or `vmlinux`, or a 64-bit ELF kernel of one's own."""
    initrds: Iterable[str | os.PathLike[str]] = ()
    """Linux gets them merged in this order; another kernel as its modules."""
    command_line: str = ""
    size: int | str | None = None
    """Of the whole disk, in bytes or like "512M"; by default what it needs, with room for a second generation."""
    root: str | os.PathLike[str] | None = None
    """A tree for an ext4 partition of a new image."""
    codec: str = "auto"
    """One of `bootslang.image.codecs.CODEC_CHOICES`."""
    protocol: str = "auto"
    """How the kernel is started, one of `bootslang.kernel.PROTOCOLS`; by default what it is made for."""
    allow_wx: bool = False
    """Let a kernel of the hand-off protocol have memory that is writable and executable."""
    randomise: bool = False
    """Put a position-independent kernel of the hand-off protocol at a random virtual address."""
    verbose: bool = False
    """Whether the loader tells each step."""
    framebuffer: str | tuple[int, int, int] | None = None
    """A video mode to set, "1024x768x32"; text mode by default."""
    sector_size: int | None = None
    """512 or 4096; by default that of the existing disk, and 512 for a new one."""
    force: bool = False
    """Install over a file system in the boot partition."""
    disk_signature: int | None = None
    """Of a new image; by default made from its contents, so that the same contents get the same."""

    def build(self, path: str | os.PathLike[str], progress: Progress | None = None) -> BuildReport:
        """Make a new image at `path`, or install into the active partition of the image or device that is there.

        Raises:
            BootslangError: One of its subclasses, before anything is written or with nothing left half-done.

        """
        job = _Job(self, Path(path), progress or (lambda _what, _done, _total: None))
        return job.run()


def linked_stages(codec_names: tuple[str, ...], bits: frozenset[int]) -> Stages:
    """The rocket's stages, linked with these codecs, for kernels of these widths."""
    from bootslang.rocket import stages

    return stages(codecs=codec_names, bits=bits)


class _Job:
    """One run of `Image.build`: the inputs, checked, and the steps."""

    def __init__(self, image: Image, path: Path, progress: Progress) -> None:
        self.image = image
        self.path = path
        self.progress = progress
        self.framebuffer = _framebuffer(image.framebuffer)
        if image.sector_size not in {None, *SECTOR_SIZES}:
            raise UsageError(f"Sectors of {image.sector_size} bytes are not supported.", hint="Choose 512 or 4096.")
        if image.disk_signature is not None and not 0 < image.disk_signature <= 0xFFFF_FFFF:
            raise UsageError(f"The disk signature {image.disk_signature:#x} is not in 1 to 0xffffffff.")
        self.contents = Contents.read(
            image.kernel,
            image.initrds,
            image.command_line,
            image.codec,
            protocol=image.protocol,
            allow_wx=image.allow_wx,
            randomise=image.randomise,
        )

    def run(self) -> BuildReport:
        kind = classify(self.path)
        with Payload() as payload:
            return self._build_new(payload) if kind is Kind.NEW else self._install(payload, kind)

    def _build_new(self, payload: Payload) -> BuildReport:
        sector_size = self.image.sector_size or 512
        tree = ext4.read_tree(Path(self.image.root)) if self.image.root is not None else None
        self.contents.pack(payload, self.progress)
        identity = _identity(payload, tree)
        signature = self.image.disk_signature or xxh32_intdigest(identity) or 1
        root_least = whole_mib(tree.least_bytes) if tree else 0
        for attempt in range(_ROOT_TRIES):
            layout = NewDisk.of(payload.room, self.image.size, sector_size, root_least)
            try:
                with new_image(self.path) as (file, beside):
                    file.truncate(layout.size)
                    medium = FileMedium(file, layout.size, name=self.path, fresh=True)
                    medium.write(0, write_partition_table(signature, layout.partitions))
                    if tree and layout.root:
                        uuid = UUID(bytes=xxh3_128(identity + b"root").digest(), version=4)
                        ext4.make_file_system(beside, layout.root.offset, layout.root.size, tree, uuid)
                    return self._write(payload, _Place(Kind.NEW, medium, layout.boot, signature, layout.root))
            except ext4.TreeTooLarge:
                if self.image.size is not None or attempt == _ROOT_TRIES - 1:
                    raise
                root_least = whole_mib(root_least * 3 // 2)
        raise AssertionError("the last attempt returns or raises")

    def _install(self, payload: Payload, kind: Kind) -> BuildReport:
        for option, value in (("root", self.image.root), ("disk_signature", self.image.disk_signature)):
            if value is not None:
                raise UsageError(
                    f"{self.path} exists; {option.replace('_', ' ')} is for new images, a disk keeps its own.",
                    hint="Remove the file first to have a new image made, or leave the option away.",
                )
        with existing_disk(self.path, kind, self.image.sector_size) as (medium, known):
            if self.image.size is not None and parse_size(self.image.size) != medium.size:
                raise UsageError(
                    f"{self.path} exists and has {medium.size} bytes; its size cannot be changed.",
                    hint="Remove the file first to have a new image made, or leave --size away.",
                )
            sector_size = known or guess_sector_size(medium)
            table = read_partition_table(medium, sector_size)
            partition = bootable(table.active)
            boot = Region(medium, partition.offset, partition.size)
            if not self.image.force:
                self._refuse_file_system(boot, partition)
            self.contents.pack(payload, self.progress)
            return self._write(payload, _Place(kind, medium, partition, table.disk_signature, None))

    def _refuse_file_system(self, boot: Region, partition: Partition) -> None:
        found = None if update.examine(boot).ours else recognise(boot)
        if found:
            raise TargetRefused(
                f"Partition {partition.number} of {self.path}, the active one, holds {found}.",
                hint="Make another partition active, or add --force to lose what is in it.",
            )

    def _write(self, payload: Payload, place: "_Place") -> BuildReport:
        """Write everything into the boot partition."""
        partition = place.partition
        boot = Region(place.medium, partition.offset, partition.size)
        existing = update.examine(boot)
        plan = update.plan_update(payload, existing, boot.size)
        loader = self._loader(payload, existing, boot, partition)
        installer = update.Installer(place.medium, boot)
        total = sum(blob.size for blob in payload.blobs)
        installer.install(loader, payload, existing, plan, advancing(self.progress, "write", total))
        return BuildReport(
            path=self.path,
            kind=place.kind.value,
            size=place.medium.size,
            sector_size=partition.sector_size,
            disk_signature=place.disk_signature,
            partition=partition,
            root=place.root,
            stages=loader.sizes,
            codec=self.contents.codec.name,
            blobs=blob_sizes(payload),
            generation=plan.sequence,
            kept=plan.kept,
            writes=tuple(installer.writes),
            warnings=(*self.contents.warnings, *_warnings(plan, existing, payload, boot.size)),
        )

    def _loader(self, payload: Payload, existing: update.Existing, boot: Medium, partition: Partition) -> Loader:
        """The loader knows codecs and widths of the old generations too: until the new manifest is written, they boot.

        A 64-bit kernel needs the 64-bit stage 4, and a 32-bit one the other, if the CPU is to be any that it runs on.
        """
        numbers = {chunk.codec for blob in payload.blobs for chunk in blob.chunks}
        numbers |= {number for generation in existing.whole for number in generation.codecs}
        widths = {self.contents.kernel.bits, *(kernel_bits(boot, generation) for generation in existing.whole)}
        names = sorted(codecs.BY_NUMBER[number].name for number in numbers if number != disk.CODEC_NONE)
        options = LoaderOptions(
            sector_size=partition.sector_size,
            partition_bytes=partition.size,
            verbose=self.image.verbose,
            framebuffer=self.framebuffer,
            logical_lba=partition.first_lba if partition.logical else 0,
        )
        return make_loader(linked_stages(tuple(names), frozenset(widths)), options)


@dataclass(frozen=True)
class _Place:
    """Where a build writes to."""

    kind: Kind
    medium: Medium
    partition: Partition
    """The boot partition."""
    disk_signature: int
    root: Partition | None


def _framebuffer(mode: str | tuple[int, int, int] | None) -> tuple[int, int, int] | None:
    if isinstance(mode, str):
        return parse_framebuffer(mode)
    if mode is not None:
        check_framebuffer(mode)
    return mode


def _identity(payload: Payload, tree: ext4.Tree | None) -> bytes:
    """What disk signature and UUID are made from: all contents but the command line.

    So a command line may name the signature (`root=PARTUUID=…`) that `build` reported without it.
    """
    parts = [
        blob.kind.to_bytes(4, "little") + blob.checksum.to_bytes(8, "little")
        for blob in payload.blobs
        if blob.kind != disk.COMMAND_LINE
    ]
    return b"".join(parts) + (tree.digest if tree else b"")


def _warnings(plan: update.Plan, existing: update.Existing, payload: Payload, partition_bytes: int) -> Iterator[str]:
    if plan.missing:
        yield (
            f"the partition is {plan.missing} bytes too small for two generations: the old one was made invalid before "
            "the new one was written, so a power cut in between would have left none"
        )
    elif disk.DATA_OFFSET + 2 * payload.room > partition_bytes:
        yield "the partition has room for one generation: an update will have to give up the old one first"
    if existing.ours and not any(existing.whole_slots):
        yield "neither loader slot was whole: a power cut during this build would have left a disk that does not boot"
