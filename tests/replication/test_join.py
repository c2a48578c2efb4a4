"""Joining listings: the same as joining dictionaries, whatever the pages; disorder is noticed."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meltemi.errors import UnreachableError
from meltemi.model.image import Image
from meltemi.replication.join import ListingError, Row, UnorderedError, collected, join

IDS = st.text("abcXYZ019", min_size=1, max_size=3)
LISTINGS = st.lists(
    st.tuples(st.sets(IDS, max_size=12), st.lists(st.integers(0, 4), max_size=8)),
    min_size=1,
    max_size=4,
)


async def paged(
    images: Sequence[Image], sizes: Sequence[int], error: Exception | None = None
) -> AsyncIterator[list[Image]]:
    """Give pages of these sizes, empty ones too, and the rest as one page."""
    rest = list(images)
    for size in sizes:
        yield rest[:size]
        rest = rest[size:]
    if rest:
        yield rest
    if error is not None:
        raise error


async def joined(listings: Sequence[AsyncIterator[list[Image]]]) -> list[Row]:
    """Join, all rows together."""
    return [row async for rows in join(listings) for row in rows]


def run(listings: Sequence[AsyncIterator[list[Image]]]) -> list[Row]:
    """Join in a loop of its own."""
    return asyncio.run(joined(listings))


@given(LISTINGS)
def test_any_paging_gives_what_dictionaries_give(
    parts: list[tuple[set[str], list[int]]],
) -> None:
    tables = [{i: Image(i, name=str(n)) for i in ids} for n, (ids, _) in enumerate(parts)]
    expected = [
        tuple(table.get(image_id) for table in tables) for image_id in sorted(set().union(*tables))
    ]
    listings = [
        paged([table[i] for i in sorted(table)], sizes)
        for table, (_, sizes) in zip(tables, parts, strict=True)
    ]
    assert run(listings) == expected


@given(
    st.lists(IDS, unique=True, max_size=10), st.lists(st.integers(0, 4)), st.sets(IDS, max_size=9)
)
def test_disorder_is_noticed_and_sorting_is_the_way_out(
    ids: list[str], sizes: list[int], others: set[str]
) -> None:
    images, straight = [Image(i) for i in ids], [Image(i) for i in sorted(others)]
    expected = [
        (Image(i) if i in ids else None, Image(i) if i in others else None)
        for i in sorted({*ids, *others})
    ]
    for turn in (1, -1):
        pair = [paged(images, sizes), paged(straight, [2] * 9)][::turn]
        if ids == sorted(ids):
            assert [row[::turn] for row in run(pair)] == expected
        else:
            with pytest.raises(UnorderedError):
                run(pair)
        pair = [collected(paged(images, sizes)), collected(paged(straight, []))][::turn]
        assert [row[::turn] for row in run(pair)] == expected


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_listing_that_fails_is_named(place: int) -> None:
    error = UnreachableError("gone")
    listings = [
        paged([Image(i) for i in "abcd"], [1], error if number == place else None)
        for number in range(3)
    ]
    with pytest.raises(ListingError) as caught:
        run(listings)
    assert caught.value.place == place
    assert caught.value.cause is error


def test_only_a_page_of_each_is_held() -> None:
    taken: list[int] = []

    async def watched(number: int) -> AsyncIterator[list[Image]]:
        for page in range(50):
            taken.append(number)
            yield [Image(f"{page:03}{i}") for i in range(3)]

    async def check() -> None:
        async for _ in join([watched(0), watched(1)]):
            assert abs(taken.count(0) - taken.count(1)) <= 1

    asyncio.run(check())
    assert len(taken) == 100
