"""Servers that are killed, collectors, deletions and rivals while images are exchanged."""

import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPException
from random import Random

import pytest

from lab import Region
from meltemi.chunks.exchange.batch import encode_batch
from tests.support.cli import succeed
from tests.support.exchanging import BATCH, DELTA, Exchange, Line, delta, pieces, sha512
from tests.support.glance import Place, RefusedError, some_data
from tests.support.uploads import BINARY, Upload
from tests.support.waiting import eventually

MIB = 2**20
BASE = some_data(51, 6 * MIB)
NEW = pieces(some_data(52, 8 * MIB))
PARTS = [NEW[begin : begin + 12] for begin in range(0, len(NEW), 12)]
DATA = BASE + b"".join(NEW)
HASH = {"x-meltemi-hash": sha512(DATA)}


def lines() -> list[Line]:
    """Tell of the data: all of the base, then all parts, each in two stretches."""
    found: list[Line] = [[3 * MIB, "i", 0, 0], [3 * MIB, "i", 0, 3 * MIB]]
    for number, part in enumerate(PARTS):
        size = sum(map(len, part))
        found += [[10, "p", number, 0], [size - 10, "p", number, 10]]
    return found


def begun(region: Region) -> tuple[Exchange, str, str]:
    """Give a region with a base and an image that waits."""
    exchange = Exchange(Place(region.url))
    return exchange, exchange.place.put("base", BASE), exchange.place.put("image", None)


def heads(region: Region) -> int:
    return len(list((region.folder / "data" / "store" / "heads").iterdir()))


def stored(region: Region) -> int:
    """Count the packs that are in the store."""
    return len(list((region.folder / "data" / "store" / "packs").glob("*/*")))


def sessions(region: Region) -> int:
    with closing(sqlite3.connect(region.folder / "data" / "store" / "index.sqlite")) as index:
        count: int = index.execute("SELECT count(*) FROM sessions").fetchone()[0]
    return count


def collect(region: Region) -> None:
    """Collect garbage; those of whom nothing is heard meanwhile are taken for dead."""
    store = region.folder / "data" / "store"
    with closing(sqlite3.connect(store / "index.sqlite", timeout=120)) as index:
        index.execute("UPDATE sessions SET seen = 0")
        index.commit()
    succeed("store", "gc", store)


def must_be_clean(region: Region, images: int) -> None:
    """See that nothing is left in the store but what so many images have."""
    eventually(lambda: heads(region) == images)
    for verb in ("gc", "check", "scrub"):
        succeed("store", verb, region.folder / "data" / "store")
    with closing(sqlite3.connect(region.folder / "data" / "catalogue.sqlite")) as catalogue:
        assert catalogue.execute("SELECT count(*) FROM parts").fetchone() == (0,)


def test_a_server_killed_between_parts_and_in_a_delta(region: Region) -> None:
    exchange, base, image = begun(region)
    sizes = {number: sum(map(len, part)) for number, part in enumerate(PARTS)}
    body = delta(len(DATA), [base], lines())
    for number, part in enumerate(PARTS):
        exchange.put_part(image, number, part)
        if number in (0, 3):
            region.kill()
            region.start()
            assert exchange.parts(image) == {n: sizes[n] for n in range(number + 1)}
    for sent in (200, len(body) - 1):
        with Upload(exchange.place, image, len(body), media_type=DELTA) as upload:
            upload.send(body[:sent])
            exchange.place.wait_for(image, "saving")
            region.kill()
        region.start()
        eventually(lambda: exchange.place.show(image)["status"] == "queued")
        assert exchange.parts(image) == sizes
    exchange.put(image, body, **HASH)
    assert exchange.place.data(image) == DATA
    must_be_clean(region, images=2)


def test_killed_at_any_moment_while_parts_are_sent(region: Region) -> None:
    """What was acknowledged is there; what was not may be, whole."""
    exchange, base, image = begun(region)
    acknowledged: set[int] = set()

    def send(numbers: range) -> None:
        for number in numbers:
            while number not in acknowledged:
                try:
                    exchange.put_part(image, number, PARTS[number])
                except RefusedError as error:
                    if error.status != 409:
                        raise
                    acknowledged.add(number)  # from a time before, of which no answer came
                except (OSError, HTTPException):
                    time.sleep(0.02)
                else:
                    acknowledged.add(number)

    chance = Random(1)
    with ThreadPoolExecutor(2) as senders:
        sending = [senders.submit(send, range(first, len(PARTS), 2)) for first in range(2)]
        for _ in range(6):
            time.sleep(chance.uniform(0, 0.3))
            before = set(acknowledged)
            region.kill()
            region.start()
            assert exchange.parts(image).keys() >= before
        for one in sending:
            one.result()
    assert exchange.parts(image) == {n: sum(map(len, part)) for n, part in enumerate(PARTS)}
    exchange.put(image, delta(len(DATA), [base], lines()), **HASH)
    assert exchange.place.data(image) == DATA
    # What was about to be published is for the collector to decide; then nobody has it.
    collect(region)
    region.kill()
    region.start()
    must_be_clean(region, images=2)


