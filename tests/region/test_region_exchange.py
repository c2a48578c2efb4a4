"""Images that are read by pieces, and put together of others and of what was sent in advance."""

import hashlib
import json
from collections.abc import Iterator
from itertools import accumulate, pairwise
from pathlib import Path

import pytest

from lab import Region
from meltemi.chunks.blob import chunk_id
from meltemi.chunks.cut import Cut
from tests.support.exchanging import Exchange, Line, delta, pieces, sha512
from tests.support.glance import Place, some_data

MIB = 2**20
OLD = some_data(40, 9 * MIB + 17) + bytes(3 * MIB) + some_data(41, 5 * MIB)
NEW = some_data(42, 3 * MIB + 5)
NEXT = OLD[: 4 * MIB] + NEW + OLD[4 * MIB :] + bytes(2 * MIB) + NEW[:1000]


@pytest.fixture
def exchange(shared_region: Place) -> Exchange:
    return Exchange(shared_region)


def test_a_region_says_how_it_exchanges(shared_region: Place) -> None:
    assert shared_region.call("GET", "/v2/info/exchange") == {
        "exchange": {
            "version": 1,
            "cut": "cdc-64k",
            "dedup_scope": "region",
            "hash": "sha512",
            "largest_batch": 33554432,
            "largest_piece": 262144,
            "most_pieces": 4096,
        }
    }


def test_a_manifest_tells_what_the_data_consists_of(exchange: Exchange) -> None:
    image = exchange.place.put("image", OLD)
    root = exchange.root(image)
    assert (root.cut, root.size) == (Cut.CONTENT, len(OLD))
    at = 0
    for entry in exchange.entries(image):
        data = OLD[at : at + entry.length]
        if entry.chunk is None:
            assert data == bytes(entry.length)
        else:
            assert (entry.chunk, entry.offset) == (chunk_id(data), 0)
        at += entry.length
    assert at == len(OLD)


def test_pieces_of_data_come_together_in_the_order_that_is_asked_for(exchange: Exchange) -> None:
    image = exchange.place.put("image", OLD)
    starts = list(accumulate(map(len, pieces(OLD)), initial=0))
    ranges = [[at, min(end - at, 2**18)] for at, end in pairwise(starts)]
    ranges = [*reversed(ranges), [0, 1], [len(OLD) - 1, 1], [12 * MIB - 7, 2**18], [5, 9], [3, 9]]
    found = exchange.batch(image, ranges)
    assert found == [OLD[offset : offset + length] for offset, length in ranges]
    assert exchange.batch(image, [[0, 1]] * 4096) == [OLD[:1]] * 4096
    most = [[n * 2**18 % MIB, 2**18] for n in range(128)]
    assert b"".join(exchange.batch(image, most)) == OLD[:MIB] * 32


def test_what_pieces_take_is_told(exchange: Exchange) -> None:
    text = b"the same again and again, " * 200_000
    image = exchange.place.put("image", OLD[: 2 * MIB] + text[: 2 * MIB] + bytes(MIB))
    random, repeated, zeros = ([[n * MIB + i * 2**18, 2**18] for i in range(4)] for n in (0, 2, 4))
    assert MIB <= exchange.batch_size(image, random) < 1.01 * MIB
    assert 0 < exchange.batch_size(image, repeated) < MIB // 20
    assert exchange.batch_size(image, zeros) == 0


