"""Puts of a scope: what they share, and that nobody else finds anything of it."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import md5, sha512
from pathlib import Path
from random import Random

import pytest
from blake3 import blake3
from hypothesis import example, given, settings
from hypothesis import strategies as st

from meltemi.chunks import writer as module
from meltemi.chunks.blob import LARGEST_CHUNK, BlobId, scope_prefix
from meltemi.chunks.checking import check
from meltemi.chunks.collector import collect
from meltemi.chunks.cut import BLOCK, Cut
from meltemi.chunks.manifest import Entry, decode_root
from meltemi.chunks.opening import open_store
from meltemi.chunks.reconcile import reindex
from meltemi.chunks.scrubbing import scrub
from meltemi.chunks.stats import stats
from meltemi.chunks.store import Store
from meltemi.chunks.tree import entries_from
from meltemi.chunks.writer import Put
from tests.chunks.making import MIB, holey, noise

SIZES = st.sampled_from(
    [
        *(1, 15, 16, 17, BLOCK - 16, BLOCK - 1, BLOCK, BLOCK + 1),
        *(LARGEST_CHUNK - 17, LARGEST_CHUNK - 16, LARGEST_CHUNK - 15),
        *(LARGEST_CHUNK - 1, LARGEST_CHUNK, LARGEST_CHUNK + 1, 3 * LARGEST_CHUNK + 5),
    ]
)
PARTS = st.one_of(
    st.builds(noise, st.integers(0, 3), SIZES),
    SIZES.map(bytes),
    SIZES.map(lambda size: b"\xff" * size),  # has no place to cut at before the largest chunk ends
)


@contextmanager
def fresh_store() -> Iterator[Store]:
    with tempfile.TemporaryDirectory(prefix="meltemi-scopes-") as folder:
        store = open_store(str(Path(folder) / "store"), create=True)
        try:
            yield store
        finally:
            store.close()


@pytest.fixture
def store() -> Iterator[Store]:
    with fresh_store() as made:
        yield made


def put(
    store: Store, name: str, data: bytes, scope: str | None = None, cut: Cut = Cut.CONTENT
) -> Put:
    with store.writing(cut=cut, scope=scope) as writer:
        for begin in range(0, len(data), MIB):
            writer.write(data[begin : begin + MIB])
        return writer.finish(name)


def read(store: Store, name: str, offset: int = 0, length: int | None = None) -> bytes:
    return b"".join(store.reader(store.head(name)).read(offset, length))


def entries(store: Store, name: str) -> list[Entry]:
    root = decode_root(store.fetch(store.head(name).manifest))
    return list(entries_from(root, lambda blobs: {blob: store.fetch(blob) for blob in blobs}))


def blobs_of(store: Store) -> set[BlobId]:
    return {blob for batch in store.blobs.all() for blobs in batch.values() for blob in blobs}


def see_sound(store: Store) -> None:
    assert check(store).problems == []
    assert scrub(store).problems == []


def test_the_prefix_is_that_of_the_specification() -> None:
    context = "meltemi 2026-11-26 scope of chunks"
    for scope in ("", "a", "projekt-ß"):
        whole = blake3(scope.encode(), derive_key_context=context).digest()
        assert scope_prefix(scope) == whole[:16]
    assert scope_prefix("7a5e0b1c").hex() == "018ddf491a5f8e955af4c4a05231430b"


def test_only_puts_of_a_scope_share(store: Store) -> None:
    data = noise(1, 5 * MIB)
    scopes = (None, "one", "two", "")
    for scope in scopes:
        assert put(store, f"first of {scope}", data, scope).stored > len(data)
    for scope in scopes:
        assert put(store, f"second of {scope}", data, scope).stored < len(data) / 500
    found = stats(store)
    assert found.data == 2 * len(scopes) * len(data)
    assert len(scopes) * len(data) < found.distinct < len(scopes) * len(data) * 1.01
    see_sound(store)


def test_hashes_and_sizes_are_those_of_the_data(store: Store) -> None:
    data = holey(3)
    plain, scoped = put(store, "plain", data).head, put(store, "scoped", data, "a").head
    assert scoped.size == plain.size == len(data)
    assert scoped.hashes == plain.hashes
    assert scoped.hashes == {"md5": md5(data).hexdigest(), "sha512": sha512(data).hexdigest()}
    assert scoped.cut == plain.cut


@pytest.mark.parametrize("cut", Cut)
@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"\0", b"\1", bytes(BLOCK), bytes(3 * MIB + 7)),
        *(holey(5), noise(6, MIB) + bytes(2 * MIB)),
    ],
    ids=["nothing", "zero", "byte", "block", "zeros", "holey", "zeros at the end"],
)
def test_nothing_is_found_that_another_scope_stored(store: Store, data: bytes, cut: Cut) -> None:
    """Also what leads to zeros alone, which is the same bytes for everybody, is stored again."""
    with fresh_store() as untouched:
        alone = put(untouched, "image", data, "two", cut)
        assert alone.stored
        for scope in (None, "one"):
            put(store, f"of {scope}", data, scope, cut)
        assert put(store, "image", data, "two", cut).stored == alone.stored
        see_sound(store)
        assert read(store, "image") == data


def test_zeros_at_the_end_of_many_segments_are_stored_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list that is closed before the zeros leaves them one of their own, on every level."""
    monkeypatch.setattr("meltemi.chunks.tree._LEAST_ENTRIES", 5)
    monkeypatch.setattr("meltemi.chunks.tree._AVERAGE_ENTRIES", 1)
    data = noise(7, 25 * BLOCK) + bytes(BLOCK)
    with fresh_store() as untouched:
        alone = put(untouched, "image", data, "two", Cut.FIXED)
        put(store, "other", data, "one", Cut.FIXED)
        shared = blobs_of(store) & blobs_of(untouched)
        assert len(shared) == 2, "the leaf of the zeros, and the segment that leads to it alone"
        assert put(store, "image", data, "two", Cut.FIXED).stored == alone.stored
    see_sound(store)


