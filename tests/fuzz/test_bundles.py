"""Do the host's readers of bundles end every damaged one in findings, and never call one whole that is not?"""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from bootslang import Bundle, verify
from bootslang.image import BundleNode, Finding, inspect_bundle
from bootslang.image import format as disk
from support.disks import elf_kernel
from support.fuzzing import field_changes, fuzzed, mutations

MANIFEST_END = disk.MANIFEST_LAYOUT.size + 3 * disk.BLOB_LAYOUT.size
TABLES_END = disk.BUNDLE_DATA_OFFSET + 3 * disk.ALIGNMENT


@cache
def bundle() -> bytes:
    """Kernel, initrd and command line, packed as far as that gains anything."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "kernel").write_bytes(elf_kernel(5000))
        (folder / "initrd").write_bytes(b"initrd " * 1000)
        made = Bundle(kernel=folder / "kernel", initrds=[folder / "initrd"], command_line="quiet", codec="bzip2")
        made.build(folder / "bundle")
        return (folder / "bundle").read_bytes()


def summed(data: bytes) -> bytes:
    """With the manifest's sum made right, so that what it says is looked at."""
    whole = bytearray(data)
    size = int.from_bytes(whole[16:20], "little")
    whole[disk.Manifest.CHECKSUM] = bytes(8)
    whole[disk.Manifest.CHECKSUM] = disk.xxh64(whole[:size]).to_bytes(8, "little")
    return bytes(whole)


DAMAGED = st.one_of(
    mutations(bundle()),
    field_changes(bundle(), MANIFEST_END),
    field_changes(bundle(), MANIFEST_END).map(summed),
    field_changes(bundle(), TABLES_END),
)


def looked_at(data: bytes) -> tuple[list[Finding], BundleNode]:
    """What `verify` and `inspect` say of a file with these bytes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bundle"
        path.write_bytes(data)
        return verify(path), inspect_bundle(path)


def contents(node: BundleNode) -> list[tuple[int, int]]:
    """Size and sum of each blob."""
    return [(blob.size, blob.checksum) for blob in node.blobs]


@given(DAMAGED.filter(lambda data: data[:8] == bundle()[:8]))
@fuzzed
def test_damage_is_found_and_what_is_whole_is_what_was_built(data: bytes) -> None:
    findings, node = looked_at(data)
    if node.problem or any(blob.problem for blob in node.blobs):
        assert findings
    if not findings:
        assert contents(node) == contents(looked_at(bundle())[1])
