"""Images that are put together, for whose data a region vouches that is trusted or is not."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import Region
from meltemi.keys import SigningKey
from tests.support.binding import HEADER, LIE, facts, issued, md5, prepare, send, signed
from tests.support.cli import succeed
from tests.support.exchanging import DELTA, Exchange, sha512
from tests.support.glance import Place, RefusedError, some_data
from tests.support.uploads import Upload
from tests.support.waiting import eventually

MIB = 2**20
BASE = some_data(61, 4 * MIB) + bytes(2 * MIB) + some_data(62, 3 * MIB)
NEW = some_data(63, 2 * MIB)
NEXT = BASE[: 2 * MIB] + NEW + BASE[2 * MIB :] + bytes(3 * MIB) + NEW[:1000] + bytes(300)
EMPTY = bytes(64 * 1024)
TINY = b"".join(some_data(100 + n, 70) + EMPTY[70:] for n in range(40))


class Cloud:
    """A region that signs what it has, and one that trusts it; both have the same base."""

    def __init__(self, source: Region, target: Region, key: SigningKey) -> None:
        self.key = key
        self.source, self.target = Exchange(Place(source.url)), Exchange(Place(target.url))
        self.base = self.target.place.put("base", BASE), BASE

    def original(self, data: bytes = NEXT, **attributes: Any) -> str:
        """Make an image at the source."""
        return self.source.place.put("next", data, **attributes)

    def waiting(self, **attributes: Any) -> str:
        """Make an image at the target that waits for its data."""
        return self.target.place.put("next", None, **attributes)

    def sent(self, binding: str | None, data: bytes = NEXT, **how: Any) -> dict[str, Any]:
        """Send the target an image, with a binding; give what it says of it, which must be read."""
        image = self.waiting()
        headers = {} if binding is None else {HEADER: binding}
        send(self.target, image, data, self.base, headers, **how)
        assert self.target.place.data(image) == data
        shown = self.target.place.show(image)
        assert (shown["status"], shown["size"]) == ("active", len(data))
        return shown


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    folder = tmp_path_factory.mktemp("cloud")
    key = SigningKey.create(folder / "key.pem")
    signing = {"signing_key": str(folder / "key.pem")}
    other = SigningKey.create(folder / "other.pem").public
    trusting = {"trusted_regions": {"RegionOne": [other, key.public]}}
    with (
        Region(folder / "source", settings=signing) as source,
        Region(folder / "target", settings=trusting) as target,
    ):
        yield Cloud(source, target, key)


def test_what_is_vouched_for_is_not_hashed(cloud: Cloud) -> None:
    """Even if it is a lie: a region that is trusted is believed."""
    original = cloud.original()
    shown = cloud.sent(signed(cloud.key, facts(cloud.source.place, original)))
    assert shown["checksum"] == LIE
    there = cloud.source.place.show(original)
    for name in ("os_hash_value", "virtual_size"):
        assert shown[name] == there[name]


def test_a_regions_own_binding_and_who_passes_it_on(cloud: Cloud) -> None:
    original = cloud.original()
    binding = issued(cloud.source.place, original)
    assert binding is not None
    shown = cloud.sent(binding)
    assert shown["checksum"] == md5(NEXT)
    assert issued(cloud.target.place, shown["id"]) == binding, "it rests on that one's word"
    copied = cloud.waiting()
    whole = f'{{"format": 1, "size": {len(NEXT)}, "images": ["{shown["id"]}"]}}\n'
    cloud.target.put(copied, whole.encode() + b'[%d, "i", 0, 0]\n' % len(NEXT))
    assert issued(cloud.target.place, copied) == binding
    assert issued(cloud.target.place, cloud.base[0]) is None, "the target has no key"


def test_tiny_pieces_stay_what_they_are(cloud: Cloud) -> None:
    original = cloud.original(TINY)
    assert cloud.sent(issued(cloud.source.place, original), TINY)["checksum"] == md5(TINY)
    lie = signed(cloud.key, facts(cloud.source.place, original))
    assert cloud.sent(lie, TINY)["checksum"] == LIE


def test_what_was_put_together_otherwise_is_read(cloud: Cloud) -> None:
    """The data is the same, and the root another: so nobody vouches for it."""
    lie = signed(cloud.key, facts(cloud.source.place, cloud.original()))
    shown = cloud.sent(lie, every=10_000)
    assert shown["checksum"] == md5(NEXT)
    assert issued(cloud.target.place, shown["id"]) is None


def test_a_hash_that_is_not_the_one_that_was_announced(cloud: Cloud) -> None:
    binding = issued(cloud.source.place, cloud.original())
    assert binding is not None
    image = cloud.waiting()
    headers = {HEADER: binding, "x-meltemi-hash": sha512(BASE)}
    with pytest.raises(RefusedError, match="400"):
        send(cloud.target, image, NEXT, cloud.base, headers)
    assert cloud.target.place.show(image)["status"] == "queued"


def test_copies_go_with_a_binding_and_stay_in_sync(cloud: Cloud) -> None:
    data = NEXT + some_data(64)
    original = cloud.source.place.put("copied", data)
    ways = (cloud.source.place.url, cloud.target.place.url, "--match", "name=copied")
    [row] = succeed("livecopy", *ways, "-f", "json").rows
    assert row["Result"] == "done"
    shown = cloud.target.place.show(original)
    assert shown["checksum"] == md5(data)
    assert issued(cloud.target.place, original) == issued(cloud.source.place, original)
    assert succeed("livecopy", *ways, "-f", "json").rows == []


def test_killed_and_collected_while_it_is_put_together(tmp_path: Path, cloud: Cloud) -> None:
    """What a trusted word is waited for is no more than what any delta is: all or nothing."""
    settings = {"trusted_regions": {"RegionOne": cloud.key.public}}
    lie = signed(cloud.key, facts(cloud.source.place, cloud.original()))
    with Region(tmp_path / "target", settings=settings) as server:
        exchange = Exchange(place := Place(server.url))
        base = place.put("base", BASE), BASE
        image = place.put("next", None)
        body = prepare(exchange, image, NEXT, base)
        with Upload(place, image, len(body), media_type=DELTA, **{HEADER: lie}) as upload:
            upload.send(body[:-1])
            place.wait_for(image, "saving")
            server.kill()
        server.start()
        place.wait_for(image, "queued")
        assert exchange.parts(image)
        store = server.folder / "data" / "store"
        succeed("store", "gc", store)
        with Upload(place, image, len(body), media_type=DELTA, **{HEADER: lie}) as upload:
            upload.send(body[:-1])
            place.wait_for(image, "saving")
            place.delete(base[0])
            succeed("store", "gc", store)
            upload.send(body[-1:])
            assert upload.status() == 204
        assert place.show(image)["checksum"] == LIE
        assert place.data(image) == NEXT
        for verb in ("gc", "check", "scrub"):
            succeed("store", verb, store)
        assert place.data(image) == NEXT
        eventually(lambda: len(list((store / "heads").iterdir())) == 1)


def test_a_key_that_is_trusted_no_longer(tmp_path: Path) -> None:
    key = SigningKey.create(tmp_path / "key.pem")
    settings: dict[str, Any] = {"trusted_regions": {"RegionOne": key.public}}
    with Region(tmp_path / "source") as source, Region(tmp_path / "a", settings=settings) as one:
        trusting = Cloud(source, one, key)
        lie = signed(key, facts(source_place := Place(source.url), trusting.original()))
        image = trusting.sent(lie)
        assert image["checksum"] == LIE
        waiting = trusting.waiting()
        body = prepare(trusting.target, waiting, NEXT, trusting.base)
        one.stop()
        text = one.config.read_text().replace(key.public, SigningKey.create(tmp_path / "k").public)
        one.config.write_text(text)
        one.start()
        trusting.target.put(waiting, body, **{HEADER: lie})
        assert trusting.target.place.show(waiting)["checksum"] == md5(NEXT)
        assert trusting.target.place.show(image["id"])["checksum"] == LIE, "what is there stays"
        assert issued(source_place, trusting.original()) is None
