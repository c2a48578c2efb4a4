"""The adoption of a Glance, in a database."""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import TypeVar

from sqlalchemy import Connection

from meltemi.catalogue import adopting
from meltemi.catalogue.adopting_base import Known
from meltemi.catalogue.database import Database
from meltemi.model.adoption import Adoption, Missing, Progress
from meltemi.model.record import Content, Record

_T = TypeVar("_T")


class SqlLedger:
    """An adoption in SQLite or PostgreSQL; see `Ledger` for what it promises."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def state(self) -> Adoption | None:
        """Tell how it stands."""
        return await self._read(adopting.state)

    async def begin(self, endpoint: str, follower: str) -> Adoption:
        """Begin or go on."""
        return await self._write(partial(adopting.begin, endpoint=endpoint, follower=follower))

    async def follow(self, follower: str) -> bool:
        """Become the follower."""
        return await self._write(partial(adopting.follow, follower=follower))

    async def compared(self, follower: str) -> None:
        """Say that all images have been compared."""
        await self._write(partial(adopting.compared, follower=follower))

    async def hearts(self) -> Mapping[str, int]:
        """Tell how often hearts have beaten."""
        return await self._read(adopting.hearts)

    async def names(self) -> frozenset[str]:
        """Name all adopted images."""
        return await self._read(adopting.names)

    async def known(self, images: Collection[str]) -> Mapping[str, Known]:
        """Give what is known of some images."""
        return await self._read(partial(adopting.known, wanted=images))

    async def version(self, image: str) -> int | None:
        """Give the version of an image."""
        return await self._read(partial(adopting.version, image=image))

    async def is_settled(self, image: str) -> bool:
        """Say whether an image is there, has its data, and nothing is at work on it."""
        return await self._read(partial(adopting.is_settled, image=image))

    async def add(self, follower: str, found: Sequence[Known]) -> None:
        """Take over images that are not there."""
        await self._write(partial(adopting.add, follower=follower, found=found))

    async def take(self, found: Known, version: int | None) -> None:
        """Take over an image as it is."""
        await self._write(partial(adopting.take, found=found, version=version))

    async def drop(self, image: str, version: int) -> None:
        """Take an image away."""
        await self._write(partial(adopting.drop, image=image, version=version))

    async def claim(self, image: str, holder: str) -> bool:
        """Hold an image."""
        return await self._write(partial(adopting.claim, image=image, holder=holder))

    async def claim_next(self, holder: str) -> Record | None:
        """Hold the next image."""
        return await self._write(partial(adopting.claim_next, holder=holder))

    async def fill(self, record: Record, content: Content, holder: str) -> None:
        """Give an image its data."""
        await self._write(partial(adopting.fill, record=record, content=content, holder=holder))

    async def release(
        self, image: str, holder: str, problem: str | None, *, failed: bool = False
    ) -> None:
        """Hold an image no longer."""
        work = partial(adopting.release, image=image, holder=holder, problem=problem)
        await self._write(partial(work, failed=failed))

    async def begin_passing(self, holder: str) -> tuple[Adoption | None, str | None]:
        """Announce a change."""
        return await self._write(partial(adopting.begin_passing, holder=holder))

    async def end_passing(self, passing: str) -> None:
        """Say that a change has been passed on."""
        await self._write(partial(adopting.end_passing, passing=passing))

    async def passings(self) -> int:
        """Count the changes that are being passed on."""
        return await self._read(adopting.count_passings)

    async def progress(self) -> Progress:
        """Sum how far it is."""
        return await self._read(adopting.progress)

    async def missing(self) -> Sequence[Missing]:
        """Give the images that are not wholly here."""
        return await self._read(adopting.missing)

    async def own(self) -> Sequence[str]:
        """Give the ids of the region's own images."""
        return await self._read(adopting.own)

    async def pause(self, follower: str) -> None:
        """Let nobody change anything."""
        await self._write(partial(adopting.pause, follower=follower))

    async def resume(self, follower: str) -> None:
        """Let it run again."""
        await self._write(partial(adopting.resume, follower=follower))

    async def complete(self, follower: str, without: Collection[str]) -> None:
        """Let the region stand alone."""
        await self._write(partial(adopting.complete, follower=follower, without=without))

    async def undo(self) -> int:
        """Forget the adoption and its images."""
        return await self._write(adopting.undo)

    async def _read(self, work: Callable[[Connection], _T]) -> _T:
        return await self._database.read(work)

    async def _write(self, work: Callable[[Connection], _T]) -> _T:
        return await self._database.write(work)
