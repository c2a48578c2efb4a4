"""What is heard over a real RabbitMQ: each thing until it is kept, whatever else is told."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence

import pytest

from lab import RabbitMQ
from meltemi.daemon.events.listening import Listener
from meltemi.daemon.events.telling import Event
from meltemi.errors import StateError
from tests.support.buses import notification, send, waiting
from tests.support.waiting import eventually

pytestmark = pytest.mark.services

QUEUE = "meltemi-test"
ALL = Event("athens")


@pytest.fixture(scope="module")
def bus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitMQ]:
    with RabbitMQ(tmp_path_factory.mktemp("rabbitmq")) as server:
        yield server


class Kept:
    """What was kept, in order; `refusals` are how often it is not before."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.refusals = 0
        self._news = asyncio.Condition()

    async def take(self, events: Sequence[Event]) -> None:
        if self.refusals and ALL not in events:
            self.refusals -= 1
            raise StateError("not now")
        async with self._news:
            self.events += events
            self._news.notify_all()

    async def until(self, holds: Callable[[list[Event]], bool]) -> None:
        async with self._news:
            await self._news.wait_for(lambda: holds(self.events))


@pytest.fixture
async def kept() -> Kept:
    return Kept()


@pytest.fixture
async def listener(bus: RabbitMQ, kept: Kept) -> AsyncIterator[Listener]:
    listener = Listener("athens", bus.transport_url, QUEUE, kept.take)
    await kept.until(lambda events: ALL in events)
    yield listener
    await listener.stop()


async def told(bus: RabbitMQ, *bodies: bytes) -> None:
    await asyncio.to_thread(send, bus, *bodies)


@pytest.mark.usefixtures("listener")
async def test_whatever_else_is_told_images_are_heard_of(bus: RabbitMQ, kept: Kept) -> None:
    await told(
        bus,
        b"\xff\x00 nothing",
        b"[1, 2]",
        b'{"oslo.version": "2.0", "oslo.message": "[]"}',
        b'{"oslo.version": "2.0", "oslo.message": "{}"}',
        notification("image.update", {"id": "one"}, priority=5),
        notification(["image.update"], {"id": "no"}),
        notification("image.update", "some text"),
        notification("image.update", {"id": {"id": "no"}}),
        notification("image.update", {"id": "../../no"}),
        notification("image.send", {"id": "no"}),
        notification("compute.instance.create.end", {"id": "no"}),
        notification("image.delete", {"id": "two"}),
        notification("image.member.create", {"image_id": "three", "member_id": "no"}),
    )
    await kept.until(lambda events: Event("athens", "three") in events)
    assert kept.events == [
        ALL,
        Event("athens", "one"),
        Event("athens", "two", gone=True),
        Event("athens", "three"),
    ]


async def test_what_is_not_kept_is_told_to_the_next_one(
    bus: RabbitMQ, kept: Kept, listener: Listener
) -> None:
    kept.refusals = 10**6
    await told(bus, notification("image.activate", {"id": "image"}))
    await asyncio.to_thread(eventually, lambda: kept.refusals < 10**6)
    await listener.stop()
    assert kept.events == [ALL]
    await asyncio.to_thread(eventually, lambda: waiting(bus, QUEUE) == 1)
    kept.refusals = 1
    other = Listener("athens", bus.transport_url, QUEUE, kept.take)
    await kept.until(lambda events: Event("athens", "image") in events)
    await other.stop()
    assert await asyncio.to_thread(waiting, bus, QUEUE) == 0


@pytest.mark.usefixtures("listener")
async def test_a_bus_that_comes_back_is_heard_again_and_everything_looked_at(
    bus: RabbitMQ, kept: Kept
) -> None:
    bus.stop()
    bus.start()
    await kept.until(lambda events: events == [ALL, ALL])
    await told(bus, notification("image.update", {"id": "after"}))
    await kept.until(lambda events: events[-1] == Event("athens", "after"))


async def test_listening_to_a_bus_that_is_away_ends_when_it_is_told_to(
    bus: RabbitMQ, kept: Kept
) -> None:
    bus.stop()
    try:
        listener = Listener("athens", bus.transport_url, QUEUE, kept.take)
        await listener.stop()
    finally:
        bus.start()
    assert not kept.events
