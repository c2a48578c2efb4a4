"""The contract of a catalogue of tasks."""

from collections.abc import Sequence
from typing import Protocol

from meltemi.model.listing import Viewer
from meltemi.model.record import Content, Record
from meltemi.model.task import Carried, Task, TaskListing


class Tasks(Protocol):
    """The tasks of one region, and what imports do to images.

    Calls, transactions and times are as in `Catalogue`. A task that is not there, or that the
    viewer may not see, is a VanishedError. Whoever does a task holds it, and its image; it is a
    ConflictError where somebody else does, or nobody any more, as after `Catalogue.bury`.
    """

    async def add(self, task: Task) -> Task:
        """Take in a task that nobody holds; give it with its times.

        ConflictError where its id is in use. One that has failed already expires.
        """

    async def begin(
        self, task: Task, *, expected: Sequence[str], store: str | None, holder: str
    ) -> tuple[Task, Record]:
        """Take in a pending task, and hold the image that it imports, which is `importing` now.

        Give the task with its times. The image shows the task, and the store if one is given.
        Nothing is done, and ConflictError raised, where its status is none of those expected, or
        somebody holds it.
        """

    async def advance(self, task: str, *, holder: str, message: str = "") -> None:
        """Say that a task is being processed, and how far it is.

        VanishedError where the image is gone, ConflictError where it is not the holder's.
        """

    async def succeed(
        self,
        task: str,
        *,
        holder: str,
        content: Content | None = None,
        virtual_size: int | None = None,
        carried: Carried | None = None,
    ) -> Record:
        """End a task well: its image is active, with the content and with what it carries over.

        Without a content, the image has what was staged, of which `virtual_size` is now known. The
        task's result names the image, its message how much data there is.
        """

    async def fail(self, task: str, message: str, *, holder: str) -> bool:
        """End a task badly, and queue its image again, without data; say whether there is one.

        Nothing is done to what the holder does not hold.
        """

    async def get(self, task: str, viewer: Viewer) -> Task:
        """Give a task."""

    async def page(self, listing: TaskListing) -> Sequence[Task]:
        """Give a page of tasks; VanishedError where the marker is not to be seen."""

    async def of_image(self, image: str, viewer: Viewer) -> Sequence[Task]:
        """Give the tasks about an image, there or not, that the viewer may see, as they came."""

    async def expire(self) -> None:
        """Forget the tasks whose time is over."""
