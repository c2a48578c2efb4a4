"""Text files that end with a hash of themselves; read bounded, without following links."""

import os
from pathlib import Path
from typing import Any, Final

from blake3 import blake3

from meltemi.errors import ArchiveError, UsageError
from meltemi.libraries.archive import strictjson
from meltemi.libraries.archive.files import Folder, shown, write_all

LIMIT: Final = 256 << 20
_HASH: Final = 64 + 1


def seal(lines: list[object]) -> bytes:
    """Write JSON lines, and a line with the BLAKE3 of all of them."""
    raw = b"".join(map(strictjson.line, lines))
    return raw + blake3(raw).hexdigest().encode() + b"\n"


def unseal(content: bytes) -> list[Any]:
    """Read what `seal` wrote; raise ValueError where it is anything else."""
    raw = content[:-_HASH]
    if content[-_HASH:] != blake3(raw).hexdigest().encode() + b"\n" or not raw.endswith(b"\n"):
        raise ValueError("it was altered, or is cut off")
    return [strictjson.loads(line) for line in raw.removesuffix(b"\n").split(b"\n")]


def read_file(path: Path, limit: int = LIMIT) -> bytes:
    """Read a file that a user has named; raise UsageError where there is none."""
    try:
        folder = Folder.open(path.parent)
    except ArchiveError as error:
        raise UsageError(f"{shown(path)}: there is no such file") from error
    try:
        if not folder.has(path.name):
            raise UsageError(f"{shown(path)}: there is no such file")
        return folder.read(path.name, limit)
    finally:
        folder.close()


def write_file(path: Path, content: bytes) -> None:
    """Write a file as a whole; what is there of that name is replaced.

    Raise UsageError where it cannot be written.
    """
    _must_be_writable(path.parent)
    folder = Folder.open(path.parent)
    try:
        with folder.writing(path.name) as fd:
            write_all(fd, content)
        folder.sync()
    finally:
        folder.close()


def begin_folder(path: Path) -> None:
    """Make a folder where there is none; raise UsageError where it cannot be made or written."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{shown(path)} cannot be made: {error.strerror}") from error
    _must_be_writable(path)


def _must_be_writable(path: Path) -> None:
    if not path.is_dir():
        raise UsageError(f"{shown(path)}: there is no such folder")
    if not os.access(path, os.W_OK | os.X_OK):
        raise UsageError(f"{shown(path)} cannot be written; name another folder")
