"""Clients who leave at the worst moment: nothing is left half, or of unknown fate."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from meltemi.catalogue import images
from meltemi.chunks.store import Store
from meltemi.chunks.writer import Known, Put, Writer
from meltemi.model.image import Image
from meltemi.model.listing import Viewer
from meltemi.model.record import Record
from meltemi.region.data.uploading import Taking, fill, keep_staged, take
from meltemi.region.service import Service
from meltemi.region.settings import Settings
from meltemi.region.wiring import close_service, open_service, prepare
from tests.support.glance import some_data

ADMIN = Viewer(None, is_admin=True)
IMAGE = Image(
    "0c0b1d8a-1b1e-4d5e-8d0c-0e6f2a3b4c5d",
    status="queued",
    disk_format="raw",
    container_format="bare",
)
DATA = some_data(71, 3 * 2**20)


@dataclass
class Told:
    """Remembers the events that were told."""

    events: list[str]

    def tell(self, event: str, payload: object, *, priority: str = "info") -> None:
        del payload, priority
        self.events.append(event)

    def close(self) -> None:
        """Do nothing."""


class Gate:
    """Keeps a thread waiting in the midst of what it does."""

    def __init__(self) -> None:
        self._reached = threading.Event()
        self._may_go = threading.Event()

    def pass_(self) -> None:
        """Wait until it is opened."""
        self._reached.set()
        assert self._may_go.wait(300)

    async def reached(self) -> None:
        """Wait until somebody waits."""
        await asyncio.to_thread(self._reached.wait)

    def open(self) -> None:
        """Let go whoever waits."""
        self._may_go.set()


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    """Give what a region consists of, with an image to be filled."""
    settings = Settings(data=tmp_path / "data")
    await asyncio.to_thread(prepare, settings)
    opened = replace(await open_service(settings), notifier=Told([]))
    await opened.catalogue.add(Record(IMAGE))
    yield opened
    await close_service(opened)


async def some() -> AsyncIterator[bytes]:
    yield DATA


def taking(service: Service) -> Taking:
    return lambda image: take(service, image, some(), len(DATA))


async def left(service: Service, gate: Gate, filling: Callable[..., Any] = fill) -> None:
    """Send data, leave when the gate is reached, and open that."""
    task = asyncio.ensure_future(filling(service, IMAGE, taking(service), project=None))
    await gate.reached()
    task.cancel()
    await asyncio.sleep(0)
    gate.open()
    await asyncio.wait([task])
    assert task.cancelled()


async def is_empty(service: Service) -> bool:
    """Say whether nothing is stored and nothing is being stored."""
    store = service.contents._store
    await service.contents.in_thread(lambda: None)
    assert store.sessions.count() == store.crowd._count == 0
    return not await service.contents.stored()


async def record(service: Service) -> Record:
    return await service.catalogue.get(IMAGE.id, ADMIN)


async def test_while_an_upload_is_begun(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate()
    writing = Store.writing

    @contextmanager
    def slowly(store: Store, **how: Any) -> Any:
        with writing(store, **how) as writer:
            gate.pass_()
            yield writer

    monkeypatch.setattr(Store, "writing", slowly)
    await left(service, gate)
    assert await is_empty(service)
    assert (await record(service)).image.status == "queued"


@pytest.mark.parametrize("when", ["before", "after"])
async def test_while_data_is_published(
    service: Service, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    gate = Gate()
    finish = Writer.finish

    def slowly(writer: Writer, name: str, known: Known | None) -> Put:
        if when == "before":
            gate.pass_()
        put = finish(writer, name, known)
        if when == "after":
            gate.pass_()
        return put

    monkeypatch.setattr(Writer, "finish", slowly)
    await left(service, gate)
    assert await is_empty(service)
    assert (await record(service)).image.status == "queued"
    await fill(service, IMAGE, taking(service), project=None)
    assert (await record(service)).image.status == "active"


async def test_while_an_image_is_given_its_data(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate()
    move = images.move

    def slowly(*what: Any, **how: Any) -> Record:
        if how.get("status") == "active":
            gate.pass_()
        return move(*what, **how)

    monkeypatch.setattr(images, "move", slowly)
    await left(service, gate)
    found = await record(service)
    assert found.image.status == "active"
    assert await service.contents.stored() == {found.content: service.holder}
    assert isinstance(service.notifier, Told)
    assert "image.activate" in service.notifier.events


async def test_while_data_is_staged(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate()
    move = images.move

    def slowly(*what: Any, **how: Any) -> Record:
        if how.get("content") is not None:
            gate.pass_()
        return move(*what, **how)

    monkeypatch.setattr(images, "move", slowly)
    await left(service, gate, keep_staged)
    found = await record(service)
    assert found.image.status == "uploading"
    assert await service.contents.stored() == {found.content: service.holder}
