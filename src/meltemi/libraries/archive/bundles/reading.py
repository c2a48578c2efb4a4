"""Reading a set of bundles: all of it, as it was made, or nothing."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from os import fdopen
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from blake3 import blake3

from meltemi.errors import ArchiveError, UsageError
from meltemi.libraries.archive.bundles import manifest, sealing
from meltemi.libraries.archive.bundles.manifest import SetManifest
from meltemi.libraries.archive.bundles.records import Kind, Record, decode_all
from meltemi.libraries.archive.files import BLOCK, Folder, failing, shown
from meltemi.libraries.archive.layout import SET

if TYPE_CHECKING:  # slow, and needed only where keys are
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

Done = Callable[[int], None]
"""Is told of bytes that were read."""


class BundleSet:
    """A set whose bundles lie beside its manifest."""

    def __init__(self, manifest_: SetManifest, folder: Folder) -> None:
        self.manifest = manifest_
        self._folder = folder

    def check(self, done: Done) -> None:
        """Read all of it; raise ArchiveError where a bundle is missing, or is not what was made."""
        names = [self.manifest.name(n) for n in self._numbers()]
        if missing := [name for name in names if not self._folder.has(name)]:
            more = f", nor {len(missing) - 1} others" if len(missing) > 1 else ""
            raise ArchiveError(
                f"{shown(self._folder.path)}: of {len(names)} bundles there is no "
                f"{missing[0]}{more}; nothing was applied"
            )
        for number in self._numbers():
            with self._opened(number, done) as file:
                while file.read(BLOCK):
                    pass

    def records(self, done: Done) -> Iterator[Record]:
        """Give what it holds, in order; raise ArchiveError at the latest when all was read."""
        before = Kind.DELETED
        for number in self._numbers():
            with self._opened(number, done) as file:
                try:
                    for kind, record in decode_all(file, before):
                        before = kind
                        yield record
                except ValueError as error:
                    raise self._wrong(number, str(error)) from error

    def close(self) -> None:
        """Let go of the folder."""
        self._folder.close()

    def _numbers(self) -> range:
        return range(1, len(self.manifest.parts) + 1)

    @contextmanager
    def _opened(self, number: int, done: Done) -> Iterator["_Hashed"]:
        """Open a bundle behind its header; who reads it to its end knows that it is whole."""
        name, part = self.manifest.name(number), self.manifest.parts[number - 1]
        size = self._folder.size(name)
        if size != part.size:
            raise self._wrong(number, f"it has {size} bytes, and had {part.size}")
        header = self.manifest.header(number)
        with fdopen(self._folder.open_file(name), "rb") as raw, failing(self._folder.path / name):
            if raw.read(len(header)) != header:
                raise self._wrong(number, "it does not say what it is, or is another one")
            file = _Hashed(raw, size - len(header), done)
            yield file
        if file.left or file.hash.hexdigest() != part.blake3:
            raise self._wrong(number, "it was altered")

    def _wrong(self, number: int, what: str) -> ArchiveError:
        return ArchiveError(
            f"{shown(self._folder.path / self.manifest.name(number))}: {what}; nothing was "
            "applied: copy it anew"
        )


class _Hashed:
    """A file that is hashed as it is read, and no further than it was long."""

    def __init__(self, file: BinaryIO, length: int, done: Done) -> None:
        self.hash = blake3()
        self.left = length
        self._file = file
        self._done = done

    def read(self, length: int) -> bytes:
        """Give that many bytes, or what is left."""
        data = self._file.read(min(length, self.left))
        self.hash.update(data)
        self.left -= len(data)
        self._done(len(data))
        return data


def open_set(path: Path, key: "Ed25519PublicKey | None") -> BundleSet:
    """Open a set by the file that binds it together, which a key may have to have signed.

    Raise UsageError where there is none, ArchiveError where it is not to be believed.
    """
    if path.suffix != SET:
        raise UsageError(f"{shown(path)}: name the file of the set that ends in {SET}")
    content = sealing.read_file(path)
    if key is not None:
        from meltemi.libraries.archive.bundles import signing  # noqa: PLC0415 - slow

        signing.verify(path, content, key)
    return BundleSet(manifest.decode(path, content), Folder.open(path.parent))
