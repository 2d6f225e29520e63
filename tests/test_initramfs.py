"""Is the archive one to cpio, the same every time, and is everything refused that cannot be in one?"""

import errno
import gzip
import lzma
import os
import socket
import subprocess
from pathlib import Path
from typing import IO

import pytest

from bootslang.errors import InitramfsInvalid
from bootslang.initramfs import FILE_BYTES_MAX, Initramfs, busybox_initramfs, directory_initramfs, module_bytes


def listing(archive: bytes) -> list[str]:
    """What GNU cpio sees, a line an entry: mode, links, owner, numbers or size, name; without the date."""
    result = subprocess.run(
        ["cpio", "-itvn"],
        input=archive,
        capture_output=True,
        check=True,
        env={**os.environ, "TZ": "UTC", "LC_ALL": "C"},
    )
    return [" ".join(line.split()) for line in result.stdout.decode().splitlines()]


def test_cpio_lists_every_kind_of_entry() -> None:
    """Does cpio see files, links, directories and device nodes as they were given, all of them root's?"""
    archive = Initramfs()
    archive.add_file("/bin/tool", b"12345", 0o755)
    archive.add_symlink("bin/alias", "tool")
    archive.add_device("dev/console", "c", 5, 1)
    archive.add_device("dev/sda", "b", 8, 0, 0o660)
    archive.add_directory("tmp", 0o1777)
    assert listing(archive.to_bytes(compress=False)) == [
        "drwxr-xr-x 2 0 0 0 Jan 1 1970 bin",
        "lrwxrwxrwx 1 0 0 4 Jan 1 1970 bin/alias -> tool",
        "-rwxr-xr-x 1 0 0 5 Jan 1 1970 bin/tool",
        "drwxr-xr-x 2 0 0 0 Jan 1 1970 dev",
        "crw------- 1 0 0 5, 1 Jan 1 1970 dev/console",
        "brw-rw---- 1 0 0 8, 0 Jan 1 1970 dev/sda",
        "drwxrwxrwt 2 0 0 0 Jan 1 1970 tmp",
    ]


def test_a_tree_comes_out_of_cpio_as_it_went_in(tmp_path: Path) -> None:
    """Do contents of all lengths, odd names and links survive, hard links with one content for all names?"""
    tree, out = tmp_path / "in", tmp_path / "out"
    tree.mkdir()
    out.mkdir()
    for length in range(9):
        (tree / f"file{length}").write_bytes(b"x" * length)
    (tree / "süß ☃").mkdir()
    (tree / "süß ☃" / os.fsdecode(b"latin-1: \xe9")).write_text("odd")
    (tree / "z-last").write_bytes(b"shared")
    (tree / "a-first").hardlink_to(tree / "z-last")
    (tree / "dangling").symlink_to("/no/where")
    os.mkfifo(tree / "pipe")
    archive = Initramfs()
    archive.add_tree(tree)
    plain = archive.to_bytes(compress=False)
    assert plain.count(b"shared") == 1
    subprocess.run(["cpio", "-i", "--no-preserve-owner"], input=plain, cwd=out, check=True, capture_output=True)
    for source in sorted(tree.rglob("*")):
        copy = out / source.relative_to(tree)
        assert copy.lstat().st_mode == source.lstat().st_mode
        if source.is_symlink():
            assert copy.readlink() == source.readlink()
        elif source.is_file():
            assert copy.read_bytes() == source.read_bytes()
    assert (out / "a-first").samefile(out / "z-last")


def test_same_contents_same_bytes(tmp_path: Path) -> None:
    """Do time stamps, the order of creation, and the name of the output leave no trace?"""
    for name, order in (("one", "abc"), ("two", "cba")):
        (tmp_path / name).mkdir()
        for number, letter in enumerate(order):
            (tmp_path / name / letter).write_text(letter)
            os.utime(tmp_path / name / letter, (number, 1_000_000 * number))
    first, second = (tmp_path / f"{name}.gz" for name in ("one", "two"))
    directory_initramfs(tmp_path / "one").write(first)
    directory_initramfs(tmp_path / "two").write(second)
    assert first.read_bytes() == second.read_bytes()
    assert first.read_bytes()[3:8] == bytes(5), "no flags, time 0"


def test_write_tells_the_size_and_leaves_nothing_else(tmp_path: Path) -> None:
    """Is the output the only new file, readable like any other, and what `to_bytes` returns?"""
    archive = Initramfs()
    archive.add_file("init", b"#!/bin/sh\n", 0o755)
    output = tmp_path / "initrd.gz"
    assert archive.write(output) == output.stat().st_size
    assert [path.name for path in tmp_path.iterdir()] == ["initrd.gz"]
    mask = os.umask(0)
    os.umask(mask)
    assert output.stat().st_mode & 0o777 == 0o666 & ~mask
    assert gzip.decompress(output.read_bytes()) == archive.to_bytes(compress=False)
    assert archive.has_init
    assert archive.paths == ["init"]


