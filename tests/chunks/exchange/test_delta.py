"""Deltas: what is written is read, and nothing else is."""

import json
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meltemi.chunks.exchange.delta import (
    LONGEST_LINE,
    MOST_PARTS,
    DeltaError,
    DeltaReader,
    Origin,
    Outline,
    Stretch,
    encode_outline,
    encode_stretch,
    joined,
)

IMAGES = tuple(str(UUID(int=number)) for number in range(16))
LENGTHS = st.integers(1, 2**40)
OFFSETS = st.integers(0, 2**62)
ORIGINS = st.tuples(st.just(Origin.IMAGE), st.integers(0, 15)) | st.tuples(
    st.just(Origin.PART), st.integers(0, MOST_PARTS - 1)
)
STRETCHES = LENGTHS.map(Stretch) | st.tuples(LENGTHS, ORIGINS, OFFSETS).map(
    lambda drawn: Stretch(drawn[0], *drawn[1], drawn[2])
)


@given(st.lists(STRETCHES, max_size=20))
def test_what_is_written_is_read(stretches: list[Stretch]) -> None:
    outline = Outline(sum(stretch.length for stretch in stretches), IMAGES)
    reader = DeltaReader(encode_outline(outline))
    assert reader.outline == outline
    assert [reader.read(encode_stretch(stretch)) for stretch in stretches] == stretches
    reader.finish()


@given(st.lists(STRETCHES, max_size=20))
def test_what_is_joined_is_the_same(stretches: list[Stretch]) -> None:
    halves = []
    for stretch in stretches:
        one = (stretch.length + 1) // 2
        halves.append(stretch._replace(length=one))
        if rest := stretch.length - one:
            offset = stretch.offset + (one if stretch.origin else 0)
            halves.append(stretch._replace(length=rest, offset=offset))
    assert list(joined(halves)) == list(joined(stretches))
    assert sum(s.length for s in joined(halves)) == sum(s.length for s in stretches)


def test_the_lines_are_as_they_are_described() -> None:
    assert json.loads(encode_outline(Outline(5, IMAGES[:1]))) == {
        "format": 1,
        "size": 5,
        "images": [IMAGES[0]],
    }
    assert encode_stretch(Stretch(5)) == b"[5]\n"
    assert encode_stretch(Stretch(5, Origin.IMAGE, 2, 7)) == b'[5, "i", 2, 7]\n'
    assert encode_stretch(Stretch(5, Origin.PART, 2, 7)) == b'[5, "p", 2, 7]\n'


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{}\n",
        b'{"format": 2, "size": 1, "images": []}\n',
        b'{"format": 1, "size": -1, "images": []}\n',
        b'{"format": 1, "size": true, "images": []}\n',
        b'{"format": 1, "size": 1.5, "images": []}\n',
        b'{"format": 1, "size": 9223372036854775807, "images": []}\n',
        b'{"format": 1, "size": 1, "images": ["../x"]}\n',
        b'{"format": 1, "size": 1, "images": [1]}\n',
        b'{"format": 1, "size": 1, "images": [], "more": 1}\n',
        b'{"format": 1, "size": 1, "images": []}',
        json.dumps({"format": 1, "size": 1, "images": [*IMAGES, IMAGES[0]]}).encode() + b"\n",
        b"[" * 8000 + b"\n",
        b" " * LONGEST_LINE + b"\n",
        b'{"format": 1, "size": 1, "images": ["\xc3\xa9"]}\n',
    ],
)
def test_what_no_delta_begins_with_is_refused(line: bytes) -> None:
    with pytest.raises(DeltaError):
        DeltaReader(line)


@pytest.mark.parametrize(
    "line",
    [
        b"[]\n",
        b"[0]\n",
        b"[-1]\n",
        b"[true]\n",
        b"[1.0]\n",
        b'["1"]\n',
        b"[1, 2]\n",
        b'[1, "x", 0, 0]\n',
        b'[1, "i", 1, 0]\n',
        b'[1, "i", -1, 0]\n',
        b'[1, "i", 0, -1]\n',
        b'[1, "i", 0, 0, 0]\n',
        b'[1, "p", 10000, 0]\n',
        b'[1, "p", 0, 9223372036854775807]\n',
        b"[1]",
        b"null\n",
        b"[11]\n",
    ],
)
def test_what_is_no_stretch_is_refused(line: bytes) -> None:
    reader = DeltaReader(encode_outline(Outline(10, IMAGES[:1])))
    with pytest.raises(DeltaError):
        reader.read(line)


def test_a_delta_of_which_something_is_missing_is_noticed() -> None:
    reader = DeltaReader(encode_outline(Outline(10)))
    reader.read(b"[9]\n")
    with pytest.raises(DeltaError, match="1 of its 10 bytes are missing"):
        reader.finish()