@example(parts=[b"\xff" * LARGEST_CHUNK], cut=Cut.CONTENT, chance=0)
@example(parts=[b"\xff" * (3 * LARGEST_CHUNK - 15), bytes(BLOCK)], cut=Cut.CONTENT, chance=1)
@settings(deadline=None, max_examples=40)
@given(parts=st.lists(PARTS, max_size=5), cut=st.sampled_from(Cut), chance=st.integers(0, 2**16))
def test_whatever_the_data_it_comes_back(parts: list[bytes], cut: Cut, chance: int) -> None:
    data = b"".join(parts)
    with fresh_store() as store:
        for scope in ("one", "two"):
            put(store, scope, data, scope, cut)
        prefixes = {scope: scope_prefix(scope) for scope in ("one", "two")}
        found: dict[str, set[BlobId]] = {}
        for scope, prefix in prefixes.items():
            assert read(store, scope) == data
            offset = Random(chance).randrange(len(data) + 2)
            length = Random(chance + 1).randrange(len(data) + 2)
            assert read(store, scope, offset, length) == data[offset : offset + length]
            told = [entry for entry in entries(store, scope) if entry.chunk]
            for length, chunk, offset in told:
                assert chunk is not None
                stored = store.fetch(chunk)
                assert stored[:16] == prefix
                assert (offset, len(stored)) == (16, 16 + length)
                assert len(stored) <= LARGEST_CHUNK
            found[scope] = {entry.chunk for entry in told if entry.chunk}
        assert not found["one"] & found["two"]
        see_sound(store)


@pytest.mark.parametrize("rebuilt", [False, True])
def test_collection_keeps_each_scopes_own(store: Store, *, rebuilt: bool) -> None:
    data = noise(8, 3 * MIB) + bytes(MIB)
    for scope in ("one", "two"):
        for number in range(2):
            put(store, f"{scope} {number}", data, scope)
    store.remove("one 0")
    store.remove("two 0")
    store.remove("two 1")
    if rebuilt:
        reindex(store)
    collect(store)
    collect(store)
    see_sound(store)
    assert read(store, "one 1") == data
    assert stats(store).stored < 1.1 * 3 * MIB
    assert put(store, "two 2", data, "two").stored > 3 * MIB, "nothing of it was left"
    assert read(store, "two 2") == data


def test_damage_is_healed_by_the_scope_itself(store: Store) -> None:
    data = noise(9, 2 * MIB)
    for scope in ("one", "two"):
        put(store, scope, data, scope)
    chunk = next(entry.chunk for entry in entries(store, "one") if entry.chunk)
    store.blobs.mark_bad(store.blobs.locate([chunk])[chunk].pack, [chunk])
    put(store, "two again", data, "two")
    assert store.blobs.locate([chunk])[chunk].bad
    put(store, "one again", data, "one")
    assert not store.blobs.locate([chunk])[chunk].bad
    assert read(store, "one") == data


def test_it_makes_no_difference_how_much_is_stored_at_once(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = holey(11) + noise(12, MIB)
    first = put(store, "first", data, "one").head
    monkeypatch.setattr(module, "_BATCH", 1)
    monkeypatch.setattr(module, "PIECE", 1)
    assert put(store, "second", data, "one").head.manifest == first.manifest
