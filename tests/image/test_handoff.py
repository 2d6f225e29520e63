"""Does a disk hold a kernel of one's own as the loader wants it, with what was allowed and asked for?"""

from pathlib import Path
from typing import Any

import pytest

from bootslang.errors import BootslangError, KernelInvalid, UsageError
from bootslang.image import Image, inspect, verify
from bootslang.image.inspect import BlobNode
from bootslang.kernel import Kernel
from support.elf_writer import Elf, data, movable, relocation, static, text

WRITABLE_CODE = static(text(flags=7), data())
LONG_NAME = "initramfs-6.1.0-13.cpio.gz"


def kernel_file(folder: Path, elf: Elf) -> Path:
    path = folder / "kernel.elf"
    path.write_bytes(elf.build())
    return path


def built(folder: Path, elf: Elf, **options: Any) -> tuple[tuple[BlobNode, ...], tuple[str, ...]]:
    """The blobs on the disk, and the warnings."""
    image = folder / "disk.img"
    report = Image(kernel=kernel_file(folder, elf), **options).build(image)
    assert verify(image) == []
    boot = inspect(image).boot
    assert boot is not None
    assert boot.boots == 1
    return boot.manifests[0].blobs, tuple(warning for warning in report.warnings if "one generation" not in warning)


def test_a_kernel_of_ones_own_with_its_modules(tmp_path: Path) -> None:
    """Are kind and names in the manifest, and nothing planned for memory that only the machine knows?"""
    (tmp_path / "font.psf").write_bytes(b"font")
    elf = movable(relocation())
    blobs, warnings = built(tmp_path, elf, initrds=[tmp_path / "font.psf"], command_line="verbose")
    assert [(blob.kind, blob.name, blob.options) for blob in blobs] == [
        ("kernel (hand-off)", "", ()),
        ("initrd", "font.psf", ()),
        ("command line", "", ()),
    ]
    assert blobs[0].size == Kernel.read(elf.build()).blob_bytes
    assert warnings == ()
    boot = inspect(tmp_path / "disk.img").boot
    assert boot is not None
    assert not any(place.what.startswith(("kernel", "initrd")) for place in boot.memory)


def test_a_random_address(tmp_path: Path) -> None:
    blobs, _ = built(tmp_path, movable(), randomise=True)
    assert blobs[0].options == ("randomise",)


def test_writable_code_that_is_allowed_is_warned_of(tmp_path: Path) -> None:
    blobs, warnings = built(tmp_path, WRITABLE_CODE, allow_wx=True)
    assert blobs[0].options == ("allow-wx",)
    assert warnings == (
        f"{tmp_path}/kernel.elf: program header 0 (PT_LOAD) is writable and executable (RWE), which --allow-wx lets be",
    )


def test_what_is_allowed_without_need_is_not_noted(tmp_path: Path) -> None:
    blobs, warnings = built(tmp_path, static(), allow_wx=True)
    assert (blobs[0].options, warnings) == ((), ())


def test_a_name_that_is_cut_is_told(tmp_path: Path) -> None:
    """Is a module's long name cut with a warning? Linux does not see names: it gets none."""
    module = tmp_path / LONG_NAME
    module.write_bytes(b"module")
    blobs, warnings = built(tmp_path, static(), initrds=[module])
    assert blobs[1].name == "initramfs-6.1.0-13.c"
    assert warnings == (
        f"{module}: the kernel will know this module as 'initramfs-6.1.0-13.c', names have up to 20 bytes",
    )


def test_the_protocol_decides_the_kind(tmp_path: Path) -> None:
    both = Elf([text(16 << 20)], entry=16 << 20)
    both.rows[0].physical = 16 << 20
    assert built(tmp_path, both)[0][0].kind == "kernel (hand-off)"
    (tmp_path / "disk.img").unlink()
    assert built(tmp_path, both, protocol="linux")[0][0].kind == "kernel (ELF)"


@pytest.mark.parametrize(
    ("elf", "options", "error", "text"),
    [
        (WRITABLE_CODE, {}, KernelInvalid, "against the protocol's W^X."),
        (
            static(),
            {"randomise": True},
            UsageError,
            (
                "kernel.elf cannot be put at a random address: it is no position-independent kernel of the hand-off"
                " protocol.\nLink it with `-static-pie`, or leave --randomise away. Linux does this by itself (KASLR)."
            ),
        ),
        (
            Elf(),
            {"allow_wx": True},
            UsageError,
            (
                "kernel.elf is started by Linux's own protocol, which knows no W^X.\nLeave --allow-wx away; if this is"
                " no Linux, say --protocol handoff."
            ),
        ),
        (static(), {"protocol": "xen"}, UsageError, "There is no protocol 'xen'."),
    ],
)
def test_what_makes_no_sense(
    tmp_path: Path, elf: Elf, options: dict[str, Any], error: type[BootslangError], text: str
) -> None:
    with pytest.raises(error) as caught:
        Image(kernel=kernel_file(tmp_path, elf), **options).build(tmp_path / "disk.img")
    assert text in str(caught.value)
    assert not (tmp_path / "disk.img").exists()


def test_a_kernel_that_was_read_keeps_what_it_was_read_with(tmp_path: Path) -> None:
    kernel = Kernel.read(kernel_file(tmp_path, WRITABLE_CODE), allow_wx=True)
    Image(kernel=kernel).build(tmp_path / "disk.img")
    with pytest.raises(UsageError) as caught:
        Image(kernel=kernel, allow_wx=True).build(tmp_path / "disk.img")
    assert caught.value.message == "This kernel has been read already: protocol and allow_wx come too late."