def test_a_link_to_the_output_stays_a_link(tmp_path: Path) -> None:
    """Is what a symbolic link names replaced, not the link?"""
    (tmp_path / "link").symlink_to("real")
    Initramfs().write(tmp_path / "link")
    assert (tmp_path / "link").readlink() == Path("real")
    assert (tmp_path / "real").is_file()


def test_console_nodes_are_added_where_they_lack() -> None:
    """Does a console of the user's own stay, and the other node come?"""
    archive = Initramfs()
    archive.add_device("dev/console", "c", 4, 64)
    archive.add_console()
    assert listing(archive.to_bytes(compress=False))[1:] == [
        "crw------- 1 0 0 4, 64 Jan 1 1970 dev/console",
        "crw-rw-rw- 1 0 0 1, 3 Jan 1 1970 dev/null",
    ]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("../etc/passwd", "The path '../etc/passwd' leads out of the initramfs."),
        ("a/../../b", "The path 'a/../../b' leads out of the initramfs."),
        ("/", "The path '/' names nothing in an initramfs."),
        ("", "The path '' names nothing in an initramfs."),
        ("a\0b", "The path 'a\\x00b' names nothing in an initramfs."),
        ("TRAILER!!!", "A file at the top cannot be called TRAILER!!!: that name ends the archive."),
        (
            "d/" + "x" * 4094,
            f"The path of 4,096 bytes that begins with /d/{'x' * 38} is too long: Linux takes 4,095.",
        ),
    ],
)
def test_impossible_paths(path: str, message: str) -> None:
    """Is each path refused that the machine could not have?"""
    with pytest.raises(InitramfsInvalid) as caught:
        Initramfs().add_file(path, b"")
    assert caught.value.message == message


def test_names_that_collide() -> None:
    """Is a name refused that is taken, or that lies below a file?"""
    archive = Initramfs()
    archive.add_file("a", b"")
    with pytest.raises(InitramfsInvalid) as caught:
        archive.add_symlink("a", "b")
    assert caught.value.message == "/a is in the initramfs already."
    with pytest.raises(InitramfsInvalid) as caught:
        archive.add_file("a/b", b"")
    assert caught.value.message == "/a/b cannot be in the initramfs: /a is there, and no directory."


def test_other_things_that_cannot_be(tmp_path: Path) -> None:
    """Are a huge file, a wrong device number, an empty link target and a socket refused by name?"""
    huge = tmp_path / "huge"
    with huge.open("wb") as file:
        file.truncate(FILE_BYTES_MAX + 1)
    sizes = f"{FILE_BYTES_MAX + 1:,} bytes, and a file in an initramfs {FILE_BYTES_MAX:,} at most."
    archive = Initramfs()
    with pytest.raises(InitramfsInvalid) as caught:
        archive.add_file("huge", huge)
    assert caught.value.message == f"/huge has {sizes}"
    with pytest.raises(InitramfsInvalid) as caught:
        archive.add_device("dev/x", "c", -1, 0)
    assert caught.value.message == "The device /dev/x has -1 as its major number."
    with pytest.raises(InitramfsInvalid) as caught:
        archive.add_symlink("link", "")
    assert caught.value.message == (
        "The symbolic link link has a target of 0 bytes, and Linux takes 1 to 4,095, without a NUL."
    )
    huge.unlink()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        with pytest.raises(InitramfsInvalid) as caught:
            archive.add_tree(tmp_path)
    assert caught.value.message == f"{tmp_path}/socket cannot be in an initramfs: it is a socket."


def test_sources_that_are_not_there(tmp_path: Path) -> None:
    """Is a missing file, a directory in a file's place and a file in a directory's place named?"""
    archive = Initramfs()
    with pytest.raises(InitramfsInvalid) as caught:
        archive.add_file("x", tmp_path / "no")
    assert caught.value.message == f"{tmp_path}/no cannot be read: No such file or directory."
    with pytest.raises(InitramfsInvalid) as caught:
        archive.add_file("x", tmp_path)
    assert caught.value.message == f"{tmp_path} is no regular file."
    (tmp_path / "file").write_bytes(b"12345678")
    with pytest.raises(InitramfsInvalid) as caught:
        archive.add_tree(tmp_path / "file")
    assert caught.value.message == f"{tmp_path}/file is no directory."


