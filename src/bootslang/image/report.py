"""What `Image.build` tells about the disk that it built."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bootslang.image import format as disk
from bootslang.image.loader import StageSize
from bootslang.image.partitions import Partition
from bootslang.image.payload import Payload
from bootslang.image.update import WriteRecord


@dataclass(frozen=True)
class BlobSize:
    """What a kernel, an initrd or the command line takes."""

    kind: str
    name: str
    size: int
    packed: int

    def __str__(self) -> str:
        packed = f", packed {self.packed}" if self.packed != self.size else ""
        name = "" if self.name == self.kind else f" {self.name}"
        return f"{self.kind}{name}: {self.size} bytes{packed}"


def blob_sizes(payload: Payload) -> tuple[BlobSize, ...]:
    """What each blob takes."""
    return tuple(
        BlobSize(disk.KIND_NAMES[blob.kind], blob.name, blob.size, blob.packed_bytes) for blob in payload.blobs
    )


@dataclass(frozen=True)
class BuildReport:
    """What was built, and what was written where."""

    path: Path
    kind: str
    """`new image`, `image` or `block device`."""
    size: int
    """Of the whole disk, in bytes."""
    sector_size: int
    disk_signature: int
    partition: Partition
    """The boot partition."""
    root: Partition | None
    """The ext4 partition of a new image with `root`."""
    stages: tuple[StageSize, ...]
    codec: str
    blobs: tuple[BlobSize, ...]
    generation: int
    kept: tuple[int, ...]
    """The generations on the disk, newest first. A machine boots the newest."""
    writes: tuple[WriteRecord, ...]
    warnings: tuple[str, ...]

    def lines(self) -> Iterator[str]:
        """The report as text."""
        yield f"{self.path}: {self.kind}, {self.size} bytes, disk signature {self.disk_signature:#010x}"
        for stage in self.stages:
            yield str(stage)
        yield from map(str, self.blobs)
        yield (
            f"generation {self.generation} in partition {self.partition.number}"
            f" at sector {self.partition.first_lba} ({self.partition.size} bytes)"
        )
        if self.root:
            yield f"root file system (ext4) in partition {self.root.number} ({self.root.size} bytes)"
        for warning in self.warnings:
            yield f"warning: {warning}"
