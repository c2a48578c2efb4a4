"""A small store, what was put into it, and ways to let something happen at an exact moment."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from random import Random
from typing import Any

import pytest
from sqlalchemy import Connection, text

from meltemi.chunks.blob import chunk_id
from meltemi.chunks.checking import check
from meltemi.chunks.collector import Collected, collect
from meltemi.chunks.cut import BLOCK, Cut
from meltemi.chunks.head import Head
from meltemi.chunks.index.collection import PackRow, pack_rows
from meltemi.chunks.index.schema import State
from meltemi.chunks.pack import pack_object
from meltemi.chunks.store import Store
from meltemi.chunks.writer import Writer

KIB = 2**10


def block(number: int) -> bytes:
    """Give a block of data that cannot be compressed: cut in fixed blocks, it is one chunk."""
    return Random(number).randbytes(BLOCK)


def blocks(*numbers: int) -> bytes:
    """Give several blocks, one after another."""
    return b"".join(block(number) for number in numbers)


class Rig:
    """A store of which is known what must be in it."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.truth: dict[str, bytes] = {}

    def put(self, name: str, *numbers: int) -> Head:
        """Store an image of some blocks."""
        with self.store.writing(cut=Cut.FIXED) as writer:
            writer.write(blocks(*numbers))
            return self.finish(writer, name, blocks(*numbers))

    def finish(self, writer: Writer, name: str, data: bytes) -> Head:
        """End an upload; from now on it must be there."""
        head = writer.finish(name).head
        self.truth[name] = data
        return head

    def remove(self, name: str) -> None:
        """Take an image away."""
        self.store.remove(name)
        del self.truth[name]

    def read(self, name: str) -> bytes:
        """Read a whole image."""
        return b"".join(self.store.reader(self.store.head(name)).read())

    def collect(self) -> Collected:
        """Collect garbage, see that nothing is lost by that."""
        done = collect(self.store)
        self.see_all()
        return done

    def see_all(self) -> None:
        """See that the store holds exactly what it should, byte for byte."""
        assert sorted(head.name for head in self.store.heads.all()) == sorted(self.truth)
        for name, data in self.truth.items():
            assert self.read(name) == data, f"{name} is not what was stored"

    def see_clean(self) -> None:
        """See that after collecting nothing is left that nobody needs, and nothing is wrong."""
        self.collect()
        self.collect()
        see_nothing_behind(self.store)
        self.see_all()

    def rows(self, *states: State) -> list[PackRow]:
        """Give the packs in some states."""
        return [row for row in pack_rows(self.store.database) if row.state in states]

    def pack_of(self, data: bytes) -> str:
        """Say in which pack a chunk is."""
        name = chunk_id(data)
        return self.store.blobs.locate([name])[name].pack

    def exists(self, pack: str) -> bool:
        """Say whether a pack's object is there."""
        return self.store.backend.size(pack_object(pack)) is not None

    def bury_all(self) -> None:
        """Take all sessions for dead, as after a long silence."""
        with self.store.database.reading() as connection:
            rows = connection.execute(text("SELECT number, beats FROM sessions")).all()
        self.store.sessions.bury({row[0]: row[1] for row in rows})

    @contextmanager
    def sql(self) -> Iterator[Connection]:
        """Give a transaction on the index."""
        with self.store.database.exclusive() as connection:
            yield connection


def see_nothing_behind(store: Store) -> None:
    """See that the backend and the index hold what is needed, and nothing else."""
    assert check(store).problems == []
    rows = pack_rows(store.database)
    assert {row.state for row in rows} <= {State.LIVE}
    assert {row.session for row in rows} <= {None}
    listed = {name for name, _ in store.backend.names("packs")}
    assert listed == {pack_object(row.id) for row in rows}
    heads = {name for name, _ in store.backend.names("heads")}
    assert heads == {head.object for head in store.heads.all()}
    assert store.heads.known() == {head.id for head in store.heads.all()}
    assert store.sessions.count() == 0
    assert list(store.backend.names("tmp")) == []


class Hooks:
    """Lets something happen at exact moments: before or after a method does its work, once."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self.happened: list[str] = []

    def before(
        self,
        owner: type,
        name: str,
        action: Callable[[], object],
        *,
        when: Callable[[Sequence[Any]], bool] = lambda _arguments: True,
    ) -> None:
        """Let something happen before a method's next call for which `when` holds."""
        self._at(owner, name, action, when, first=True)

    def after(
        self,
        owner: type,
        name: str,
        action: Callable[[], object],
        *,
        when: Callable[[Sequence[Any]], bool] = lambda _arguments: True,
    ) -> None:
        """Let something happen after a method's next call for which `when` holds."""
        self._at(owner, name, action, when, first=False)

    def _at(
        self,
        owner: type,
        name: str,
        action: Callable[[], object],
        when: Callable[[Sequence[Any]], bool],
        *,
        first: bool,
    ) -> None:
        original = getattr(owner, name)
        label = f"{owner.__name__}.{name}"
        waiting = [action]

        def hooked(this: object, *arguments: Any, **options: Any) -> Any:
            now = bool(waiting) and when(arguments)
            if now and first:
                self._happen(label, waiting.pop())
            result = original(this, *arguments, **options)
            if now and not first:
                self._happen(label, waiting.pop())
            return result

        self._monkeypatch.setattr(owner, name, hooked)

    def _happen(self, label: str, action: Callable[[], object]) -> None:
        self.happened.append(label)
        action()


def of_packs(arguments: Sequence[Any]) -> bool:
    """Say whether an operation of a backend is about a pack."""
    return str(arguments[0]).startswith("packs/")


def of_heads(arguments: Sequence[Any]) -> bool:
    """Say whether an operation of a backend is about a head."""
    return str(arguments[0]).startswith("heads/")
