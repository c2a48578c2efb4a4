"""Reading several libraries side by side: all that have an id, together, in order of ids.

Only a page of each library is held at a time, so memory does not grow with the libraries.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from itertools import pairwise

from meltemi.errors import MeltemiError
from meltemi.model.image import Image

Row = tuple[Image | None, ...]
"""The images of one id, one place per library."""


class UnorderedError(Exception):
    """A library's pages do not ascend by id, as with ids of mixed case in some databases."""


class ListingError(Exception):
    """One of the listings failed; `place` says which, `cause` why."""

    def __init__(self, place: int, cause: MeltemiError) -> None:
        super().__init__(str(cause))
        self.place = place
        self.cause = cause


async def join(listings: Sequence[AsyncIterator[list[Image]]]) -> AsyncIterator[list[Row]]:
    """Match listings by id and give the rows in batches.

    Raise UnorderedError where they do not ascend, ListingError where one of them fails.
    """
    cursors = [_Cursor(place, listing) for place, listing in enumerate(listings)]
    while True:
        await asyncio.gather(*(cursor.fill() for cursor in cursors if not cursor.page))
        if not any(cursor.page for cursor in cursors):
            return
        bound = min((c.page[-1].id for c in cursors if not c.ended), default=None)
        rows: dict[str, list[Image | None]] = {}
        for place, cursor in enumerate(cursors):
            for image in cursor.take(bound):
                rows.setdefault(image.id, [None] * len(cursors))[place] = image
        yield [tuple(rows[image_id]) for image_id in sorted(rows)]


async def collected(listing: AsyncIterator[list[Image]]) -> AsyncIterator[list[Image]]:
    """Read a whole listing and give it as one page in order: the way out of UnorderedError."""
    images = [image async for page in listing for image in page]
    if images:
        yield sorted(images, key=lambda image: image.id)


class _Cursor:
    """What has been read of one listing and not yet been matched."""

    def __init__(self, place: int, listing: AsyncIterator[list[Image]]) -> None:
        self._place = place
        self._listing = listing
        self._last = ""
        self.page: list[Image] = []
        self.ended = False

    async def fill(self) -> None:
        while not self.page and not self.ended:
            try:
                page = await anext(self._listing, None)
            except MeltemiError as error:
                raise ListingError(self._place, error) from error
            if page is None:
                self.ended = True
            elif page:
                ids = [self._last, *(image.id for image in page)]
                if any(later < earlier for earlier, later in pairwise(ids)):
                    raise UnorderedError
                self._last = page[-1].id
                self.page = page

    def take(self, bound: str | None) -> list[Image]:
        """Take everything up to an id; `None` is no bound."""
        if bound is None or (self.page and self.page[-1].id <= bound):
            taken, self.page = self.page, []
        else:
            taken = [image for image in self.page if image.id <= bound]
            self.page = self.page[len(taken) :]
        return taken
