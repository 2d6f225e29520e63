"""Debian's kernels and busybox, fetched into the user's cache: what the tests and `make demo` boot.

Nothing is installed, no architecture is added to the host, and root is not needed: each architecture gets an apt of
its own (lists, caches and status below the cache directory), which takes only the package sources from the host. What
was fetched once is used from then on without the network; delete the cache directory to get newer ones.

    cloud_kernel()     linux-image-cloud-amd64: /boot/vmlinuz, a bzImage for virtual machines
    amd64_kernel()     linux-image-amd64: the same with drivers for real machines, mostly as modules
    i386_kernel()      linux-image-686: for 32-bit CPUs from the Pentium Pro on
    …_vmlinux()        the ELF file inside it
    modules()          modules out of the same package, with those that they depend on
    amd64_busybox(), i386_busybox()    busybox-static
"""

import fcntl
import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import IO

from bootslang.errors import ToolMissing
from bootslang.initramfs import module_bytes
from bootslang.kernel.payload import vmlinux

CLOUD = "linux-image-cloud-amd64"
AMD64 = "linux-image-amd64"
I386 = "linux-image-686"
"""Metapackages: each depends on the newest real package of its flavour."""

FETCH_TIMEOUT_SECONDS = 900

_CONFIGURATION = """\
APT::Architecture "{architecture}";
#clear APT::Architectures;
APT::Architectures {{ "{architecture}"; }};
Dir::State "{home}/state";
Dir::State::status "{home}/status";
Dir::Cache "{home}/cache";
Dir::Log "{home}";
Acquire::Languages "none";
Acquire::Retries "3";
// The host's hooks are about the host's own lists.
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear Acquire::IndexTargets::deb::Contents-deb;
{sandbox}
"""


def cache_directory() -> Path:
    """Return the user's cache for this project: `$XDG_CACHE_HOME/bootslang`, else `~/.cache/bootslang`."""
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "bootslang"


def cloud_kernel() -> Path:
    """Return the newest `linux-image-cloud-amd64`'s vmlinuz (bzImage, x86-64)."""
    return _kernel(CLOUD, "amd64")


def cloud_vmlinux() -> Path:
    """Return the ELF64 file that is packed in `cloud_kernel()`."""
    return _vmlinux(cloud_kernel())


def amd64_kernel() -> Path:
    """Return the newest `linux-image-amd64`'s vmlinuz (bzImage, x86-64)."""
    return _kernel(AMD64, "amd64")


def amd64_vmlinux() -> Path:
    """Return the ELF64 file that is packed in `amd64_kernel()`."""
    return _vmlinux(amd64_kernel())


def i386_kernel() -> Path:
    """Return the newest `linux-image-686`'s vmlinuz (bzImage, i386 without PAE)."""
    return _kernel(I386, "i386")


def i386_vmlinux() -> Path:
    """Return the ELF32 file that is packed in `i386_kernel()`."""
    return _vmlinux(i386_kernel())


def amd64_busybox() -> Path:
    """Return busybox as a static x86-64 program."""
    return _extract(_package("busybox-static", "amd64"), r"(usr/)?bin/busybox", "busybox")


def i386_busybox() -> Path:
    """Return busybox as a static i386 program."""
    return _extract(_package("busybox-static", "i386"), r"(usr/)?bin/busybox", "busybox")


def modules(kernel: Path, names: Sequence[str]) -> list[Path]:
    """Return the named modules of a kernel that this module fetched, in an order in which `insmod` can load them.

    A module that the others depend on comes before them. A name that is no file in the package is taken as built into
    the kernel if `modules.builtin` lists it; anything else is an error.
    """
    package = _Package(kernel.parent / f"{kernel.parent.name}.deb")
    tree = package.directory
    with _locked(tree / "lock"):
        if not (tree / "modules").exists():
            package.extract_all(r"(usr/)?lib/modules/.*\.(ko|ko\.xz|builtin)", tree / "modules")
    files = {_module_name(path): path for path in sorted((tree / "modules").iterdir()) if path.suffix != ".builtin"}
    builtin = {_module_name(Path(line)) for line in (tree / "modules" / "modules.builtin").read_text().split()}
    order: list[Path] = []

    def load(name: str) -> None:
        name = name.replace("-", "_")
        if name in builtin or files.get(name) in order:
            return
        if name not in files:
            message = f"{kernel.parent.name} has no module {name}."
            raise ToolMissing(message)
        for dependency in _dependencies(files[name]):
            load(dependency)
        order.append(files[name])

    for name in names:
        load(name)
    return order


def _module_name(path: Path) -> str:
    return path.name.split(".")[0].replace("-", "_")


def _dependencies(module: Path) -> list[str]:
    """Return what the module's `.modinfo` section says that it depends on."""
    found = re.search(rb"\0depends=([^\0]*)\0", module_bytes(module))
    return found[1].decode().split(",") if found and found[1] else []


def _kernel(metapackage: str, architecture: str) -> Path:
    return _extract(_package(metapackage, architecture), r"boot/vmlinuz-.*", "vmlinuz")


def _vmlinux(kernel: Path) -> Path:
    output = kernel.with_name("vmlinux")
    with _locked(kernel.parent / "lock"):
        if not output.exists():
            _write_whole(output, vmlinux(kernel))
    return output


