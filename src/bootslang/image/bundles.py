"""Bundles read back: what `inspect` shows and `verify` checks. `bootslang.bundle` writes them."""

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from bootslang.errors import FormatInvalid, ImageInvalid
from bootslang.image import format as disk
from bootslang.image.inspect import BlobNode, blob_node, json_object
from bootslang.image.medium import FileMedium, Medium


@dataclass(frozen=True)
class BundleNode:
    """A bundle."""

    path: str
    size: int
    problem: str
    """Why there are no blobs."""
    blobs: tuple[BlobNode, ...] = ()

    def to_json(self) -> str:
        """All of it, indented; sums are hexadecimal texts."""
        return json.dumps(asdict(self, dict_factory=json_object), indent=2)


def is_bundle(path: Path) -> bool:
    """Whether a file begins as a bundle does."""
    if not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            return file.read(8) == disk.MANIFEST_MAGIC.to_bytes(8, "little")
    except OSError:
        return False


@contextlib.contextmanager
def open_bundle(path: Path) -> Iterator[Medium]:
    """The bytes of a bundle.

    Raises:
        ImageInvalid: If it cannot be read.

    """
    try:
        with path.open("rb", buffering=0) as file:
            yield FileMedium(file, file.seek(0, os.SEEK_END), name=path)
    except OSError as error:
        raise ImageInvalid(f"{path} cannot be read: {error.strerror}.") from error


def read_bundle_manifest(bundle: Medium) -> disk.Manifest:
    """The manifest of a bundle.

    Raises:
        FormatInvalid: If it is damaged.

    """
    slot = bundle.read(0, min(bundle.size, disk.MANIFEST_SLOT_BYTES))
    return disk.Manifest.decode(slot, bundle.size, start=disk.BUNDLE_DATA_OFFSET)


def inspect_bundle(path: Path) -> BundleNode:
    """Look at a bundle.

    Raises:
        ImageInvalid: If it cannot be read.

    """
    with open_bundle(path) as bundle:
        try:
            manifest = read_bundle_manifest(bundle)
        except FormatInvalid as error:
            return BundleNode(str(path), bundle.size, error.message)
        blobs = tuple(blob_node(bundle, blob, disk.BUNDLE_DATA_OFFSET) for blob in manifest.blobs)
        return BundleNode(str(path), bundle.size, "", blobs)
