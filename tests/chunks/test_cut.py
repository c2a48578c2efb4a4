"""Where data is cut: constants that hold for ever, whatever way the data comes in."""

from itertools import pairwise

import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

from meltemi.chunks.blob import LARGEST_CHUNK, chunk_id
from meltemi.chunks.cut import BLOCK, Cut, Cutter, Piece
from tests.chunks.making import KIB, MIB, holey, names_of, noise

SMALLEST_CHUNK = 16 * KIB


def cut(data: bytes, rule: Cut = Cut.CONTENT, *, at: tuple[int, ...] = ()) -> list[Piece]:
    """Cut data that comes in divided at these places."""
    cutter = Cutter(rule)
    found = []
    for begin, end in pairwise([0, *at, len(data)]):
        assert cutter.hold(data[begin:end]) == data[begin:end]
        found += cutter.cut()
    return found + cutter.finish()


def told(pieces: list[Piece]) -> list[int]:
    """Give the lengths, those of zero runs as negative numbers."""
    return [piece.length if piece.data is not None else -piece.length for piece in pieces]


def digest(pieces: list[Piece]) -> str:
    """Give one hash of the names of all chunks."""
    ids = [chunk_id(piece.data) for piece in pieces if piece.data is not None]
    return blake3(b"".join(ids)).hexdigest()


def joined(pieces: list[Piece]) -> bytes:
    """Give the data again."""
    return b"".join(
        bytes(piece.length) if piece.data is None else bytes(piece.data) for piece in pieces
    )


