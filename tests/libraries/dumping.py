"""A dump that dies, for the tests of archives: it runs in a process of its own."""

import asyncio
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from typing import Any

from meltemi.errors import ConflictError
from meltemi.libraries.archive import open_archive
from meltemi.libraries.archive.dedup.opening import open_dedup
from meltemi.libraries.base import Changes, Library
from meltemi.model.image import Image, Member
from tests.libraries.handling import MIB, listed, pieces

_random = Random(11)
DATA = [_random.randbytes(size) for size in (2 * MIB + 5, 0, 70_000, 1, MIB, 9)]
IMAGES = [
    Image(
        f"{number}0000000-0000-4000-8000-000000000000",
        name=f"image {number}",
        disk_format=disk_format,
        container_format="bare",
        visibility="shared",
        owner="someone",
        created_at="2020-01-02T03:04:05Z",
    )
    for number, disk_format in enumerate(["raw", "qcow2", None, "iso", "raw", "vmdk"])
]
DELETED = 3
MEMBER = Member("project", "accepted")

Acknowledge = Callable[[str, str], None]
_CHANGING = ("mkdir", "open", "write", "pwrite", "fsync", "rename", "unlink", "ftruncate")


async def dump(
    folder: Path, acknowledge: Acknowledge, *, at_once: int = 1, dedup: bool = False
) -> None:
    """Bring all images into an archive, going on from what is there; say what is done."""
    library = opened(folder, dedup=dedup)
    try:
        there = {image.id: image for image in await listed(library)}
        gate = asyncio.Semaphore(at_once)

        async def one(number: int) -> None:
            async with gate:
                await _carry(library, there.get(IMAGES[number].id), number, acknowledge)

        await asyncio.gather(*map(one, range(len(IMAGES))))
    finally:
        await library.close()


def opened(folder: Path, *, dedup: bool) -> Library:
    """Open an archive to be written."""
    if dedup:
        return open_dedup(folder, None, name="target", writable=True)
    return open_archive(folder, name="target", writable=True)


async def _carry(
    library: Library, there: Image | None, number: int, acknowledge: Acknowledge
) -> None:
    wanted = IMAGES[number]
    if there is None:
        try:
            there = await library.create(replace(wanted, name="not yet"))
        except ConflictError:
            return
        acknowledge("created", wanted.id)
    if not there.has_data:
        acknowledge("fetching", wanted.id)
        await library.upload(wanted.id, len(DATA[number]), pieces(DATA[number]))
        acknowledge("filled", wanted.id)
    if number == DELETED:
        acknowledge("deleting", wanted.id)
        await library.delete(wanted.id)
        acknowledge("deleted", wanted.id)
        return
    if not await library.list_members(wanted.id):
        await library.add_member(wanted.id, MEMBER)
        acknowledge("shared", wanted.id)
    if there.name != wanted.name:
        await library.update(wanted.id, Changes({"name": wanted.name}))
        acknowledge("named", wanted.id)


def die_at(count: int) -> None:
    """Kill this process at its `count`-th change to a file; a write gets half way."""
    left = count

    def deadly(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal left
            left -= 1
            if left == 0:
                if name == "write":
                    real(args[0], bytes(args[1])[: len(args[1]) // 2])
                if name == "pwrite":
                    real(args[0], args[1][: len(args[1]) // 2], args[2])
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*args, **kwargs)

        return call

    for name in _CHANGING:
        setattr(os, name, deadly(name, getattr(os, name)))


def process(folder: Path, count: int, at_once: int, dedup: bool, pipe: Connection) -> None:
    """Dump until done or dead, and send what is acknowledged."""
    if count:
        die_at(count)

    def acknowledge(what: str, which: str) -> None:
        pipe.send((what, which))

    asyncio.run(dump(folder, acknowledge, at_once=at_once, dedup=dedup))
    pipe.send(("done", ""))
