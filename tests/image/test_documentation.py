"""Does docs/image-format.md tell the truth about the structures, and does its example run?"""

import contextlib
import io
import re
import struct
from pathlib import Path

import pytest

from bootslang.image import Image
from bootslang.image import format as disk

PAGE = (Path(__file__).parents[2] / "docs" / "image-format.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "layout",
    [disk.LOADER_LAYOUT, disk.STAGE_LAYOUT, disk.MANIFEST_LAYOUT, disk.BLOB_LAYOUT, disk.CHUNK_LAYOUT],
    ids=["loader header", "stage record", "manifest", "blob record", "chunk record"],
)
def test_every_field_of_a_structure_is_on_the_page(layout: disk.Layout) -> None:
    rows = [
        f"| {layout.offset(name)} | {struct.calcsize('<' + form)} | `{name}` |" for name, form in layout.fields.items()
    ]
    tables = [table for table in PAGE.split("\n\n") if rows[0] in table and rows[-1] in table]
    assert len(tables) == 1
    listed = [line for line in tables[0].splitlines() if "`" in line]
    assert [line[: len(row)] for line, row in zip(listed, rows, strict=True)] == rows


def test_the_numbers_on_the_page_are_ours() -> None:
    for number in (disk.LOADER_MAGIC, disk.MANIFEST_MAGIC):
        assert f"{number:#X}".replace("0X", "0x") in PAGE
    assert f"at most {disk.MAX_CHUNKS}" in PAGE
    assert f"1 to {disk.MAX_BLOBS}" in PAGE
    assert f"| {disk.MANIFEST_OFFSET // 1024} KiB | 4 KiB | manifest slot 0 |" in PAGE
    assert f"| {disk.DATA_OFFSET // 1024} KiB | the rest |" in PAGE
    assert f"| {disk.BUNDLE_DATA_OFFSET // 1024} KiB | the rest |" in PAGE


def test_the_example_reads_an_image(tmp_path: Path, kernel: Path, initrd: Path) -> None:
    Image(kernel=kernel, initrds=[initrd]).build(tmp_path / "disk.img")
    Image(kernel=kernel, initrds=[initrd], command_line="second").build(tmp_path / "disk.img")
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    told = io.StringIO()
    with contextlib.chdir(tmp_path), contextlib.redirect_stdout(told):
        exec(compile(example, "docs/image-format.md", "exec"), {})  # noqa: S102 - it is our own page
    lines = told.getvalue().splitlines()
    assert [line.split(",")[0] for line in lines] == [
        "kind 1: 300120 bytes in 2 chunks",
        "kind 3: 2100000 bytes in 3 chunks",
        "kind 4: 6 bytes in 1 chunks",
    ]
