"""Tasks in a database."""

from collections.abc import Sequence
from functools import partial

from meltemi.catalogue import tasks
from meltemi.catalogue.database import Database
from meltemi.model.listing import Viewer
from meltemi.model.record import Content, Record
from meltemi.model.task import Carried, Task, TaskListing


class SqlTasks:
    """Tasks in SQLite or PostgreSQL; see `Tasks` for what it promises."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, task: Task) -> Task:
        """Take in a task that nobody holds."""
        return await self._database.write(partial(tasks.add, task=task))

    async def begin(
        self, task: Task, *, expected: Sequence[str], store: str | None, holder: str
    ) -> tuple[Task, Record]:
        """Take in a task, and let it import its image."""
        work = partial(tasks.begin, task=task, expected=expected, store=store, holder=holder)
        return await self._database.write(work)

    async def advance(self, task: str, *, holder: str, message: str = "") -> None:
        """Say how far a task is."""
        await self._database.write(
            partial(tasks.advance, task=task, holder=holder, message=message)
        )

    async def succeed(
        self,
        task: str,
        *,
        holder: str,
        content: Content | None = None,
        virtual_size: int | None = None,
        carried: Carried | None = None,
    ) -> Record:
        """End a task well."""
        work = partial(tasks.succeed, task=task, holder=holder, content=content)
        return await self._database.write(partial(work, virtual_size=virtual_size, carried=carried))

    async def fail(self, task: str, message: str, *, holder: str) -> bool:
        """End a task badly."""
        return await self._database.write(
            partial(tasks.fail, task=task, message=message, holder=holder)
        )

    async def get(self, task: str, viewer: Viewer) -> Task:
        """Give a task."""
        return await self._database.read(partial(tasks.get, task=task, viewer=viewer))

    async def page(self, listing: TaskListing) -> Sequence[Task]:
        """Give a page of tasks."""
        return await self._database.read(partial(tasks.page, listing=listing))

    async def of_image(self, image: str, viewer: Viewer) -> Sequence[Task]:
        """Give the tasks about an image."""
        return await self._database.read(partial(tasks.of_image, image=image, viewer=viewer))

    async def expire(self) -> None:
        """Forget the tasks whose time is over."""
        await self._database.write(tasks.expire)