GOLDEN: dict[str, tuple[bytes, Cut, list[int], str]] = {
    "noise": (
        noise(20261120, 2 * MIB),
        Cut.CONTENT,
        [
            62793,
            67516,
            79767,
            131569,
            34625,
            71987,
            144514,
            28822,
            98855,
            71114,
            67141,
            59171,
            75496,
            78312,
            38845,
            69584,
            66115,
            107943,
            67561,
            107342,
            95254,
            75064,
            52343,
            83604,
            116201,
            59712,
            85902,
        ],
        "fc8bf88cb1b617e8958a46e4dcc4eaf283de64aa8645da946da6412ffebdf84e",
    ),
    "zeros within": (
        holey(7),
        Cut.CONTENT,
        [
            111090,
            67285,
            86090,
            63215,
            -131072,
            64719,
            75932,
            125186,
            37936,
            16647,
            138332,
            -589824,
            65536,
            -110600,
        ],
        "68b5cbc77bd489dc2ca32240d26f0e160fa9d4bee738710ed36c4f3c080acb3a",
    ),
    "text": (
        b"To be, or not to be, that is the question: " * 20_000,
        Cut.CONTENT,
        [262144, 262144, 262144, 73568],
        "910405841955d04a6e2cf616afe48f0432901c4f32c57bb4ab3d20b3d9eda639",
    ),
    "fixed": (
        holey(7),
        Cut.FIXED,
        [
            65536,
            65536,
            65536,
            65536,
            65536,
            -131072,
            65536,
            65536,
            65536,
            65536,
            65536,
            65536,
            65536,
            -589824,
            65536,
            -110600,
        ],
        "d7797630ea005bcbfb0cea436807d28cc76203c060c7213f49b9d1405dc0db66",
    ),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_boundaries_never_move(name: str) -> None:
    data, rule, lengths, names = GOLDEN[name]
    pieces = cut(data, rule)
    assert told(pieces) == lengths
    assert digest(pieces) == names


@st.composite
def divided(draw: st.DrawFn) -> tuple[bytes, tuple[int, ...]]:
    """Draw data with zeros in many places, and places where it is divided."""
    sizes = st.one_of(
        st.integers(1, 6).map(lambda blocks: blocks * BLOCK),
        st.integers(1, 400 * KIB),
        st.integers(-2, 2).map(lambda more: 2 * BLOCK + more),
    )
    parts = st.one_of(
        st.builds(noise, st.integers(0, 99), sizes),
        sizes.map(bytes),
        sizes.map(lambda size: b"\xff" * size),
    )
    data = b"".join(draw(st.lists(parts, max_size=6)))
    places = st.integers(0, len(data))
    return data, tuple(sorted(draw(st.lists(places, max_size=12))))


@pytest.mark.parametrize("rule", Cut)
@settings(deadline=None, max_examples=60)
@given(drawn=divided())
def test_how_data_comes_in_makes_no_difference(
    rule: Cut, drawn: tuple[bytes, tuple[int, ...]]
) -> None:
    data, places = drawn
    whole = cut(data, rule)
    assert joined(whole) == data
    parts = cut(data, rule, at=places)
    assert told(parts) == told(whole)
    assert joined(parts) == data


def test_data_that_comes_in_small_pieces_is_cut_the_same() -> None:
    data = holey(1)
    for step in (997, BLOCK - 1, BLOCK, BLOCK + 1):
        assert told(cut(data, at=tuple(range(step, len(data), step)))) == told(cut(data))


@pytest.mark.parametrize("rule", Cut)
@settings(deadline=None, max_examples=60)
@given(drawn=divided())
def test_every_piece_is_as_it_may_be(rule: Cut, drawn: tuple[bytes, tuple[int, ...]]) -> None:
    data, _ = drawn
    pieces = cut(data, rule)
    blocks = [data[at : at + BLOCK] for at in range(0, len(data), BLOCK)]
    zeros = {number for number, block in enumerate(blocks) if not any(block)}
    found: set[int] = set()
    at = 0
    for piece, after in pairwise([*pieces, None]):
        assert piece is not None
        end = at + piece.length
        if piece.data is None:
            assert after is None or after.data is not None, "zero runs beside each other"
            assert at % BLOCK == 0
            assert end % BLOCK == 0 or end == len(data)
            found.update(range(at // BLOCK, -(-end // BLOCK)))
        else:
            last = after is None or after.data is None
            assert piece.length <= (BLOCK if rule is Cut.FIXED else LARGEST_CHUNK)
            assert last or piece.length >= (BLOCK if rule is Cut.FIXED else SMALLEST_CHUNK)
            assert len(piece.data) == piece.length > 0
        at = end
    assert at == len(data)
    assert found == zeros, "blocks of zeros are zero runs, and nothing else is"


def test_an_extent_is_cut_as_if_it_were_alone() -> None:
    first, second = noise(1, 7 * BLOCK), noise(2, 9 * BLOCK + 5)
    pieces = told(cut(first + bytes(BLOCK) + second))
    assert pieces == [*told(cut(first)), -BLOCK, *told(cut(second))]


@pytest.mark.parametrize("inserted", [b"!", bytes(100), noise(9, 70_000)])
def test_inserted_bytes_move_few_cuts(inserted: bytes) -> None:
    data = noise(3, 8 * MIB)
    before = names_of(bytes(piece.data) for piece in cut(data) if piece.data)
    after = names_of(bytes(piece.data) for piece in cut(inserted + data) if piece.data)
    assert len(after - before) <= 6
    assert len(before) > 80


def test_chunks_are_of_the_size_that_was_asked_for() -> None:
    lengths = told(cut(noise(4, 16 * MIB)))
    assert 64 * KIB < sum(lengths) / len(lengths) < 96 * KIB


def test_no_data_has_no_pieces() -> None:
    for rule in Cut:
        assert cut(b"", rule) == []
        assert cut(b"", rule, at=(0, 0)) == []


def test_zeros_are_one_run_however_long() -> None:
    for rule in Cut:
        assert told(cut(bytes(40 * MIB + 3), rule)) == [-(40 * MIB + 3)]
        assert told(cut(bytes(3), rule)) == [-3]


def test_fixed_blocks_are_cut_at_multiples_of_their_size() -> None:
    data = noise(5, 2 * BLOCK) + bytes(BLOCK) + noise(6, BLOCK + 10)
    assert told(cut(data, Cut.FIXED)) == [BLOCK, BLOCK, -BLOCK, BLOCK, 10]


def test_the_labels_are_those_of_the_specification() -> None:
    assert {rule.value: rule.label for rule in Cut} == {1: "cdc-64k", 2: "fixed-64k"}
