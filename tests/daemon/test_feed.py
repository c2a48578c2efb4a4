"""What changes, for those who watch: without a daemon."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager

import pytest

from meltemi.daemon.api.feed import _MOST_OF_PROJECT, Feed, Watcher
from meltemi.daemon.state.records import Change
from meltemi.daemon.state.state import State
from meltemi.errors import UnavailableError
from meltemi.model.placement import Observed, Place


def watcher(project: str | None) -> Watcher:
    return Watcher(lambda _: True, project)


@asynccontextmanager
async def following(feed: Feed, project: str | None) -> AsyncIterator[AsyncGenerator[bytes]]:
    """Watch from the beginning on."""
    async with aclosing(feed.follow(0, watcher(project))) as events:
        assert b"event: begin" in await anext(events)
        yield events


async def test_reasons_are_told_to_those_who_may_see_everything(state: State) -> None:
    await state.lead("one", 60, lambda _: False)
    why = "image 0 is there with owner another"
    change = Change(1.0, Place("s", "i", "t"), "r", True, Observed.CONFLICT, "i", "p", why)
    await state.save("one", [], history=[change])
    feed = Feed(state)
    async with following(feed, None) as everything, following(feed, "p") as mine:
        await feed._look()
        for again in range(2):
            whole, bare = await anext(everything), await anext(mine)
            assert why.encode() in whole
            assert b'"status":"conflict"' in bare
            assert b"another" not in bare
            # Once from the database, once from what is kept for all.
            if not again:
                await state.save("one", [], history=[change])
                await feed._look()


async def test_nobody_keeps_others_from_watching(state: State) -> None:
    feed = Feed(state)
    await state.lead("one", 60, lambda _: False)
    async with AsyncExitStack() as stack:
        for _ in range(_MOST_OF_PROJECT):
            await stack.enter_async_context(following(feed, "p"))
        with pytest.raises(UnavailableError):
            await anext(feed.follow(None, watcher("p")))
        for other in ("q", None):
            await stack.enter_async_context(following(feed, other))
    async with following(feed, "p"):
        pass
