"""Stores that are measured side by side: Meltemi's, borg's, casync's and restic's."""

import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

from bench.children import Run, meltemi, run
from bench.figures import output
from lab.debian import program


class System(ABC):
    """A store in a folder of its own; it reads every image in full, though its file be known."""

    label: str

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._store = folder / "store"
        self._env = {**os.environ, "HOME": str(folder), "LC_ALL": "C.UTF-8"}

    @abstractmethod
    def init(self) -> None:
        """Make the store."""

    @abstractmethod
    def put(self, name: str, image: Path) -> Run:
        """Store an image."""

    def get(self, name: str) -> Run:
        """Give an image's data to nobody."""
        raise NotImplementedError(name)

    def stored(self) -> int:
        """Count the bytes of the store, index and all."""
        found = self._store.rglob("*")
        return sum(path.lstat().st_size for path in found if not path.is_dir())


class Meltemi(System):
    """The store of this project, by its command line."""

    label = "Meltemi"
    hashes: Sequence[str] = ("md5", "sha512")

    def init(self) -> None:
        """Make the store."""
        meltemi("store", "init", self._store)

    def put(self, name: str, image: Path) -> Run:
        """Store an image."""
        asked = [word for known in self.hashes for word in ("--hash", known)]
        return meltemi("store", "put", *asked, self._store, name, image)

    def get(self, name: str) -> Run:
        """Give an image's data to nobody."""
        return meltemi("store", "get", self._store, name)


class MeltemiPlain(Meltemi):
    """The same without hashes of the whole, which no peer computes."""

    label = "Meltemi without md5 and sha512"
    hashes = ("none",)


class Borg(System):
    """Borg with chunks of 64 KiB and the same level of zstd."""

    label = "borg zstd,3"
    level = 3

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._borg = program("borg", "borgbackup")
        self._env |= {
            "BORG_BASE_DIR": str(folder / "home"),
            "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes",
        }

    def init(self) -> None:
        """Make the repository."""
        run(self._borg, "init", "-e", "none", self._store, env=self._env)

    def put(self, name: str, image: Path) -> Run:
        """Store an image; borg would not even read a file that it has seen before."""
        cut = ("--chunker-params", "buzhash,14,18,16,4095", "--files-cache", "disabled")
        level = ("-C", f"zstd,{self.level}")
        return run(
            *(self._borg, "create", *cut, *level, f"{self._store}::{_plain(name)}", image.name),
            cwd=image.parent,
            env=self._env,
        )

    def get(self, name: str) -> Run:
        """Give an image's data to nobody."""
        archive = f"{self._store}::{_plain(name)}"
        return run(self._borg, "extract", "--stdout", archive, env=self._env, cwd=self._folder)


class BorgFast(Borg):
    """Borg with zstd's lowest level."""

    label = "borg zstd,1"
    level = 1


class Casync(System):
    """Casync with its own settings: 64 KiB, zstd."""

    label = "casync"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._casync = program("casync", "casync")

    def init(self) -> None:
        """Make the store's folder."""
        self._store.mkdir()

    def put(self, name: str, image: Path) -> Run:
        """Store an image."""
        index = self._store / f"{_plain(name)}.caibx"
        chunks = f"--store={self._store / 'default.castr'}"
        return run(self._casync, "make", chunks, index, image, env=self._env)


class Restic(System):
    """Restic without a cache; it encrypts, and its chunks are of 1 MiB."""

    label = "restic"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        password = folder / "password"
        password.write_text("benchmark\n")
        restic = program("restic", "restic")
        settings = ("--no-cache", "-q", "-r", self._store, "--password-file", password)
        self._restic = (restic, *settings)

    def init(self) -> None:
        """Make the repository."""
        run(*self._restic, "init", env=self._env)

    def put(self, name: str, image: Path) -> Run:
        """Store an image."""
        return run(*self._restic, "backup", "--force", "--tag", _plain(name), image, env=self._env)


ALL: Sequence[type[System]] = (Meltemi, Borg, MeltemiPlain, BorgFast, Casync, Restic)


def versions() -> dict[str, str]:
    """Say which peers these are."""
    tools = (("borg", "borgbackup", "--version"), ("casync", "casync", "--version"))
    found = {
        name: output(str(program(name, package)), word).split("\n")[0]
        for name, package, word in (*tools, ("restic", "restic", "version"))
    }
    found["borg"] += ", --chunker-params buzhash,14,18,16,4095 --files-cache disabled, -e none"
    return found


def _plain(name: str) -> str:
    return name.replace(" ", "-")
