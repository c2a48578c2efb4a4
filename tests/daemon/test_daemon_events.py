"""What changes is told as it changes, to everybody who watches, whatever the others do."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from meltemi.daemon.state.records import Change
from meltemi.daemon.state.state import open_state
from meltemi.model.placement import Observed, Place
from tests.daemon.asking import READER, Asked, Cloud, Event, Stream, cloud_of
from tests.support.daemon import Daemon
from tests.support.glance import Service
from tests.support.proxy import FILE, Fault

HOLDER = "the test"


@pytest.fixture(scope="module")
def cloud(
    glances: Mapping[str, Service], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cloud]:
    with cloud_of(glances, tmp_path_factory.mktemp("daemon")) as made:
        yield made


def begun(stream: Stream) -> int:
    """Read the first event; give the place in the sequence."""
    event = stream.next()
    assert event is not None
    assert (event.kind, event.data) == ("begin", {})
    return event.id


def until_ready(stream: Stream, image: str, libraries: int = 2) -> list[Event]:
    """Give the changes up to those that make an image ready in so many libraries."""
    found: list[Event] = []
    for event in stream.changes():
        found.append(event)
        ready = [e for e in found if (e.data["image"], e.data["observed"]) == (image, "ready")]
        if len(ready) == libraries:
            return found
    raise AssertionError("the stream has ended")


def test_what_changes_is_told_and_told_again(cloud: Cloud) -> None:
    with ExitStack() as stack:
        streams = [stack.enter_context(cloud.asked.watching(token=READER)) for _ in range(3)]
        places = [begun(stream) for stream in streams]
        image = cloud.source.put("first", b"data")
        cloud.look()
        told = [until_ready(stream, image) for stream in streams]
    assert told[0] == told[1] == told[2]
    numbers = [event.id for event in told[0]]
    assert numbers == sorted(set(numbers))
    history = cloud.asked.get("/v1/changes?image=first")["changes"]
    assert [event.data for event in told[0]] == history[::-1]
    for last, event in zip([places[0], *numbers], told[0], strict=False):
        with cloud.asked.watching(last=last) as again:
            assert begun(again) == last
            assert again.next() == event


def test_watching_a_part(cloud: Cloud) -> None:
    with (
        cloud.asked.watching("?image=named&library=R1") as named,
        cloud.asked.watching("?library=R2&route=all") as placed,
    ):
        begun(named)
        begun(placed)
        cloud.source.put("other", b"data")
        image = cloud.source.put("named", b"data")
        cloud.look()
        events = until_ready(named, image, 1)
        assert {(e.data["name"], e.data["library"]) for e in events} == {("named", "R1")}
        events = until_ready(placed, image, 1)
        assert {e.data["library"] for e in events} == {"R2"}


def test_how_far_an_image_has_come(cloud: Cloud) -> None:
    cloud.second.fault(Fault("PUT", FILE, rate=2**20))
    try:
        with cloud.asked.watching("?library=R2") as stream:
            begun(stream)
            cloud.source.put("large", bytes(3 * 2**20))
            cloud.look()
            while (event := stream.next()) is not None and event.kind != "progress":
                pass
        assert event is not None
        assert event.id == 0
        assert (event.data["name"], event.data["total"]) == ("large", 3 * 2**20)
        assert event.data["status"].startswith("copying ")
        assert event.data["at"].endswith("Z")
    finally:
        cloud.second.fault()


def test_who_does_not_read_holds_nobody_up(cloud: Cloud) -> None:
    """One that reads nothing at all is behind by more than any buffer holds, and loses nothing."""
    asked = cloud.asked
    with asked.watching() as slow, asked.watching() as quick:
        first = begun(slow)
        assert begun(quick) == first
        many = asyncio.run(write_changes(asked.daemon.database))
        read = [next(quick.changes()).id for _ in range(many)]
        assert [next(slow.changes()).id for _ in range(many)] == read


async def write_changes(database: str, count: int = 3000) -> int:
    """Add changes to a state, past the daemon that leads: more than sockets hold; say how many."""
    state = await open_state(database)
    try:
        leader = await state.leader()
        assert leader is not None
        place = Place("src", "somewhere", "R1")
        change = Change(0.0, place, "all", wanted=True, observed=Observed.QUEUED, detail="x" * 5000)
        await state.save(leader, [], history=[change] * count)
    finally:
        await state.close()
    return count


def test_what_is_not_kept_any_more_is_not_passed_over(cloud: Cloud) -> None:
    newest = cloud.asked.get("/v1/changes?limit=1")["changes"]
    place = newest[0]["id"] if newest else 0
    with cloud.asked.watching(last=place + 1000) as stream:
        event = stream.next()
        assert event is not None
        assert (event.kind, event.id) == ("reset", place)


def test_watchers_are_let_go_when_the_daemon_stops(tmp_path: Path) -> None:
    settings = {"version": 1, "libraries": {}, "routes": {}}
    with Daemon(tmp_path, settings) as daemon:
        token = (tmp_path / "meltemi-daemon.token").read_text().strip()
        with Asked(daemon, token).watching() as stream:
            begun(stream)
            assert daemon.stop() == 0
            assert stream.next() is None


def test_a_token_that_does_not_count_any_more_ends_the_watch(cloud: Cloud) -> None:
    daemon = cloud.asked.daemon
    settings = daemon.settings
    tokens = {name: one for name, one in settings["daemon"]["tokens"].items() if name != READER}
    with cloud.asked.watching(token=READER) as stream:
        begun(stream)
        daemon.configure({**settings, "daemon": {"tokens": tokens}})
        cloud.asked.until_refused(READER)
        image = cloud.source.put("secret", b"data")
        cloud.look()
        assert image not in {event.data["image"] for event in stream.changes()}
    daemon.configure(settings)
