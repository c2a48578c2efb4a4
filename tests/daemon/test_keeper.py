"""The daemon that leads, between libraries in memory: what is asked of it in unlucky moments."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest
import yaml

from meltemi.config.load import Configuration, load
from meltemi.daemon.accounts import Accounts
from meltemi.daemon.board import Board
from meltemi.daemon.counters import Counters
from meltemi.daemon.keeper import Keeper
from meltemi.daemon.owners import Owners
from meltemi.daemon.shelf import Shelf
from meltemi.daemon.state.records import Cause, Request, Run
from meltemi.daemon.state.state import State, open_state
from meltemi.errors import StateError, UnreachableError
from meltemi.libraries.base import Library
from meltemi.model import placement as model
from meltemi.model.address import LibraryAddress
from meltemi.model.credential import Credential
from meltemi.model.placement import Observed
from meltemi.replication.report import Result
from tests.chunks.making import MIB, noise
from tests.support.memory import MemoryLibrary
from tests.support.memory_exchange import ExchangingLibrary

pytestmark = pytest.mark.timeout(120)  # what is lost never happens

ME = "me"
_T = TypeVar("_T")


async def until(condition: Callable[..., Awaitable[_T]], *words: object) -> _T:
    """Wait until something holds, and give what."""
    while not (found := await condition(*words)):  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(0.01)
    return found


class Place:
    """A keeper at work between `s`, `t`, `u` and `v`."""

    def __init__(self, folder: Path, state: State) -> None:
        self._folder = folder
        self.state = state
        self.libraries: dict[str, MemoryLibrary] = {
            name: MemoryLibrary(name) for name in ("s", "t", "u", "v")
        }
        self.board = Board([], time.time)
        self.counters = Counters()

    def configuration(self, **routes: Any) -> Configuration:
        """Read a configuration with some routes from `s`."""
        file = self._folder / "meltemi.yaml"
        libraries = {name: {"url": f"http://{name}"} for name in self.libraries}
        named = {name: {"from": "s", **route} for name, route in routes.items()}
        file.write_text(yaml.safe_dump({"version": 1, "libraries": libraries, "routes": named}))
        return load(file)

    def keeper(self, configuration: Configuration) -> Keeper:
        """Give a keeper."""

        async def open_(name: str, _: LibraryAddress, __: Credential | None) -> Library:
            return self.libraries[name]

        accounts = Accounts(self.state.credentials, lambda: None)
        return Keeper(
            configuration,
            self.state,
            Shelf(configuration.libraries, open_, accounts.credential),
            board=self.board,
            counters=self.counters,
            owners=Owners(self.board, (), accounts.has, time.time),
            accounts=accounts,
            holder=ME,
        )

    @asynccontextmanager
    async def at_work(self, **routes: Any) -> AsyncIterator[Keeper]:
        """Let a keeper work; it must not end by itself."""
        keeper = self.keeper(self.configuration(**routes))
        working = asyncio.create_task(keeper.run())
        try:
            yield keeper
            assert not working.done()
        finally:
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)

    async def looked(self, count: int = 1) -> list[Run]:
        """Wait until so many runs have ended; give those that have."""

        async def ended() -> list[Run]:
            found = [run for run in await self.state.runs(most=100) if run.ended]
            return found if len(found) >= count else []

        return await until(ended)

    async def is_of(self, route: str) -> bool:
        """Say whether the one image that is wanted is so by a route."""
        return [one.route for one in self.board if one.wanted] == [route]

    async def heard(self, cause: Cause) -> float:
        """Say how many requests were counted."""
        name = "meltemi_requests_heard_total"
        return self.counters.registry.get_sample_value(name, {"cause": cause}) or 0

    def failed(self, library: str) -> float:
        """Say how many images could not be brought to a library."""
        labels = {"route": "all", "library": library, "result": Result.FAILED}
        return self.counters.registry.get_sample_value("meltemi_actions_total", labels) or 0

    async def ready(self, *images: str, at: str) -> None:
        """Wait until these images, and no others, are wanted and ready in a library."""

        async def are_there() -> bool:
            found = [one for one in self.board if one.wanted and one.observed is Observed.READY]
            return {one.place.image for one in found if one.place.library == at} == set(images)

        await until(are_there)


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    state = await open_state(f"sqlite:///{tmp_path / 'state.sqlite'}")
    await state.lead(ME, 3600, lambda _: False)
    yield Place(tmp_path, state)
    await state.close()


async def test_a_configuration_that_comes_in_the_middle_of_a_look(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = place.libraries["s"].put(b"data")
    reached, go = asyncio.Event(), asyncio.Event()
    begin = place.state.begin

    async def slow(run: Run) -> int:
        reached.set()
        await go.wait()
        return await begin(run)

    monkeypatch.setattr(place.state, "begin", slow)
    async with place.at_work(before={"to": "t"}) as keeper:
        await reached.wait()
        reloading = asyncio.create_task(keeper.reload(place.configuration(after={"to": "u"})))
        await asyncio.sleep(0)
        go.set()
        await reloading
        await place.ready(image.id, at="u")
    assert {one.place.library for one in place.board} == {"u"}


async def test_a_look_that_is_broken_off_has_failed(place: Place) -> None:
    held = place.libraries["t"].hold("list")
    async with place.at_work(before={"to": "t"}) as keeper:
        await held.reached.wait()
        await keeper.reload(place.configuration())
        [run] = await place.looked()
    assert (run.route, run.result) == ("before", "failed")
    assert run.detail.startswith("broken off")


async def test_a_retry_does_not_wait_for_a_library_that_had_failed(place: Place) -> None:
    async with place.at_work(all={"to": "t"}) as keeper:
        [lane] = keeper.lanes
        lane.failures = 20
        lane.fail("t: it is away")  # for minutes
        image = place.libraries["s"].put(b"data")
        await place.state.ask(Request(Cause.RETRY, 0.0))
        await place.ready(image.id, at="t")
        assert lane.failures == 0


async def test_a_target_that_fails_late_does_not_speak_for_those_that_are_looked_at_again(
    place: Place,
) -> None:
    error = UnreachableError("u: no answer", library="u")
    hanging = place.libraries["u"].hold("list", error=error)
    image = place.libraries["s"].put(b"data")
    async with place.at_work(all={"to": ["u", "v"]}) as keeper:
        await place.ready(image.id, at="v")
        again = place.libraries["v"].hold("list")
        await place.state.ask(Request(Cause.REQUEST, 0.0))
        await again.reached.wait()
        hanging.go.set()
        await place.looked()
        assert [lane.failures for lane in keeper.lanes if lane.library == "v"] == [0]
        again.go.set()


async def test_a_target_that_hangs_holds_up_none_of_those_that_share_a_relay(
    place: Place,
) -> None:
    source, hanging = place.libraries["s"], place.libraries["u"].hold("list")
    first = source.put(b"data")
    async with place.at_work(all={"to": ["t", "u", "v"], "relay": "t"}):
        await hanging.reached.wait()
        await place.ready(first.id, at="v")
        second = source.put(b"more")
        await place.state.ask(Request(Cause.REQUEST, 0.0))
        await place.ready(first.id, second.id, at="v")
        assert place.libraries["u"].images == {}
        hanging.go.set()
        await place.ready(first.id, second.id, at="u")
    assert (source.served[first.id], source.served[second.id]) == (4, 4)
    assert not place.failed("u")


async def test_pieces_come_from_the_relay_that_has_yet_to_get_them(place: Place) -> None:
    source, relay, target = libraries = [ExchangingLibrary(name) for name in ("s", "t", "u")]
    place.libraries |= {library.name: library for library in libraries}
    first = source.put(noise(1, MIB), name="build 1")
    async with place.at_work(all={"to": ["t", "u"], "relay": "t"}):
        await place.ready(first.id, at="u")
        for library in (source, relay):
            library.requests.clear()
        second = source.put(noise(1, MIB) + noise(2, 1000), name="build 2")
        await place.state.ask(Request(Cause.REQUEST, 0.0))
        await place.ready(first.id, second.id, at="u")
    assert not source.count("read")
    assert not relay.count("read")
    assert target.data(second.id) == source.data(second.id)


async def test_what_another_run_brings_to_the_relay_is_awaited(place: Place) -> None:
    image = place.libraries["s"].put(b"data")
    coming = place.libraries["t"].hold("upload", image_id=image.id, at=4)
    place.libraries["u"].fail("list", UnreachableError("u: no answer", library="u"))
    async with place.at_work(all={"to": ["t", "u"], "relay": "t"}):
        await coming.reached.wait()
        await place.looked()
        await place.state.ask(Request(Cause.RETRY, 0.0))
        await place.looked(2)
        coming.go.set()
        await place.ready(image.id, at="u")
    assert not place.failed("u")


async def test_what_one_route_carries_no_more_another_one_may(place: Place) -> None:
    image = place.libraries["s"].put(b"data", tags=("golden",))
    routes = {"one": {"to": "t"}, "two": {"to": "t", "match": {"tag": "golden"}}}
    async with place.at_work(**routes) as keeper:
        await place.looked(2)
        await place.ready(image.id, at="t")
        [placement] = place.board
        other = ({"one", "two"} - {placement.route}).pop()
        await keeper.reload(place.configuration(**{other: routes[other]}))
        await until(place.is_of, other)
        await place.ready(image.id, at="t")


async def test_what_is_asked_is_heard_where_the_database_fails_meanwhile(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with place.at_work(all={"to": "t"}):
        await place.looked()
        image = place.libraries["s"].put(b"data")
        answered, failures = place.state.answered, 3

        async def failing(holder: str, numbers: Any) -> None:
            nonlocal failures
            if failures:
                failures -= 1
                raise StateError("the server closed the connection")
            await answered(holder, numbers)

        monkeypatch.setattr(place.state, "answered", failing)
        await place.state.ask(Request(Cause.EVENT, 0.0, source="s", image=image.id))
        await place.ready(image.id, at="t")
        assert await until(place.heard, Cause.EVENT) == 1
    assert failures == 0
    assert await place.state.requests() == {}


async def test_what_has_been_kept_is_not_kept_again(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = model.Place("s", "i", "t")
    known = model.Placement(at, "r", wanted=True, observed=Observed.COPYING, since=1.0)
    place.board = Board([known], time.time)  # it is queued anew, which is a change
    keeper = place.keeper(place.configuration(r={"to": "t"}))

    async def fails(*_: object) -> None:
        raise StateError("the database is away")

    with monkeypatch.context() as patch:
        patch.setattr(place.state.troubles, "keep", fails)
        with pytest.raises(StateError):
            await keeper._keep()
    await keeper._keep()
    assert len(await place.state.changes(most=10)) == 1