def test_a_file_that_shrinks_while_it_is_copied(tmp_path: Path) -> None:
    """Is there an error, and no output, rather than an archive that is out of step?"""
    source, output = tmp_path / "source", tmp_path / "out"
    source.write_bytes(b"12345678")
    archive = Initramfs()
    archive.add_file("copy", source)
    source.write_bytes(b"123")
    with pytest.raises(InitramfsInvalid) as caught:
        archive.write(output)
    assert caught.value.message == f"{source} lost its last 5 bytes while it was copied to /copy."
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_outputs_that_cannot_be_written(tmp_path: Path) -> None:
    """Are a directory, a missing directory, a device and a file inside of the tree refused?"""
    archive = Initramfs()
    with pytest.raises(InitramfsInvalid) as caught:
        archive.write(tmp_path)
    assert caught.value.message == f"{tmp_path} cannot be written: it is a directory."
    with pytest.raises(InitramfsInvalid) as caught:
        archive.write(tmp_path / "no" / "file")
    assert caught.value.message == f"{tmp_path}/no/file cannot be written: No such file or directory."
    with pytest.raises(InitramfsInvalid) as caught:
        archive.write("/dev/null")
    assert caught.value.message == "/dev/null cannot be written: it is no regular file."
    output = tmp_path / "initrd.gz"
    output.write_bytes(b"old")
    archive.add_tree(tmp_path)
    with pytest.raises(InitramfsInvalid) as caught:
        archive.write(output)
    assert caught.value.message == f"{output} cannot be written: it is itself in the initramfs, as /initrd.gz."
    assert output.read_bytes() == b"old"


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Does a disk that fills up half-way end in an error, and leave neither half a file nor a temporary one?"""
    output = tmp_path / "initrd.gz"
    output.write_bytes(b"old")

    def fill_up(_archive: Initramfs, file: IO[bytes], *, compress: bool) -> None:
        file.write(bytes(1000 + compress))
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Initramfs, "_write_to", fill_up)
    with pytest.raises(InitramfsInvalid) as caught:
        Initramfs().write(output)
    assert caught.value.message == f"{output} cannot be written: No space left on device."
    assert [path.name for path in tmp_path.iterdir()] == ["initrd.gz"]
    assert output.read_bytes() == b"old"


def program(bits: int = 64, machine: int = 62, *, interpreter: bool = False) -> bytes:
    """The beginning of an ELF program: a header and one program header."""
    kind = (3 if interpreter else 1).to_bytes(4, "little")
    head = bytearray(b"\x7fELF" + bytes([bits // 32, 1, 1]) + bytes(9 + 48 + 56))
    head[18:20] = machine.to_bytes(2, "little")
    if bits == 64:
        head[32:40], head[54:58], head[64:68] = (64).to_bytes(8, "little"), b"\x38\0\1\0", kind
    else:
        head[28:32], head[42:46], head[52:56] = (52).to_bytes(4, "little"), b"\x20\0\1\0", kind
    return bytes(head)


@pytest.mark.parametrize(("bits", "machine"), [(64, 62), (32, 3)])
def test_busybox_has_to_be_a_static_x86_program(tmp_path: Path, bits: int, machine: int) -> None:
    """Is every other program refused, with what is wrong about it?"""
    path = tmp_path / "busybox"
    path.write_bytes(program(bits, machine))
    assert busybox_initramfs(path).has_init
    path.write_bytes(program(bits, machine, interpreter=True))
    with pytest.raises(InitramfsInvalid) as caught:
        busybox_initramfs(path)
    assert str(caught.value) == (
        f"{path} is dynamically linked: it needs libraries that the initramfs does not have.\n"
        "Give a static busybox: Debian's package busybox-static has one."
    )
    path.write_bytes(program(bits, 183))
    with pytest.raises(InitramfsInvalid) as caught:
        busybox_initramfs(path)
    assert caught.value.message == f"{path} is no program for x86: its ELF machine number is 183."
    path.write_bytes(b"#!/bin/sh\n")
    with pytest.raises(InitramfsInvalid) as caught:
        busybox_initramfs(path)
    assert caught.value.message == f"{path} is no program for Linux (ELF)."


def test_busybox_system(tmp_path: Path) -> None:
    """Are modules in their order, extra files and start commands where `init` looks for them?"""
    (tmp_path / "busybox").write_bytes(program())
    for name in ("b.ko", "a.ko"):
        (tmp_path / name).write_text(name)
    archive = busybox_initramfs(
        tmp_path / "busybox",
        modules=[tmp_path / "b.ko", tmp_path / "a.ko"],
        files={"/data/blob": b"blob"},
        commands="echo hello",
    )
    assert [path for path in archive.paths if path.endswith(".ko")] == ["lib/modules/000-b.ko", "lib/modules/001-a.ko"]
    assert {"data/blob", "dev/console", "dev/null", "etc/start", "init"} <= set(archive.paths)


def test_modules_are_unpacked(tmp_path: Path) -> None:
    """Is a .ko.xz unpacked, and a damaged or missing one named?"""
    path = tmp_path / "x.ko.xz"
    path.write_bytes(lzma.compress(b"module"))
    assert module_bytes(path) == b"module"
    path.write_bytes(b"no xz")
    with pytest.raises(InitramfsInvalid) as caught:
        module_bytes(path)
    assert caught.value.message == (f"The module {path} cannot be read: Input format not supported by decoder.")
    with pytest.raises(InitramfsInvalid) as caught:
        module_bytes(tmp_path / "no.ko")
    assert caught.value.message == f"The module {tmp_path}/no.ko cannot be read: No such file or directory."