@dataclass(frozen=True)
class _Package:
    """A fetched package; what is taken out of it lies beside it."""

    deb: Path

    @property
    def directory(self) -> Path:
        return self.deb.parent

    @contextmanager
    def members(self) -> Iterator[Iterator[tuple[str, IO[bytes]]]]:
        """Give the regular files in the package, each with its path and a stream of its bytes."""
        command = [_tool("dpkg-deb"), "--fsys-tarfile", str(self.deb)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process, _tar(process.stdout) as tar:  # noqa: S603

            def walk() -> Iterator[tuple[str, IO[bytes]]]:
                for member in tar:
                    stream = tar.extractfile(member) if member.isreg() else None
                    if stream is not None:
                        yield str(PurePosixPath(member.name)), stream

            yield walk()
            process.kill()

    def extract(self, pattern: str, output: Path) -> None:
        with self.members() as members:
            for name, stream in members:
                if re.fullmatch(pattern, name):
                    _write_whole(output, stream.read())
                    return
        message = f"{self.deb.name} holds no {pattern}."
        raise ToolMissing(message)

    def extract_all(self, pattern: str, output: Path) -> None:
        """Put all files whose path matches side by side into `output`, which appears at once or not at all."""
        with TemporaryDirectory(dir=self.directory) as temporary, self.members() as members:
            for name, stream in members:
                if re.fullmatch(pattern, name):
                    (Path(temporary) / PurePosixPath(name).name).write_bytes(stream.read())
            # A run that was killed here has left some of the same files.
            shutil.copytree(temporary, output.with_suffix(".part"), dirs_exist_ok=True)
            output.with_suffix(".part").rename(output)


@contextmanager
def _tar(stream: IO[bytes] | None) -> Iterator[tarfile.TarFile]:
    with tarfile.open(fileobj=stream, mode="r|") as tar:
        yield tar


def _extract(package: _Package, pattern: str, name: str) -> Path:
    """Return the file in `package` whose path matches `pattern`, as `name` beside it."""
    output = package.directory / name
    with _locked(package.directory / "lock"):
        if not output.exists():
            package.extract(pattern, output)
    return output


def _package(name: str, architecture: str) -> _Package:
    """Return the package `name`, or, if it is a metapackage for kernels, the one that it depends on; fetch it once."""
    directory = cache_directory() / "debian" / f"{name}_{architecture}"
    directory.mkdir(parents=True, exist_ok=True)
    deb = directory / f"{directory.name}.deb"
    with _locked(directory / "lock"):
        if not deb.exists():
            _Apt(architecture).download(name, deb)
    return _Package(deb)


class _Apt:
    """An apt for one architecture that shares nothing with the host's but the package sources."""

    def __init__(self, architecture: str) -> None:
        self.architecture = architecture
        self.home = cache_directory() / "debian" / f"apt-{architecture}"
        self.configuration = self.home / "apt.conf"

    def download(self, name: str, output: Path) -> None:
        with _locked(self.home / "lock"):
            self._prepare()
            complaints = self._run("apt-get", "update").stderr
            name = self._real_package(name, complaints)
            with TemporaryDirectory(dir=self.home) as temporary:
                result = self._run("apt-get", "download", name, directory=Path(temporary))
                found = list(Path(temporary).glob("*.deb"))
                if result.returncode or not found:
                    raise self._failure(f"{name} could not be downloaded", result.stderr)
                found[0].replace(output)

    def _prepare(self) -> None:
        for part in ("state/lists/partial", "cache/archives/partial"):
            (self.home / part).mkdir(parents=True, exist_ok=True)
        (self.home / "status").touch()
        # As root, apt would fetch as a user of its own, who cannot write into another user's cache.
        sandbox = 'APT::Sandbox::User "root";' if os.geteuid() == 0 else ""
        text = _CONFIGURATION.format(architecture=self.architecture, home=self.home, sandbox=sandbox)
        self.configuration.write_text(text)

    def _real_package(self, name: str, complaints: str) -> str:
        """Return the kernel that the metapackage `name` stands for; any other package stands for itself."""
        result = self._run("apt-cache", "depends", "--important", name)
        if result.returncode:
            raise self._failure(f"No package source of this host has {name}", complaints + result.stderr)
        kernel = re.search(r"Depends: (linux-image-\d\S*)", result.stdout)
        return kernel[1] if kernel else name

    def _run(self, program: str, *arguments: str, directory: Path | None = None) -> subprocess.CompletedProcess[str]:
        command = [_tool(program), "-c", str(self.configuration), "-q", *arguments]
        environment = {**os.environ, "LC_ALL": "C"}
        try:
            return subprocess.run(  # noqa: S603 - apt, with names that stand in this file
                command,
                cwd=directory,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
                timeout=FETCH_TIMEOUT_SECONDS,
            )
        except subprocess.TimeoutExpired:
            what = f"{program} {arguments[0]} did not end"
            raise self._failure(what, f"E: no answer for {FETCH_TIMEOUT_SECONDS} s") from None

    def _failure(self, what: str, complaints: str) -> ToolMissing:
        # A network that is down is only a warning to `apt-get update`; and it says so once for each source.
        first_warning = [line for line in complaints.splitlines() if line.startswith("W: Failed to fetch")][:1]
        lines = first_warning + [line for line in complaints.splitlines() if line.startswith("E:")]
        why = "; ".join(lines) or "apt gave no reason"
        return ToolMissing(
            f"{what} ({self.architecture}): {why}",
            hint="This needs Debian's package sources and a network, the first time.",
        )


def _tool(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        message = f"{name} is not installed; kernels to test with come from Debian's packages."
        raise ToolMissing(message, hint="Use a Debian host, or give a kernel of your own.")
    return path


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock file `path`, so that processes side by side do a thing once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _write_whole(output: Path, data: bytes) -> None:
    """Write a file that is never seen half-written."""
    temporary = output.with_name(f".{output.name}.part")
    temporary.write_bytes(data)
    temporary.replace(output)
