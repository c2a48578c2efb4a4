"""The catalogue in a database."""

from collections.abc import Mapping, Sequence
from functools import partial

from meltemi.catalogue import holders, images, listing, members, migrations, parts
from meltemi.catalogue.adopting_sql import SqlLedger
from meltemi.catalogue.database import Database
from meltemi.catalogue.definitions_sql import SqlDefinitions
from meltemi.catalogue.loans_sql import SqlLoans
from meltemi.catalogue.tasks_sql import SqlTasks
from meltemi.model.image import Hashes, Member
from meltemi.model.listing import Listing, Viewer
from meltemi.model.record import Content, Part, Record


async def open_catalogue(url: str) -> "SqlCatalogue":
    """Open the catalogue in a database.

    An SQLite file is made where it is missing, and upgraded. PostgreSQL is not: CatalogueError
    where it needs that, as where it does not answer; UsageError where the URL is none.
    """
    database = Database(url)
    prepare = migrations.REVISIONS.upgrade if database.is_sqlite else migrations.demand
    try:
        await database.run(partial(prepare, database))
    except BaseException:
        await database.leave()
        raise
    return SqlCatalogue(database)


class SqlCatalogue:
    """A catalogue in SQLite or PostgreSQL; see `Catalogue` for what it promises.

    `definitions`, `tasks`, `ledger` and `loans` are the metadata definitions, the tasks, the
    adoption of a Glance, and what is borrowed from other regions, in the same database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self.definitions = SqlDefinitions(database)
        self.tasks = SqlTasks(database)
        self.ledger = SqlLedger(database)
        self.loans = SqlLoans(database)

    async def add(self, record: Record) -> Record:
        """Take in a new image."""
        return await self._database.write(partial(images.add, record=record))

    async def get(self, image: str, viewer: Viewer) -> Record:
        """Give an image that the viewer may see."""
        seen = listing.seen(viewer)
        return await self._database.read(partial(images.get, image=image, seen=seen))

    async def page(self, listing_: Listing) -> Sequence[Record]:
        """Give a page of images."""
        return await self._database.read(partial(listing.page, listing=listing_))

    async def change(self, record: Record) -> Record:
        """Replace an image's metadata, unless it has changed since."""
        return await self._database.write(partial(images.change, record=record))

    async def hold(
        self, image: str, *, expected: Sequence[str], status: str, holder: str
    ) -> Record:
        """Change an image's status for a holder that is at work on it."""
        return await self._database.write(
            partial(images.hold, image=image, expected=expected, status=status, holder=holder)
        )

    async def move(
        self,
        image: str,
        *,
        expected: Sequence[str],
        status: str,
        content: Content | None = None,
        holder: str | None = None,
    ) -> Record:
        """Change an image's status, on condition that it is one of those expected."""
        work = partial(images.move, image=image, expected=expected, status=status)
        return await self._database.write(partial(work, content=content, holder=holder))

    async def has_data(self) -> bool:
        """Say whether the chunk store should have any data."""
        return await self._database.read(images.has_data)

    async def beat(self, holder: str) -> Mapping[str, int]:
        """Let a holder's heart beat once more."""
        return await self._database.write(partial(holders.beat, holder=holder))

    async def bury(self, holder: str) -> Sequence[str]:
        """Give back what a dead holder held."""
        return await self._database.write(partial(holders.bury, holder=holder))

    async def remove(self, image: str) -> Content | None:
        """Delete an image; give its content where no other image has it."""
        return await self._database.write(partial(images.remove, image=image))

    async def clone(self, image: str, record: Record) -> Record:
        """Take in a new image that has the content of another."""
        return await self._database.write(partial(images.clone, image=image, record=record))

    async def share(self, image: str, source: str) -> Record:
        """Give a queued image the content of another."""
        return await self._database.write(partial(images.share, image=image, source=source))

    async def alike(self, hashes: Hashes, viewer: Viewer, after: str = "") -> Sequence[Record]:
        """Give images whose data has a hash."""
        work = partial(images.alike, hashes=hashes, seen=listing.seen(viewer), after=after)
        return await self._database.read(work)

    async def having(self, contents: Sequence[str]) -> Mapping[str, str]:
        """Give the images that have these contents."""
        return await self._database.read(partial(images.having, names=contents))

    async def loose(self, limit: int = 1000) -> Sequence[Content]:
        """Give contents that no image has any more."""
        return await self._database.read(partial(images.loose, limit=limit))

    async def forget(self, content: str) -> None:
        """Take out a content whose data has been let go."""
        await self._database.write(partial(images.forget, content=content))

    async def add_part(self, image: str, part: Part, holder: str) -> None:
        """Let an image have a part."""
        await self._database.write(partial(parts.add, image=image, part=part, holder=holder))

    async def parts(self, image: str) -> Sequence[Part]:
        """Give an image's parts."""
        return await self._database.read(partial(parts.listed, image=image))

    async def drop_parts(self, image: str) -> None:
        """Let an image have no parts any more."""
        await self._database.write(partial(images.drop_parts, image=image))

    async def content(self, name: str) -> Content:
        """Give a content."""
        return await self._database.read(partial(images.get_content, name=name))

    async def known(self, contents: Sequence[str]) -> frozenset[str]:
        """Say which of these contents the catalogue has."""
        return await self._database.read(partial(images.known, names=contents))

    async def members(self, image: str) -> Sequence[Member]:
        """Give those whom an image is offered to."""
        return await self._database.read(partial(members.listed, image=image))

    async def offer(self, image: str, member: Member) -> Member:
        """Offer an image to a project."""
        return await self._database.write(partial(members.offer, image=image, member=member))

    async def answer(self, image: str, member: Member) -> Member:
        """Set what a project says to an image."""
        return await self._database.write(partial(members.answer, image=image, member=member))

    async def withdraw(self, image: str, project: str) -> None:
        """Offer an image to a project no longer."""
        await self._database.write(partial(members.withdraw, image=image, project=project))

    async def usage(self, project: str | None) -> Mapping[str, int]:
        """Sum what a project has."""
        return await self._database.read(partial(members.usage, project=project))

    async def close(self) -> None:
        """Let go of the database."""
        await self._database.leave()
