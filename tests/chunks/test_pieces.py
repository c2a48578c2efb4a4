"""Data that is written cut already, and stretches of data that are read together."""

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from meltemi.chunks import gathering
from meltemi.chunks.blob import LARGEST_CHUNK, chunk_id
from meltemi.chunks.gathering import gather
from meltemi.chunks.manifest import Entry
from meltemi.chunks.opening import open_store
from meltemi.chunks.store import Store
from meltemi.chunks.writer import Put
from meltemi.errors import DamageError
from tests.chunks.making import KIB, MIB, holey, noise


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = open_store(str(tmp_path / "store"), create=True)
    yield made
    made.close()


def put_pieces(store: Store, name: str, pieces: list[bytes], scope: str | None = None) -> Put:
    with store.writing(hashes=(), scope=scope) as writer:
        writer.write_pieces(pieces)
        return writer.finish(name)


def entries_of(store: Store, put: Put) -> list[Entry]:
    [found] = store.reader(put.head).entries([(0, put.head.size)])
    return found


def test_pieces_keep_their_borders(store: Store) -> None:
    pieces = [noise(number, size) for number, size in enumerate([KIB, MIB // 4, 5000, MIB // 4])]
    pieces = [*pieces, bytes(70_000), pieces[1]] * 20
    put = put_pieces(store, "image", pieces)
    assert entries_of(store, put) == [Entry(len(piece), chunk_id(piece)) for piece in pieces]
    assert (put.head.size, put.head.hashes) == (sum(map(len, pieces)), {})
    assert b"".join(store.reader(put.head).read()) == b"".join(pieces)


def test_tiny_pieces_become_one_where_they_are_many(store: Store) -> None:
    pieces = [bytes([number % 251]) * (number % 7 + 1) for number in range(4096)]
    data = b"".join(pieces)
    put = put_pieces(store, "image", [*pieces, noise(1, 5000), b"x"])
    assert b"".join(store.reader(put.head).read()) == data + noise(1, 5000) + b"x"
    entries = entries_of(store, put)
    assert len(entries) <= 128 + len(data) // KIB + 3
    assert [entry.chunk for entry in entries[:128]] == list(map(chunk_id, pieces[:128]))
    assert entries[-2].chunk == chunk_id(noise(1, 5000))


def test_pieces_of_a_scope_have_room_for_it(store: Store) -> None:
    pieces = [noise(number, LARGEST_CHUNK - number) for number in (0, 1, 15, 16, 17)]
    put = put_pieces(store, "image", pieces, scope="project")
    assert b"".join(store.reader(put.head).read()) == b"".join(pieces)
    assert {entry.offset for entry in entries_of(store, put)} == {16}
    open_one = put_pieces(store, "other", pieces)
    assert not {e.chunk for e in entries_of(store, put)} & {
        e.chunk for e in entries_of(store, open_one)
    }


def test_pieces_are_shared_with_data_that_is_cut_so(store: Store) -> None:
    data = holey(1)
    with store.writing() as writer:
        writer.write(data)
        whole = writer.finish("whole")
    chunks = [entry for entry in entries_of(store, whole) if entry.chunk]
    pieces = [store.fetch(entry.chunk) for entry in chunks if entry.chunk]
    again = put_pieces(store, "again", pieces)
    assert again.stored < 5 * KIB, "nothing but a manifest"


def test_stretches_are_read_in_any_order(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "_TOGETHER", 7)
    data = holey(3) * 3
    with store.writing() as writer:
        writer.write(data)
        reader = store.reader(writer.finish("image").head)
    chance = Random(5)
    ranges = []
    for _ in range(200):
        offset = chance.randrange(len(data))
        ranges.append((offset, min(len(data) - offset, chance.choice([1, 500, 400_000]))))
    found = list(gather(store.fetcher, reader.entries(ranges)))
    assert found == [data[offset : offset + length] for offset, length in ranges]
    assert list(gather(store.fetcher, [[Entry(3 * MIB)], []])) == [bytes(3 * MIB), b""]


def test_an_entry_that_is_longer_than_its_chunk_is_damage(store: Store) -> None:
    put = put_pieces(store, "image", [noise(1, 5000)])
    [entry] = entries_of(store, put)
    with pytest.raises(DamageError, match="longer than its chunk"):
        list(gather(store.fetcher, [[entry._replace(length=5001)]]))
