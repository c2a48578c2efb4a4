"""Real image data, made once on this machine, and data that only looks random."""

import os
import random
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lab.debian import apt, program
from lab.errors import LabError, Unavailable
from lab.state import folder, lock

_MIB = 1 << 20
_GOLDEN = (
    *("systemd-sysv", "linux-image-cloud-amd64", "openssh-server", "cloud-init"),
    *("ca-certificates", "curl", "vim-tiny", "sudo", "iproute2"),
)
_ADDED = ("htop", "tmux", "git", "rsync", "less")
_INSTALLED = ("nginx", "python3-pip", "postgresql-client")
_GENERATION_MIB = 3072


def random_bytes(size: int, seed: int = 0) -> bytes:
    """Return bytes that do not compress and are the same for the same seed."""
    data = bytearray(random.Random(seed).randbytes(size))  # noqa: S311
    # Glance refuses raw data that happens to look like a boot sector.
    data[510:512] = b"\0\0"[: max(0, size - 510)]
    return bytes(data)


def grub_iso() -> Path:
    """Return the bootable CD image from Debian's grub-rescue-pc, about 5 MB."""

    def make(draft: Path, work: Path) -> None:
        package = ("download", "grub-rescue-pc")
        if apt(*package, cwd=work).returncode:
            apt("update")
            if apt(*package, cwd=work).returncode:
                raise Unavailable("grub-rescue-pc: Debian's package cannot be downloaded")
        _run("dpkg", "-x", str(next(work.glob("*.deb"))), str(work))
        shutil.copy(work / "usr/lib/grub-rescue/grub-rescue-cdrom.iso", draft)

    return _cached("grub-rescue.iso", make)


def debian_disk(*packages: str, name: str = "debian", mebibytes: int = 512) -> Path:
    """Return a raw disk with a partition that holds a small Debian.

    More packages (a kernel, cloud-init) need another name and perhaps more room.
    """

    def make(draft: Path, work: Path) -> None:
        tar, tree = work / "debian.tar", work / "tree"
        included = [f"--include={','.join(packages)}"] if packages else []
        bootstrap = program("mmdebstrap", "mmdebstrap")
        _run(bootstrap, "--quiet", "--variant=minbase", *included, "bookworm", tar)
        tree.mkdir()
        _run("tar", "-C", tree, "-xf", tar)
        with draft.open("wb") as disk:
            disk.truncate(mebibytes * _MIB)
        _run(
            program("sfdisk", "fdisk"),
            "--quiet",
            draft,
            text="label: gpt\nstart=1MiB, type=linux\n",
        )
        # The last MiB holds the backup of the partition table.
        blocks = f"{mebibytes - 2}M"
        options = f"offset={_MIB},root_owner=0:0"
        _run(
            program("mkfs.ext4", "e2fsprogs"), "-q", "-F", "-E", options, "-d", tree, draft, blocks
        )

    return _cached(f"{name}.raw", make)


def generations() -> tuple[Path, Path, Path]:
    """Return three raw disks of 3 GiB as a cloud sees them, with about 0.5 GiB of data each.

    A golden image; the snapshot of a server that ran from it, where more was installed; the next
    build of the golden image, made afresh. The second needs root and loop devices.
    """
    golden = debian_disk(*_GOLDEN, name="golden", mebibytes=_GENERATION_MIB)
    rebuilt = debian_disk(*_GOLDEN, *_ADDED, name="rebuilt", mebibytes=_GENERATION_MIB)
    return golden, _snapshot(golden), rebuilt


def _snapshot(golden: Path) -> Path:
    """Return a copy of a Debian disk in which packages were installed in place."""

    def make(draft: Path, work: Path) -> None:
        if os.geteuid() != 0 or not Path("/dev/loop-control").exists():
            raise Unavailable("a disk that is changed in place: needs root and loop devices")
        _run("cp", "--sparse=always", golden, draft)
        with _mounted(draft, work / "tree") as tree:
            shutil.copy("/etc/resolv.conf", tree / "etc/resolv.conf")
            # At runlevel 1 Debian's packages start none of their services.
            quiet = "export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1"
            install = f"apt-get install -y -q --no-install-recommends {' '.join(_INSTALLED)}"
            _run("chroot", tree, "sh", "-ec", f"{quiet}; apt-get update -q; {install}")

    return _cached("snapshot.raw", make)


@contextmanager
def _mounted(disk: Path, tree: Path) -> Iterator[Path]:
    """Mount a disk's partition."""
    tree.mkdir()
    _run("mount", "-o", f"loop,offset={_MIB}", disk, tree)
    try:
        yield tree
    finally:
        _run("umount", tree)


def as_qcow2(raw: Path, *, compressed: bool = False) -> Path:
    """Return the same disk as qcow2."""

    def make(draft: Path, work: Path) -> None:
        del work
        squeeze = ["-c"] if compressed else []
        qemu_img("convert", "-f", "raw", "-O", "qcow2", *squeeze, raw, draft)

    return _cached(f"{raw.stem}{'.c' if compressed else ''}.qcow2", make)


def qemu_img(*arguments: str | Path) -> None:
    """Run qemu-img, which is installed where it is missing."""
    _run(program("qemu-img", "qemu-utils"), *arguments)


def _cached(name: str, make: Callable[[Path, Path], None]) -> Path:
    path = folder("images") / name
    with lock(f"image-{name}"):
        if not path.exists():
            with tempfile.TemporaryDirectory(dir=folder("images")) as work:
                draft = Path(work) / "draft"
                make(draft, Path(work))
                draft.rename(path)
    return path


def _run(*command: str | Path, text: str | None = None) -> None:
    words = [str(word) for word in command]
    done = subprocess.run(words, input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LabError(f"{' '.join(words)} failed:\n{done.stderr[-3000:]}")
