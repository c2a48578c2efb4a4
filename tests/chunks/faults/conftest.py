"""Stores to break, on each kind of index."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from lab import Postgres
from meltemi.chunks import session, writer
from meltemi.chunks.opening import open_store
from tests.chunks.faults.damaging import IMAGES
from tests.chunks.faults.rig import Hooks, Rig


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.services)])
def index(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give the address of an empty index."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'index.sqlite'}"
    postgres: Postgres = request.getfixturevalue("postgres")
    url = postgres.create_database(f"chunks-{uuid4().hex}")
    return url.replace("postgresql+psycopg2://", "postgresql://")


@pytest.fixture
def rig(index: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    """Give an empty store whose writers look blobs up as soon as they have one.

    No heart beats on its own, however long a test may take.
    """
    monkeypatch.setattr(session, "BEAT_SECONDS", 10.0**6)
    monkeypatch.setattr(writer, "PIECE", 1)
    monkeypatch.setattr(writer, "_BATCH", 1)
    store = open_store(str(tmp_path / "store"), index, create=True)
    yield Rig(store)
    store.close()


@pytest.fixture
def filled(tmp_path: Path) -> Iterator[Rig]:
    """Give a store of a few images with an index of its own."""
    rig = Rig(open_store(str(tmp_path / "store"), create=True))
    for name, numbers in IMAGES.items():
        rig.put(name, *numbers)
    yield rig
    rig.store.close()


@pytest.fixture
def hooks(monkeypatch: pytest.MonkeyPatch) -> Hooks:
    """Give a way to let something happen at an exact moment."""
    return Hooks(monkeypatch)
