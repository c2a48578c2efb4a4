"""Clones of an image of very many chunks."""

import asyncio
import http.client
import json
import os
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from uuid import uuid4

from bench.curl import create
from bench.figures import Result, at_most, for_reference, seconds
from bench.region.services import Services
from bench.store.synthetic import making
from lab import Region
from meltemi.catalogue.sql import open_catalogue
from meltemi.chunks.blob import chunk_id
from meltemi.chunks.manifest import Entry
from meltemi.chunks.opening import open_store
from meltemi.model.image import Hashes
from meltemi.model.record import Content

_CHUNK = 4096
"""Bytes of a chunk: small, so that it is their number that counts."""


def clones(services: Services) -> Iterator[Result]:
    """Clone an image of many distinct chunks again and again, and a small one."""
    count = services.scale.chunks
    with services.region() as region:
        large, small = create(region.url, "large"), create(region.url, "small")
        for image, chunks in ((large, count), (small, 1)):
            _fill(region, image, chunks)
        took = {
            f"{chunks:,} chunks": [
                seconds(lambda image=image: clone(region.url, image)) * 1000  # type: ignore[misc]
                for _ in range(services.scale.clones)
            ]
            for image, chunks in ((large, count), (small, 1))
        }
        _must_have_the_end(region.url, clone(region.url, large), count * _CHUNK)
    many, one = took.values()
    yield at_most(f"clone of an image of {count:,} distinct chunks", 50, median(many), "ms", took)
    yield for_reference("clone of an image of one chunk", median(one), "ms", {})


def clone(url: str, image: str) -> str:
    """Clone an image; give the clone's id."""
    request = urllib.request.Request(  # noqa: S310 - a service of this program on loopback
        f"{url}/v2/images/{image}/actions/clone",
        b"{}",
        {"Content-Type": "application/json"},
        method="POST",
    )
    with urllib.request.urlopen(request) as answer:  # noqa: S310
        return str(json.load(answer)["id"])


def _must_have_the_end(url: str, image: str, size: int) -> None:
    """See that a clone really has its data: the last chunk can be read."""
    request = urllib.request.Request(  # noqa: S310 - a service of this program on loopback
        f"{url}/v2/images/{image}/file", headers={"Range": f"bytes={size - _CHUNK}-"}
    )
    with urllib.request.urlopen(request) as answer:  # noqa: S310
        if (answer.status, len(answer.read())) != (http.client.PARTIAL_CONTENT, _CHUNK):
            raise RuntimeError(f"{url}: the clone {image} cannot be read to its end")


def _fill(region: Region, image: str, count: int) -> None:
    """Give an image data of so many distinct chunks, as an upload would but for its hashes."""
    chosen = region.settings
    name = f"{image}/{uuid4().hex}/{uuid4().hex}"
    store = open_store(str(Path(chosen["data"]) / "store"), index=chosen["index"])
    try:
        with making(store) as made:
            for _ in range(count):
                data = os.urandom(_CHUNK)
                blob = chunk_id(data)
                made.store(blob, data)
                made.add(Entry(_CHUNK, blob))
            made.publish(name)
    finally:
        store.close()
    content = Content(name, count * _CHUNK, Hashes(None, None, None))
    asyncio.run(_enter(chosen["database"], image, content))


async def _enter(database: str, image: str, content: Content) -> None:
    catalogue = await open_catalogue(database)
    try:
        await catalogue.move(image, expected=("queued",), status="active", content=content)
    finally:
        await catalogue.close()
