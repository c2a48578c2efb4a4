"""Image data: hashed, streamed out of a file, and held against what was recorded of it."""

import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from hashlib import md5, sha512
from pathlib import Path

from meltemi.errors import CorruptionError
from meltemi.libraries.archive.files import BLOCK, Folder, failing, shown
from meltemi.model.image import Hashes
from meltemi.threads import in_thread


class Hasher:
    """Counts and hashes data that goes by."""

    def __init__(self) -> None:
        self.size = 0
        self._md5 = md5(usedforsecurity=False)
        self._sha512 = sha512()

    def update(self, block: bytes | bytearray) -> None:
        """Take the next block."""
        self.size += len(block)
        self._md5.update(block)
        self._sha512.update(block)

    @property
    def hashes(self) -> Hashes:
        """Give the hashes of all so far."""
        return Hashes(self._md5.hexdigest(), "sha512", self._sha512.hexdigest())


def blocks(fd: int, offset: int = 0) -> Iterator[bytes]:
    """Read a file from `offset` to its end."""
    while block := os.pread(fd, BLOCK, offset):
        yield block
        offset += len(block)


def hashed(folder: Folder, name: str) -> tuple[int, Hashes]:
    """Give the size and the hashes of a file."""
    hasher = Hasher()
    with ExitStack() as closing, failing(folder.path / name):
        fd = folder.open_file(name)
        closing.callback(os.close, fd)
        for block in blocks(fd):
            hasher.update(block)
    return hasher.size, hasher.hashes


async def stream(open_file: Callable[[], int], path: Path, offset: int = 0) -> AsyncIterator[bytes]:
    """Give a file's data from `offset` on; the event loop goes on meanwhile."""
    with ExitStack() as closing:

        def begin() -> Iterator[bytes]:
            fd = open_file()
            closing.callback(os.close, fd)
            return blocks(fd, offset)

        def following(rest: Iterator[bytes]) -> bytes | None:
            with failing(path):
                return next(rest, None)

        rest = await in_thread(begin)
        while (block := await in_thread(following, rest)) is not None:
            yield block


async def verify(
    data: AsyncIterator[bytes], label: str, where: Path | str, size: int | None, recorded: Hashes
) -> None:
    """Read data to its end; raise CorruptionError where it is not what was recorded."""
    hasher = Hasher()
    async for block in data:
        await in_thread(hasher.update, block)
    if size not in (None, hasher.size) or hasher.hashes.agree(recorded) is False:
        place = where if isinstance(where, str) else shown(where)
        raise CorruptionError(
            f"{place}: the data of image {label} is not what was written; "
            "restore the file from another copy, or dump the image into a new archive"
        )
