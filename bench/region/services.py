"""A real Glance and regions beside it, on the same PostgreSQL and disk."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from bench.children import meltemi
from bench.files import random_file, warm
from bench.region.scale import Scale
from lab import Glance, Postgres, Region, images


class Services:
    """Where everything is measured."""

    def __init__(self, folder: Path, postgres: Postgres, glance: Glance, scale: Scale) -> None:
        self.folder = folder
        self.glance = glance
        self.scale = scale
        self._postgres = postgres
        self._made = 0

    @contextmanager
    def region(self, **settings: Any) -> Iterator[Region]:
        """Start a region of two workers that has nothing; nothing of it is left behind."""
        self._made += 1
        name = f"region-{self._made}"
        url = self._postgres.create_database(name).replace("+psycopg2", "")
        meltemi("db", "upgrade", "--database", url)
        folder = Path(tempfile.mkdtemp(dir=self.folder, prefix="region-"))
        chosen = {"workers": 2, "database": url, "index": url, **settings}
        try:
            with Region(folder, settings=chosen) as region:
                yield region
        finally:
            shutil.rmtree(folder)
            os.sync()

    def empty_glance(self) -> None:
        """Take every image out of Glance, burnt ids included."""
        tables = "image_properties, image_tags, image_members, image_locations, images"
        self._postgres.execute(
            f"TRUNCATE {tables} CASCADE", f"{self.glance.name}-{self.glance.port}"
        )
        for file in self.glance.store.rglob("*"):
            if file.is_file():
                file.unlink()
        os.sync()

    @cached_property
    def disk(self) -> Path:
        """Give the real disk, which lies in memory."""
        golden = images.generations()[0]
        if self.scale.disk is None:
            return warm(golden)
        part = self.folder / "part of the disk"
        with golden.open("rb") as whole, part.open("wb") as out:
            out.write(whole.read(self.scale.disk))
        return warm(part)

    @cached_property
    def random(self) -> Path:
        """Give random data."""
        return random_file(self.folder / "random", self.scale.random)


@contextmanager
def services(scale: Scale) -> Iterator[Services]:
    """Start PostgreSQL and Glance; nothing of them is left behind."""
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="meltemi-bench-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        postgres = Postgres().start()
        stack.callback(postgres.remove)
        glance = stack.enter_context(Glance(folder / "glance", postgres=postgres))
        yield Services(folder, postgres, glance, scale)
