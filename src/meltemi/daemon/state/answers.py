"""What owners are told, in the state: written by the daemon that leads, read by all."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import TypeVar

from sqlalchemy import ColumnElement, Connection, delete, select, tuple_

from meltemi.daemon.state.records import Answer
from meltemi.daemon.state.schema import answers
from meltemi.daemon.state.views import Shape
from meltemi.daemon.state.writing import demand_lease, upsert
from meltemi.transactions import Database

T = TypeVar("T")


class Answers:
    """What owners are told of their images; every method raises StateError where it fails."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self, *where: ColumnElement[bool]) -> list[Answer]:
        """Give answers, by image and source."""
        query = select(answers).where(*where).order_by(answers.c.image, answers.c.source)
        rows = await self._database.read(lambda c: c.execute(query).mappings().all())
        return [Answer(**row) for row in rows]

    async def page(
        self,
        owner: str | None,
        image: str | None,
        after: tuple[str, str] | None,
        most: int,
        shape: Shape[T],
    ) -> T:
        """Read answers behind one, of a project or of all, by image and source."""
        key = (answers.c.image, answers.c.source)
        query = select(answers).order_by(*key).limit(most)
        for column, value in ((answers.c.owner, owner), (answers.c.image, image)):
            if value is not None:
                query = query.where(column == value)
        if after is not None:
            query = query.where(tuple_(*key) > after)
        return await self._database.read(lambda c: shape(c.execute(query).all()))

    async def save(
        self, holder: str, kept: Sequence[Answer], forgotten: Iterable[tuple[str, str]]
    ) -> None:
        """Keep and forget answers, all or none; LeaseError where another daemon leads."""

        def write(connection: Connection) -> None:
            demand_lease(connection, holder)
            for answer in kept:
                upsert(self._database, connection, answers, [asdict(answer)])
            for source, image in forgotten:
                at = (answers.c.source == source, answers.c.image == image)
                connection.execute(delete(answers).where(*at))

        await self._database.write(write)