def test_garbage_is_collected_between_parts_and_a_delta(region: Region) -> None:
    exchange, base, image = begun(region)
    gone = exchange.place.put("gone", b"".join(NEW))
    for number, part in enumerate(PARTS):
        exchange.put_part(image, number, part)  # which store nothing but manifests
    body = delta(len(DATA), [base], lines())
    with Upload(exchange.place, image, len(body), media_type=DELTA) as upload:
        upload.send(body[:-1])
        eventually(lambda: sessions(region) > 0)
        region.kill()
    region.start()
    exchange.place.delete(gone)
    for _ in range(2):
        collect(region)
    assert sessions(region) == 0
    exchange.place.wait_for(image, "queued")
    assert exchange.parts(image).keys() == set(range(len(PARTS)))
    exchange.put(image, body, **HASH)
    for _ in range(2):
        collect(region)
    assert exchange.place.data(image) == DATA
    must_be_clean(region, images=2)


def test_a_base_that_is_deleted_and_collected_in_a_delta(region: Region) -> None:
    """What had begun goes on, as a download does; and nothing can begin with it any more."""
    exchange, base, image = begun(region)
    other = exchange.place.put("other", None)
    chance = Random(2)
    places = [chance.randrange(6 * MIB - 4096) for _ in range(10_000)]
    data = b"".join(BASE[at : at + 4096] for at in places) + BASE
    shuffled: list[Line] = [[4096, "i", 0, at] for at in places]
    body = delta(len(data), [base], [*shuffled, [len(BASE), "i", 0, 0]])
    packs = stored(region)
    with Upload(exchange.place, image, len(body), media_type=DELTA) as upload:
        upload.send(body[:-10])
        eventually(lambda: stored(region) > packs)
        exchange.place.delete(base)
        for _ in range(2):
            succeed("store", "gc", region.folder / "data" / "store")
        with pytest.raises(RefusedError, match="404"):
            exchange.put(other, delta(1, [base], [[1, "i", 0, 0]]))
        upload.send(body[-10:])
        assert upload.status() == 204
    assert exchange.place.data(image) == data
    exchange.place.delete(other)
    must_be_clean(region, images=1)


def test_an_image_that_is_deleted_meanwhile(region: Region) -> None:
    exchange, base, image = begun(region)
    other = exchange.place.put("other", None)
    batch = encode_batch(PARTS[0])
    for one in (image, other):
        exchange.put_part(one, 0, PARTS[0])
        exchange.put_part(one, 1, PARTS[1])
    with Upload(exchange.place, image, len(batch), to="parts/2", media_type=BATCH) as upload:
        upload.send(batch[:-1])
        exchange.place.delete(image)
        upload.send(batch[-1:])
        assert upload.status() == 404
    body = delta(len(DATA), [base], lines())
    with Upload(exchange.place, other, len(body), media_type=DELTA) as upload:
        upload.send(body[:200])
        exchange.place.wait_for(other, "saving")
        exchange.place.delete(other)
        upload.send(body[200:])
        assert upload.status() in (400, 404, 410)  # its parts may be gone first
    for one in (image, other):
        with pytest.raises(RefusedError, match="404"):
            exchange.parts(one)
    must_be_clean(region, images=1)


def test_two_send_the_same_image(region: Region) -> None:
    exchange, base, image = begun(region)
    answers: list[int] = []

    def send(numbers: list[int]) -> None:
        for number in numbers:
            try:
                exchange.put_part(image, number, PARTS[number])
            except RefusedError as error:
                answers.append(error.status)
            else:
                answers.append(204)

    numbers = list(range(len(PARTS)))
    with ThreadPoolExecutor(2) as senders:
        for one in [senders.submit(send, numbers), senders.submit(send, numbers[::-1])]:
            one.result()
    assert sorted(answers) == [204] * len(PARTS) + [409] * len(PARTS)
    body = delta(len(DATA), [base], lines())
    with Upload(exchange.place, image, len(body), media_type=DELTA) as upload:
        upload.send(body[:-1])
        exchange.place.wait_for(image, "saving")
        exchange.put_part(image, len(PARTS), [b"one more, while others are put together"])
        with pytest.raises(RefusedError, match="409"):
            exchange.put(image, body)
        upload.send(body[-1:])
        assert upload.status() == 204
    with pytest.raises(RefusedError, match="409"):
        exchange.put(image, body)
    assert exchange.place.data(image) == DATA
    must_be_clean(region, images=2)


def test_a_part_that_comes_while_the_delta_waits_for_it(region: Region) -> None:
    exchange, base, image = begun(region)
    body = delta(len(DATA), [base], lines()).splitlines(keepends=True)
    with Upload(exchange.place, image, len(b"".join(body)), media_type=DELTA) as upload:
        upload.send(b"".join(body[:3]))
        for number, part in enumerate(PARTS):
            exchange.put_part(image, number, part)
            upload.send(b"".join(body[3 + 2 * number : 5 + 2 * number]))
        assert upload.status() == 204
    assert exchange.place.data(image) == DATA
    must_be_clean(region, images=2)


def test_other_ways_to_get_data_forget_the_parts(region: Region) -> None:
    exchange, base, image = begun(region)
    shared, staged = (exchange.place.put("image", None) for _ in range(2))
    for one in (image, shared, staged):
        exchange.put_part(one, 0, PARTS[0])
    exchange.place.upload(image, BASE)
    exchange.put(shared, delta(len(BASE), [base], [[len(BASE), "i", 0, 0]]))
    exchange.place.request("PUT", f"/v2/images/{staged}/stage", BASE, BINARY)
    must_be_clean(region, images=3)  # two share one's data
