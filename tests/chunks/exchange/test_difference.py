"""The difference of images is all of it, and what both have in common is hardly looked at."""

import asyncio
from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meltemi.chunks import tree
from meltemi.chunks.exchange.delta import Origin, Stretch
from meltemi.chunks.exchange.difference import TOGETHER, Base, Piece, Place, difference
from meltemi.chunks.manifest import Entry, Root, Segment, decode_segment
from meltemi.chunks.tree import segments_at
from tests.chunks.making import Tree, some_chunk, some_entries


class Remote:
    """A manifest that is read from afar; `asked` counts the segments."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.entries = list(entries)
        self._made = Tree(entries)
        self.asked = 0

    @property
    def root(self) -> Root:
        return self._made.root

    async def segments(self, places: Sequence[Place]) -> Sequence[Segment]:
        assert 0 < len(places) <= TOGETHER
        self.asked += len(places)
        return [
            decode_segment(bytes(data)) for data in segments_at(self.root, self._made.fetch, places)
        ]


def compared(source: Remote, *bases: Remote) -> list[Stretch | Piece]:
    async def run() -> list[Stretch | Piece]:
        named = [Base(base, Origin.IMAGE, number) for number, base in enumerate(bases)]
        return [found async for found in difference(source, named)]

    return asyncio.run(run())


def must_be_right(found: Sequence[Stretch | Piece], source: Remote, *bases: Remote) -> None:
    """See that what was found is the source's data, byte for byte."""
    made: list[Entry] = []
    for one in found:
        if isinstance(one, Piece):
            assert one.offset == sum(entry.length for entry in made)
            made.append(one.entry)
        elif one.origin is None:
            made.append(Entry(one.length))
        else:
            made += sliced(bases[one.number].entries, one.offset, one.length)
    assert made == source.entries


def sliced(entries: Sequence[Entry], offset: int, length: int) -> list[Entry]:
    """Give whole entries from a place on."""
    found, at = [], 0
    for entry in entries:
        if offset <= at < offset + length:
            found.append(entry)
        at += entry.length
    assert sum(entry.length for entry in found) == length
    return found


def pieces_of(found: Sequence[Stretch | Piece]) -> list[Entry]:
    return [one.entry for one in found if isinstance(one, Piece)]


@pytest.fixture
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let trees grow high on few entries."""
    monkeypatch.setattr(tree, "_LEAST_ENTRIES", 4)
    monkeypatch.setattr(tree, "_AVERAGE_ENTRIES", 8)
    monkeypatch.setattr(tree, "MOST_ENTRIES", 20)


@settings(max_examples=150)
@given(
    edits=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 30), st.integers(0, 30)), max_size=6),
    seed=st.integers(0, 99),
    count=st.sampled_from([0, 1, 5, 60, 700]),
    other=st.sampled_from([0, 40, 900]),
)
def test_whatever_was_changed_all_of_it_is_told(
    edits: list[tuple[float, int, int]], seed: int, count: int, other: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tree, "_LEAST_ENTRIES", 4)
        patch.setattr(tree, "_AVERAGE_ENTRIES", 8)
        patch.setattr(tree, "MOST_ENTRIES", 20)
        entries = some_entries(count, seed)
        chance = Random(seed)
        entries = [Entry(e.length) if chance.random() < 0.1 else e for e in entries]
        changed = list(entries)
        for number, (where, gone, new) in enumerate(edits):
            at = int(where * len(changed))
            changed[at : at + gone] = some_entries(new, 1000 + number)
        bases = [Remote(some_entries(other, 5000)), Remote(entries)]
        source = Remote(changed)
        found = compared(source, *bases)
        must_be_right(found, source, *bases)
        if len(changed) < 4 > len(entries):  # all of both is in their roots
            assert not set(pieces_of(found)) & set(entries)


@pytest.mark.usefixtures("small_segments")
@pytest.mark.parametrize("where", [0, 1, 2500, 4999, 5000])
def test_one_change_is_found_by_a_few_segments(where: int) -> None:
    entries = some_entries(5000)
    new = some_entries(3, 7)
    source = Remote([*entries[:where], *new, *entries[where:]])
    base = Remote(entries)
    found = compared(source, base)
    must_be_right(found, source, base)
    assert pieces_of(found) == new
    assert source.root.top.level > 2
    assert source.asked < 30
    assert base.asked < 30


def test_what_is_the_same_is_not_read_at_all() -> None:
    for count in (0, 1, 100, 5000):
        source, base = Remote(some_entries(count)), Remote(some_entries(count))
        assert compared(source, base) == [Stretch(source.root.size, Origin.IMAGE, 0)]
        assert source.asked == base.asked == 0


def test_without_bases_everything_is_missing() -> None:
    entries = [*some_entries(3000), Entry(70_000)]
    source = Remote(entries)
    found = compared(source)
    assert pieces_of(found) == entries[:-1]
    assert found[-1] == Stretch(70_000)


@pytest.mark.usefixtures("small_segments")
def test_a_small_image_out_of_the_middle_of_a_large_one_is_found() -> None:
    entries = some_entries(5000)
    source, base = Remote(entries[1000:1300]), Remote(entries)
    assert source.root.top.level < base.root.top.level
    found = compared(source, base)
    must_be_right(found, source, base)
    assert pieces_of(found) == []


def test_parts_of_chunks_are_told_apart() -> None:
    chunk = some_chunk(1)
    base = Remote([Entry(100, chunk), Entry(80, chunk, 20)])
    source = Remote([Entry(90, chunk, 10), Entry(80, chunk, 20)])
    found = compared(source, base)
    must_be_right(found, source, base)
    assert pieces_of(found) == [Entry(90, chunk, 10)]
