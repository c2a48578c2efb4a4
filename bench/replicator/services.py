"""The Glance services that are measured, and the images in them."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import aiohttp

from bench.curl import uploaded
from lab import Glance, Postgres
from lab.wsgi import Settings

PARALLEL = 8


class Services:
    """Several Glance services without authentication on one PostgreSQL."""

    def __init__(self, folder: Path, postgres: Postgres, glances: dict[str, Glance]) -> None:
        self.folder = folder
        self._postgres = postgres
        self.glances = glances

    def url(self, name: str) -> str:
        """Give a service's address."""
        return self.glances[name].url

    def database(self, name: str) -> str:
        """Give the URL of a service's database."""
        glance = self.glances[name]
        return f"{self._postgres.url}/{glance.name}-{glance.port}"

    def wipe(self, *names: str) -> None:
        """Make services empty, burnt ids included."""
        for name in names:
            glance = self.glances[name]
            tables = "image_properties, image_tags, image_members, image_locations, images"
            self._postgres.execute(f"TRUNCATE {tables} CASCADE", f"{glance.name}-{glance.port}")
            for file in glance.store.rglob("*"):
                if file.is_file():
                    file.unlink()
        os.sync()

    def upload(self, name: str, file: Path, title: str) -> str:
        """Upload one file as a raw image; give its id."""
        return uploaded(self.url(name), file, title)

    def fill(self, name: str, count: int, size: int, **attributes: object) -> None:
        """Upload many images of random data, several at once."""
        asyncio.run(_fill(self.url(name), count, size, attributes))


@contextmanager
def services(*names: str, config: Settings | None = None) -> Iterator[Services]:
    """Start services, with settings of their own; nothing of them is left behind."""
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="meltemi-bench-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        postgres = Postgres().start()
        stack.callback(postgres.remove)
        glances = {
            name: Glance(folder / name, name=name, postgres=postgres, config=config)
            for name in names
        }
        for glance in glances.values():
            stack.callback(glance.start(wait=False).stop)
        for glance in glances.values():
            glance.wait_ready()
        yield Services(folder, postgres, glances)


async def _fill(url: str, count: int, size: int, attributes: dict[str, object]) -> None:
    gate = asyncio.Semaphore(PARALLEL)

    async def one(session: aiohttp.ClientSession, number: int) -> None:
        data = bytearray(os.urandom(size))
        data[510:512] = b"\0\0"[: max(0, size - 510)]
        body = {
            "name": f"image {number}",
            "disk_format": "raw",
            "container_format": "bare",
            "visibility": "private",
            **attributes,
        }
        kind = {"Content-Type": "application/octet-stream"}
        async with gate:
            async with session.post(f"{url}/v2/images", json=body) as answer:
                image_id = (await answer.json())["id"]
            path = f"{url}/v2/images/{image_id}/file"
            async with session.put(path, data=bytes(data), headers=kind) as answer:
                answer.raise_for_status()

    connector = aiohttp.TCPConnector(force_close=True)
    async with aiohttp.ClientSession(connector=connector) as session, asyncio.TaskGroup() as tasks:
        for number in range(count):
            tasks.create_task(one(session, number))
