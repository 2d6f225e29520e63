"""Disks on the host: build an image or install into one, look at it, check it.

Reading order: `partitions` and `format` (what is on a disk), `contents`, `payload` and `loader` (what goes there),
`update` (how it is written so that the power may go), `builder` (the whole), `inspect`, `bundles` and `verify` (reading
it back).
"""

from bootslang.image.builder import Image
from bootslang.image.bundles import BundleNode, inspect_bundle, is_bundle
from bootslang.image.contents import Progress
from bootslang.image.inspect import DiskNode, inspect
from bootslang.image.report import BuildReport
from bootslang.image.verify import Finding, verify

__all__ = [
    "BuildReport",
    "BundleNode",
    "DiskNode",
    "Finding",
    "Image",
    "Progress",
    "inspect",
    "inspect_bundle",
    "is_bundle",
    "verify",
]
