"""Three real Debian disks in one store: a golden image, a snapshot of a server, the next build."""

import hashlib
from pathlib import Path

import pytest

from lab import images
from meltemi.chunks.checking import check
from meltemi.chunks.opening import open_store
from meltemi.chunks.scrubbing import scrub
from meltemi.chunks.writer import PIECE, Put

# The first run on a machine builds the disks.
pytestmark = [pytest.mark.services, pytest.mark.timeout(1800)]


def test_three_generations_of_a_debian(tmp_path: Path) -> None:
    disks = images.generations()
    store = open_store(str(tmp_path / "store"), create=True)
    try:
        puts: list[Put] = []
        for disk in disks:
            with store.writing() as writer, disk.open("rb") as file:
                while data := file.read(PIECE):
                    writer.write(data)
                puts.append(writer.finish(disk.stem))
        golden, snapshot, rebuilt = (put.stored for put in puts)
        assert snapshot < golden / 2
        assert rebuilt < golden / 2
        for disk, put in zip(disks, puts, strict=True):
            digest, size = hashlib.sha512(), 0
            for piece in store.reader(put.head).read():
                digest.update(piece)
                size += len(piece)
            with disk.open("rb") as file:
                wanted = hashlib.file_digest(file, "sha512").hexdigest()
            assert size == disk.stat().st_size
            assert digest.hexdigest() == put.head.hashes["sha512"] == wanted
        assert check(store).problems == []
        assert scrub(store).problems == []
    finally:
        store.close()
