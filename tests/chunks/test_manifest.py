"""Segments and roots in bytes: what is written is read, and nothing else is."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meltemi.chunks.blob import LARGEST_CHUNK, SEGMENT, BlobId, name_blob
from meltemi.chunks.cut import Cut
from meltemi.chunks.manifest import (
    LARGEST_DATA,
    MOST_ENTRIES,
    Child,
    Entry,
    FormatError,
    Root,
    Segment,
    decode_root,
    decode_segment,
    encode_root,
    encode_segment,
)
from tests.chunks.making import some_chunk

SEGMENT_ID = name_blob(SEGMENT, b"")

chunks = st.binary(min_size=32, max_size=32).map(lambda raw: BlobId(b"\x01" + raw))
segments = st.binary(min_size=32, max_size=32).map(lambda raw: BlobId(b"\x02" + raw))


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    """Draw an entry."""
    if draw(st.booleans()):
        return Entry(draw(st.integers(1, 2**50)))
    offset = draw(st.one_of(st.just(0), st.integers(0, LARGEST_CHUNK - 1)))
    return Entry(draw(st.integers(1, LARGEST_CHUNK - offset)), draw(chunks), offset)


leaves = st.lists(entries(), max_size=20).map(lambda found: Segment(0, entries=found))
children = st.builds(Child, st.integers(1, 2**50), segments)
inner = st.builds(
    lambda level, found: Segment(level, children=found),
    st.integers(1, 255),
    st.lists(children, min_size=1, max_size=20),
)
any_segment = st.one_of(leaves, inner)


@given(segment=any_segment)
def test_a_segment_comes_back(segment: Segment) -> None:
    data = encode_segment(segment)
    assert decode_segment(data) == segment
    assert decode_segment(data, length=segment.length) == segment
    with pytest.raises(FormatError, match="stands for"):
        decode_segment(data, length=segment.length + 1)


@given(segment=any_segment, cut=st.sampled_from(Cut))
def test_a_root_comes_back(segment: Segment, cut: Cut) -> None:
    root = Root(cut, segment.length, segment)
    assert decode_root(encode_root(root)) == root


@settings(max_examples=400)
@given(data=st.binary(max_size=80))
def test_bytes_that_are_read_are_those_that_would_be_written(data: bytes) -> None:
    """So two manifests that say the same are the same, and have the same name."""
    with contextlib.suppress(FormatError):
        assert encode_segment(decode_segment(data)) == data
    with contextlib.suppress(FormatError):
        assert encode_root(decode_root(b"M1" + data)) == b"M1" + data


EXAMPLES = {
    "leaf": encode_segment(
        Segment(0, entries=[Entry(2**20), Entry(300, some_chunk(1)), Entry(7, some_chunk(2), 200)])
    ),
    "inner": encode_segment(
        Segment(3, children=[Child(2**40, SEGMENT_ID), Child(200, SEGMENT_ID)])
    ),
}


def variants(data: bytes) -> set[bytes]:
    """Give everything that one wrong byte makes of these, and all that is shorter or longer."""
    found = {data[:at] for at in range(len(data))}
    found |= {
        data[:at] + bytes([byte]) + data[at + 1 :] for at in range(len(data)) for byte in range(256)
    }
    found |= {data + bytes([byte]) for byte in range(256)}
    return found - {data}


@pytest.mark.parametrize("name", EXAMPLES)
def test_whatever_happens_to_a_segment_it_is_refused_or_another(name: str) -> None:
    data = EXAMPLES[name]
    segment = decode_segment(data)
    for bad in variants(data):
        try:
            found = decode_segment(bad)
        except FormatError:
            continue
        assert found != segment
        assert encode_segment(found) == bad


@pytest.mark.parametrize("name", EXAMPLES)
def test_whatever_happens_to_a_root_it_is_refused_or_another(name: str) -> None:
    segment = decode_segment(EXAMPLES[name])
    root = Root(Cut.CONTENT, segment.length, segment)
    for bad in variants(encode_root(root)):
        try:
            found = decode_root(bad)
        except FormatError:
            continue
        assert found != root
        assert encode_root(found) == bad


LEAF = b"\0\x15" + some_chunk(1)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "empty"),
        (b"\0\x80", "in the middle of a number"),
        (b"\0\x80\x00", "number that is too long"),
        (b"\0" + b"\xff" * 9 + b"\x7f", "number that is too long"),
        (b"\0" + b"\xff" * 40, "number that is too long"),
        (b"\0\0", "impossible length"),
        (b"\0\x01" + some_chunk(1), "impossible length"),
        (b"\0\x07", "unknown kind"),
        (b"\0\x15" + some_chunk(1)[:-1], "name of a blob"),
        (b"\0\x15" + SEGMENT_ID, "name of a blob"),
        (b"\0\x16\0" + some_chunk(1), "is its beginning"),
        (b"\0\x85\x80\x40" + some_chunk(1), "impossible length"),
        (b"\0\x16\xff\xff\x0f" + some_chunk(1), "impossible length"),
        (b"\x01", "no segments"),
        (b"\x01\0" + SEGMENT_ID, "of no data"),
        (b"\x01\x07" + some_chunk(1), "name of a blob"),
    ],
)
def test_a_wrong_segment_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(FormatError, match=why):
        decode_segment(data)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "not the root"),
        (b"M1", "not the root"),
        (b"M2\x01\x05" + LEAF, "not the root"),
        (b"M1\x01\x05", "empty"),
        (b"M1\0\x05" + LEAF, "unknown cut"),
        (b"M1\x03\x05" + LEAF, "unknown cut"),
        (b"M1\x01\x04" + LEAF, "stands for 4"),
        (b"M1\x01\x85\x00" + LEAF, "number that is too long"),
        (b"M1\x01\0\x01", "no segments"),
        (b"M1\x01\x80", "in the middle of a number"),
    ],
)
def test_a_wrong_root_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(FormatError, match=why):
        decode_root(data)


def test_what_no_writer_makes_is_refused() -> None:
    full = Segment(0, entries=[Entry(1)] * MOST_ENTRIES)
    assert decode_segment(encode_segment(full)) == full
    for segment in (
        Segment(0, entries=[Entry(1)] * (MOST_ENTRIES + 1)),
        Segment(0, entries=[Entry(LARGEST_DATA), Entry(1)]),
        Segment(1, children=[Child(LARGEST_DATA, SEGMENT_ID)] * 2),
    ):
        with pytest.raises(FormatError, match="too large"):
            decode_segment(encode_segment(segment))
