"""The tree of segments: shared by data that is alike, and read only where one looks."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meltemi.chunks import tree
from meltemi.chunks.blob import ROOT, SEGMENT, BlobId, name_blob
from meltemi.chunks.cut import Cut
from meltemi.chunks.manifest import (
    MOST_ENTRIES,
    Child,
    Entry,
    FormatError,
    Root,
    Segment,
    decode_segment,
    encode_segment,
)
from meltemi.chunks.tree import (
    TreeBuilder,
    entries_at,
    entries_from,
    segments_at,
    tree_segments,
    whole_entries,
)
from tests.chunks.making import KIB, MIB, Tree, some_chunk, some_entries

TIB = 2**40


def sliced(entries: list[Entry], offset: int, end: int = 2**62) -> list[Entry]:
    """Give what a list of entries has from an offset to an end."""
    found = []
    for entry in entries:
        if offset >= entry.length:
            offset -= entry.length
        elif offset < end:
            within = entry.offset + offset if entry.chunk else 0
            found.append(Entry(min(entry.length, end) - offset, entry.chunk, within))
            offset = 0
        end -= entry.length
    return found


@pytest.fixture
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let trees grow high on few entries."""
    monkeypatch.setattr(tree, "_LEAST_ENTRIES", 2)
    monkeypatch.setattr(tree, "_AVERAGE_ENTRIES", 3)
    monkeypatch.setattr(tree, "MOST_ENTRIES", 5)


@pytest.mark.usefixtures("small_segments")
def test_a_high_tree_gives_back_its_entries_from_anywhere() -> None:
    chance = Random(1)
    for count in [*range(12), 50, 300, 1000]:
        entries = some_entries(count, seed=count)
        entries = [Entry(e.length) if chance.random() < 0.2 else e for e in entries]
        entries = [e._replace(offset=9, length=e.length - 9) if e.chunk else e for e in entries]
        made = Tree(entries)
        size = sum(entry.length for entry in entries)
        assert made.root.size == size
        assert list(entries_from(made.root, made.fetch)) == entries
        for offset in [
            0,
            1,
            size - 1,
            size,
            size + 1,
            *(chance.randrange(size or 1) for _ in range(20)),
        ]:
            if offset >= 0:
                found = list(entries_from(made.root, made.fetch, offset))
                assert found == sliced(entries, offset)
    assert made.root.top.level > 3


@settings(deadline=None)
@given(
    lengths=st.lists(st.integers(1, 256 * KIB), max_size=300),
    holes=st.integers(2, 50),
    data=st.data(),
)
def test_any_list_of_entries_comes_back(
    lengths: list[int], holes: int, data: st.DataObject
) -> None:
    entries = [
        Entry(length, some_chunk(number) if number % holes else None)
        for number, length in enumerate(lengths)
    ]
    made = Tree(entries)
    offset = data.draw(st.integers(0, sum(lengths) + 1))
    end = data.draw(st.integers(offset, sum(lengths) + 1))
    assert list(entries_from(made.root, made.fetch, offset)) == sliced(entries, offset)
    assert list(entries_from(made.root, made.fetch, offset, end)) == sliced(entries, offset, end)


@settings(deadline=None)
@given(
    lengths=st.lists(st.integers(1, 256 * KIB), min_size=1, max_size=900),
    places=st.lists(st.tuples(st.integers(0, 10**9), st.integers(1, 10**6)), max_size=8),
)
def test_entries_are_given_whole(lengths: list[int], places: list[tuple[int, int]]) -> None:
    entries = [Entry(length, some_chunk(number)) for number, length in enumerate(lengths)]
    made, size = Tree(entries), sum(lengths)
    ranges = [(offset % size, length) for offset, length in places]
    at, wanted = 0, []
    for entry in entries:
        end = at + entry.length
        if any(offset < end and at < offset + length for offset, length in ranges):
            wanted.append((at, entry))
        at = end
    assert list(whole_entries(made.root, made.fetch, ranges)) == wanted