def test_an_image_is_put_together_of_another_and_of_parts(exchange: Exchange) -> None:
    place = exchange.place
    base = place.put("base", OLD)
    image = place.put("next", None, disk_format="raw")
    cut = pieces(NEW)
    exchange.put_part(image, 7, cut[:20])
    exchange.put_part(image, 0, cut[20:])
    first = sum(map(len, cut[:20]))
    assert exchange.parts(image) == {0: len(NEW) - first, 7: first}
    assert [entry.chunk for entry in exchange.entries(image, 7)] == list(map(chunk_id, cut[:20]))
    lines: list[Line] = [
        [MIB, "i", 0, 0],
        [3 * MIB, "i", 0, MIB],
        [first, "p", 7, 0],
        [len(NEW) - first, "p", 0, 0],
        [len(OLD) - 4 * MIB, "i", 0, 4 * MIB],
        [MIB],
        [MIB],
        [400, "p", 7, 0],
        [600, "p", 7, 400],
    ]
    exchange.put(image, delta(len(NEXT), [base], lines), **{"x-meltemi-hash": sha512(NEXT)})
    shown = place.show(image)
    assert (shown["status"], shown["size"]) == ("active", len(NEXT))
    assert shown["checksum"] == hashlib.md5(NEXT, usedforsecurity=False).hexdigest()
    assert shown["os_hash_value"] == hashlib.sha512(NEXT).hexdigest()
    assert place.data(image) == NEXT
    place.delete(base)
    assert place.data(image) == NEXT
    uploaded = place.put("uploaded", NEXT)
    assert exchange.root(uploaded) == exchange.root(image), "it is stored as an upload is"


def test_many_small_stretches(exchange: Exchange) -> None:
    base = exchange.place.put("base", OLD)
    image = exchange.place.put("image", None)
    places = [(n * 7919 * 997) % (len(OLD) - 300) for n in range(20_000)]
    data = b"".join(OLD[at : at + 1 + at % 300] for at in places)
    lines: list[Line] = [[1 + at % 300, "i", 0, at] for at in places]
    exchange.put(image, delta(len(data), [base], lines), **{"x-meltemi-hash": sha512(data)})
    assert exchange.place.data(image) == data


def test_nothing_and_zeros_alone(exchange: Exchange) -> None:
    empty, zeros = (exchange.place.put("image", None) for _ in range(2))
    exchange.put(empty, delta(0, [], []))
    assert exchange.place.data(empty) == b""
    assert exchange.place.show(empty)["size"] == 0
    exchange.put(zeros, delta(10 * MIB + 1, [], [[10 * MIB + 1]]))
    assert exchange.place.data(zeros) == bytes(10 * MIB + 1)


def test_a_whole_image_is_shared_and_not_read(tmp_path: Path) -> None:
    """Even where its data could not be read."""
    with Region(tmp_path / "region") as server:
        exchange = Exchange(Place(server.url))
        base = exchange.place.put("base", NEW)
        image, other = (exchange.place.put("image", None) for _ in range(2))
        whole = delta(len(NEW), [base], [[len(NEW), "i", 0, 0]])
        for pack in (server.folder / "data" / "store" / "packs").glob("*/*"):
            pack.rename(pack.with_suffix(".away"))
        exchange.put(image, whole, **{"x-meltemi-hash": sha512(NEW)})
        for pack in (server.folder / "data" / "store" / "packs").glob("*/*"):
            pack.rename(pack.with_suffix(""))
        shown = exchange.place.show(image)
        assert (shown["status"], shown["size"]) == ("active", len(NEW))
        assert shown["os_hash_value"] == hashlib.sha512(NEW).hexdigest()
        exchange.put(other, whole)
        exchange.place.delete(base)
        exchange.place.delete(other)
        assert exchange.place.data(image) == NEW


@pytest.fixture
def by_project(tmp_path: Path) -> Iterator[Place]:
    with Region(tmp_path / "region", settings={"dedup_scope": "project"}) as server:
        yield Place(server.url)


def test_where_projects_do_not_share_data(by_project: Place) -> None:
    exchange = Exchange(by_project)
    assert by_project.call("GET", "/v2/info/exchange")["exchange"]["dedup_scope"] == "project"
    large = some_data(43, 2**18)
    data = OLD[:MIB] + large + NEW
    base = by_project.put("base", OLD, owner="one")
    images = [by_project.put("image", None, owner=owner) for owner in ("one", "two")]
    for image in images:
        exchange.put_part(image, 0, [large, *pieces(NEW)])
        lines: list[Line] = [[MIB, "i", 0, 0], [len(large) + len(NEW), "p", 0, 0]]
        exchange.put(image, delta(len(data), [base], lines))
        assert by_project.data(image) == data
    one, two = ({entry.chunk for entry in exchange.entries(image)} for image in images)
    assert not one & two
    assert one & {entry.chunk for entry in exchange.entries(base)}
    assert json.dumps(exchange.parts(by_project.put("x", None))) == "{}"
