"""What `inspect` found, as a tree of text."""

import sys
from typing import Final

from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from bootslang.image.bundles import BundleNode
from bootslang.image.inspect import BlobNode, BootNode, DiskNode, ManifestNode, PlaceNode, SlotNode
from bootslang.kernel import Handoff, Kernel

_PAGE_COLUMNS: Final = 200
"""Where output goes into a file or a pipe, no line is broken."""


def show(found: Kernel | DiskNode | BundleNode) -> None:
    """Print what it is."""
    if isinstance(found, DiskNode):
        _disk(found)
    elif isinstance(found, BundleNode):
        _bundle(found)
    else:
        _kernel(found)


def _bundle(bundle: BundleNode) -> None:
    tree = _tree(f"{bundle.path}: bundle, {bundle.size:,} bytes")
    if bundle.problem:
        _add(tree, bundle.problem, bad=True)
    for blob in bundle.blobs:
        _blob(tree, blob)
    _print(tree)


def _disk(disk: DiskNode) -> None:
    tree = _tree(f"{disk.path}: {disk.size:,} bytes in sectors of {disk.sector_size}")
    table = _add(tree, f"partition table, disk signature {disk.disk_signature:#010x}")
    for one in disk.partitions:
        active = ", active" if one.active else ""
        _add(table, f"{one.number}: type {one.type:#04x}, sector {one.first_lba}, {one.size:,} bytes{active}")
    if disk.boot is None:
        _add(tree, disk.problem, bad=True)
    else:
        _boot(_add(tree, f"boot partition {disk.boot.partition}"), disk.boot)
    _print(tree)


def _kernel(kernel: Kernel) -> None:
    tree = _tree(f"{kernel.file.name}: {_kind(kernel)}, {kernel.file.size:,} bytes")
    if kernel.version:
        _add(tree, f"version {kernel.version}")
    _add(tree, f"entered in {kernel.bits}-bit mode at {kernel.entry:#x}")
    if kernel.handoff is None:
        _add(tree, f"memory {_range(kernel.memory.start, kernel.memory.stop)}")
    else:
        _handoff(tree, kernel, kernel.handoff)
    _add(tree, f"on the disk {kernel.blob_bytes:,} bytes")
    if kernel.segments:
        segments = _add(tree, "segments")
        for one in kernel.segments:
            start = one.physical if kernel.handoff is None else one.virtual
            place = _range(start, start + one.memory_bytes)
            _add(segments, f"{place} {one.rights}, {one.file_bytes:,} bytes from offset {one.offset:#x}")
    _limits(_add(tree, "limits"), kernel)
    _print(tree)


def _kind(kernel: Kernel) -> str:
    names = {
        "elf64": "64-bit ELF kernel (Linux)",
        "elf32": "32-bit ELF kernel (Linux)",
        "bzimage": "bzImage",
        "handoff": "64-bit ELF kernel (hand-off protocol)",
    }
    if kernel.setup is None:
        return names[kernel.kind]
    major, minor = divmod(kernel.setup.protocol, 0x100)
    return f"{names[kernel.kind]}, boot protocol {major}.{minor:02}"


def _handoff(tree: Tree, kernel: Kernel, handoff: Handoff) -> None:
    moves = f"position-independent, {handoff.relocations} relocations" if handoff.position_independent else "not moved"
    _add(tree, f"virtual memory {_range(kernel.memory.start, kernel.memory.stop)}, {moves}; any physical memory")
    for risk in handoff.risks:
        _add(tree, risk, bad=True)


def _limits(branch: Tree, kernel: Kernel) -> None:
    limits = kernel.limits
    files = "initrd" if kernel.handoff is None else "modules"
    end = f"{limits.initrd_address_max:#x} ({limits.initrd_source})"
    _add(branch, f"command line up to {limits.command_line_bytes:,} bytes ({limits.command_line_source})")
    _add(branch, f"{files} up to {limits.initrd_bytes:,} bytes, up to {end}")
    if kernel.setup is not None:
        setup = kernel.setup
        moves = f"relocatable, aligned to {setup.kernel_alignment:#x}" if setup.relocatable else "not relocatable"
        _add(branch, f"needs {setup.init_size:,} bytes of memory to start; {moves}")
        _add(branch, "may lie above 4 GiB" if setup.above_4g else "has to lie below 4 GiB")


def _boot(branch: Tree, boot: BootNode) -> None:
    for slot in boot.loader_slots:
        _slot(branch, slot)
    for manifest in boot.manifests:
        _manifest(branch, manifest)
    if boot.boots is None:
        _add(branch, "nothing here boots", bad=True)
    else:
        _add(branch, f"boots generation {boot.boots}")
    memory = _add(branch, "planned memory")
    for place in boot.memory:
        _place(memory, place)


def _slot(branch: Tree, slot: SlotNode) -> None:
    node = _add(branch, f"loader slot {slot.name} at {slot.offset:#x}")
    if slot.problem:
        _add(node, slot.problem, bad=True)
    for stage in slot.stages:
        place = _range(stage.address, stage.address + stage.memory)
        _add(
            node, f"{stage.name}: {stage.size:,} bytes at {stage.offset:#x}, runs at {place}, sum {stage.checksum:016x}"
        )
    if slot.stages:
        mode = "x".join(map(str, slot.framebuffer)) if slot.framebuffer else "text"
        _add(node, f"{'verbose' if slot.verbose else 'quiet'}, video mode {mode}")


def _manifest(branch: Tree, manifest: ManifestNode) -> None:
    name = f"manifest {manifest.slot} at {manifest.offset:#x}"
    if manifest.problem:
        _add(branch, f"{name}: {manifest.problem}", bad=manifest.problem != "empty")
        return
    node = _add(branch, f"{name}: generation {manifest.sequence}")
    for blob in manifest.blobs:
        _blob(node, blob)


def _blob(branch: Tree, blob: BlobNode) -> None:
    codecs = sorted({chunk.codec for chunk in blob.chunks} - {"none"})
    packed = f", packed {blob.packed:,} ({', '.join(codecs)})" if codecs else ""
    chunks = "1 chunk" if len(blob.chunks) == 1 else f"{len(blob.chunks)} chunks"
    name = f" {blob.name}" if blob.name else ""
    node = _add(branch, f"{blob.kind}{name}: {blob.size:,} bytes{packed}, {chunks}, sum {blob.checksum:016x}")
    if blob.options:
        _add(node, ", ".join(blob.options))
    if blob.text:
        _add(node, blob.text)
    if blob.problem:
        _add(node, blob.problem, bad=True)


def _place(branch: Tree, place: PlaceNode) -> None:
    moves = "" if place.fixed else " if it is free"
    _add(branch, f"{_range(place.start, place.end)} {place.what}{moves}")


def _range(start: int, end: int) -> str:
    """First and last address."""
    return f"{start:#x}-{max(start, end - 1):#x}"


def _tree(label: str) -> Tree:
    return Tree(Text(label, style="bold"))


def _add(branch: Tree, label: str, *, bad: bool = False) -> Tree:
    return branch.add(Text(label, style="red" if bad else ""))


def _print(tree: Tree) -> None:
    console = Console() if sys.stdout.isatty() else Console(width=_PAGE_COLUMNS)
    console.print(tree, soft_wrap=not sys.stdout.isatty())