@pytest.mark.usefixtures("small_segments")
def test_all_segments_of_a_tree() -> None:
    for count in (0, 1, 5, 300):
        made = Tree(some_entries(count, seed=count))
        found = list(tree_segments(made.root_id, made.fetch))
        assert found[0][0] == made.root_id
        assert dict(found) == made.blobs
        assert len(found) == len(made.blobs)


def test_every_segment_has_its_name_and_ends_where_it_should() -> None:
    made = Tree(some_entries(100_000))
    leaves = 0
    ends = []
    for name, data in made.blobs.items():
        assert name == name_blob(ROOT if name == made.root_id else SEGMENT, data)
        if name == made.root_id:
            continue
        segment = decode_segment(data)
        if segment.level == 0:
            leaves += 1
            assert len(segment.entries) <= MOST_ENTRIES
            last = segment.entries[-1].chunk
            assert last is not None
            chosen = int.from_bytes(last[1:5], "little") % 512 == 0
            ends.append(len(segment.entries) == MOST_ENTRIES or chosen)
            assert len(segment.entries) >= 64 or not ends[-1]
    assert ends.count(False) <= 1, "only the last leaf ends for want of data"
    assert 100_000 / 700 < leaves < 100_000 / 400


def test_a_range_of_two_tebibytes_is_found_through_few_segments() -> None:
    unit = 8 * MIB
    entries = []
    for number in range(2 * TIB // unit):
        entries += [Entry(64 * KIB, some_chunk(number)), Entry(unit - 64 * KIB)]
    made = Tree(entries)
    root = made.root
    assert root.size == 2 * TIB
    assert root.top.level >= 1
    chance = Random(2)
    for _ in range(50):
        made.reads.clear()
        offset = chance.randrange(2 * TIB)
        [entry] = entries_from(root, made.fetch, offset, offset + 1)
        assert len(made.reads) == root.top.level
        number, within = divmod(offset, unit)
        if within < 64 * KIB:
            assert entry == Entry(1, some_chunk(number), within)
        else:
            assert entry == Entry(1)
    assert max(len(data) for data in made.blobs.values()) < 128 * KIB


def test_the_second_level_is_reached_and_read_like_the_first() -> None:
    # As many leaves as 2 TiB of data without zeros, but each stands in for one.
    blobs: dict[BlobId, bytes] = {}
    builder = TreeBuilder(Cut.CONTENT, blobs.__setitem__)
    for number in range(60_000):
        builder._entries = [Entry(32 * MIB, None)] * (number % 3) + [Entry(9, some_chunk(number))]
        builder._size += sum(entry.length for entry in builder._entries)
        builder._close_leaf()
    made = Tree([])
    made.root_id = builder.finish()
    made.blobs = blobs
    assert made.root.top.level == 2
    made.reads.clear()
    half = made.root.size // 2
    assert list(entries_from(made.root, made.fetch, half, half + 1))
    assert len(made.reads) == 2
    assert len(blobs[made.root_id]) < 64 * KIB


@pytest.mark.parametrize("where", [0, 50_000, 99_999])
def test_images_that_are_alike_share_their_segments(where: int) -> None:
    entries = some_entries(100_000)
    other = Entry(100 * KIB, some_chunk(2**60))
    before = Tree(entries).blobs.keys()
    changed = Tree([*entries[:where], other, *entries[where + 1 :]])
    grown = Tree([*entries[:where], other, *entries[where:]])
    shrunk = Tree([*entries[:where], *entries[where + 1 :]])
    for made in (changed, grown, shrunk):
        assert len(made.blobs.keys() - before) <= 6
        assert len(before & made.blobs.keys()) > 150


def test_the_same_entries_are_the_same_manifest_whatever_stands_before_them() -> None:
    entries = some_entries(20_000)
    before = Tree(entries).blobs.keys()
    after = Tree([*some_entries(777, seed=5), *entries]).blobs.keys()
    assert len(after - before) <= 8


def test_what_is_held_while_building_is_bounded() -> None:
    builder = TreeBuilder(Cut.CONTENT, lambda _blob, _data: None)
    most = 0
    for entry in some_entries(300_000):
        builder.add(entry)
        most = max(most, len(builder._entries) + sum(map(len, builder._levels)))
    assert len(builder._levels) <= 2
    assert most <= 3 * MOST_ENTRIES
    zeros = TreeBuilder(Cut.CONTENT, lambda _blob, _data: None)
    for _ in range(10 * MOST_ENTRIES):
        zeros.add(Entry(1))
        assert len(zeros._entries) < MOST_ENTRIES


def leaf(*lengths: int) -> bytes:
    """Give a leaf of zero runs."""
    return encode_segment(Segment(0, entries=[Entry(length) for length in lengths]))


@pytest.mark.parametrize(
    ("level", "stands_for", "below"),
    [
        (1, 5, leaf(6)),
        (1, 5, leaf(2, 2)),
        (1, 5, b""),
        (1, 5, b"\0"),
        (2, 5, leaf(5)),
        (1, 5, encode_segment(Segment(1, children=[Child(5, name_blob(SEGMENT, leaf(5)))]))),
        (255, 5, leaf(5)),
    ],
)
def test_a_segment_that_does_not_fit_in_is_refused(
    level: int, stands_for: int, below: bytes
) -> None:
    child = Child(stands_for, name_blob(SEGMENT, below))
    root = Root(Cut.CONTENT, stands_for, Segment(level, children=[child]))
    with pytest.raises(FormatError):
        list(entries_from(root, lambda blobs: dict.fromkeys(blobs, below)))


def test_the_highest_tree_there_can_be_is_walked() -> None:
    blobs = {}
    data = leaf(5)
    for level in range(1, 256):
        name = name_blob(SEGMENT, data)
        blobs[name] = data
        top = Segment(level, children=[Child(5, name)])
        data = encode_segment(top)
    root = Root(Cut.CONTENT, 5, top)
    assert list(entries_from(root, lambda names: {n: blobs[n] for n in names}, 2)) == [Entry(3)]


@pytest.mark.usefixtures("small_segments")
def test_a_segment_is_found_by_its_level_and_place() -> None:
    made = Tree(some_entries(300))
    seen = 0

    def walk(segment: Segment, offset: int) -> None:
        nonlocal seen
        for child in segment.children:
            place = (segment.level - 1, offset)
            [data] = segments_at(made.root, made.fetch, [place])
            assert name_blob(SEGMENT, data) == child.segment
            seen += 1
            walk(decode_segment(bytes(data)), offset)
            offset += child.length

    walk(made.root.top, 0)
    assert seen > 100
    assert made.root.top.level > 2
    for place in [(0, 1), (0, -1), (0, made.root.size), (made.root.top.level, 0), (-1, 0), (99, 0)]:
        with pytest.raises(LookupError):
            segments_at(made.root, made.fetch, [place])


@pytest.mark.usefixtures("small_segments")
@settings(max_examples=100, deadline=None)
@given(
    count=st.sampled_from([1, 2, 40, 400]),
    places=st.lists(st.tuples(st.floats(0, 1), st.integers(1, 600_000)), max_size=30),
    seed=st.integers(0, 9),
)
def test_many_ranges_are_what_each_is_alone(
    count: int, places: list[tuple[float, int]], seed: int
) -> None:
    chance = Random(seed)
    entries = some_entries(count, seed)
    made = Tree([Entry(e.length) if chance.random() < 0.2 else e for e in entries])
    size = made.root.size
    offsets = [min(int(where * size), size - 1) for where, _ in places]
    ranges = [(at, min(length, size - at)) for at, (_, length) in zip(offsets, places, strict=True)]
    made.reads.clear()
    found = entries_at(made.root, made.fetch, ranges)
    assert len(made.reads) == len(set(made.reads)), "each segment is read once"
    for (offset, length), entries in zip(ranges, found, strict=True):
        assert entries == list(entries_from(made.root, made.fetch, offset, offset + length))
