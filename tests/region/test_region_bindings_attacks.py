"""Bindings as somebody may write them who knows every hash, every id and every public key.

Each tells a lie in place of the md5. So an image that shows its true one was hashed by its region.
"""

import json
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator, Mapping
from http.client import HTTPException
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from lab import Region
from meltemi.chunks.blob import chunk_id
from meltemi.keys import SigningKey
from tests.support.binding import HEADER, LIE, facts, issued, md5, prepare, send, signed
from tests.support.cli import meltemi, succeed
from tests.support.exchanging import Exchange
from tests.support.glance import Place, RefusedError, some_data
from tests.support.waiting import eventually

MIB = 2**20
BASE = some_data(71, 3 * MIB)
NEXT = BASE[:MIB] + some_data(72, MIB) + BASE[MIB:] + bytes(2 * MIB)
OTHER = some_data(73, MIB)


class Target(NamedTuple):
    """A region that trusts a key, what it has, and what an honest binding would say."""

    server: Region
    exchange: Exchange
    base: tuple[str, bytes]
    key: SigningKey
    said: Mapping[str, Any]
    other: Mapping[str, Any]

    def shown(self, binding: str, **attributes: Any) -> dict[str, Any]:
        """Send it an image with a binding, and see that its data can be read."""
        place = self.exchange.place
        image = place.put("next", None, **attributes)
        send(self.exchange, image, NEXT, self.base, {HEADER: binding})
        assert place.data(image) == NEXT
        return place.show(image)


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    folder = tmp_path_factory.mktemp("target")
    key = SigningKey.create(folder / "key.pem")
    with Region(folder, settings={"trusted_regions": {"RegionOne": key.public}}) as server:
        place = Place(server.url)
        base = place.put("base", BASE), BASE
        said, other = (facts(place, place.put("true", data)) for data in (NEXT, OTHER))
        yield Target(server, Exchange(place), base, key, said, other)


def test_what_all_others_are_held_against(target: Target) -> None:
    assert target.shown(signed(target.key, target.said))["checksum"] == LIE


def unsigned(target: Target) -> str:
    header = {"alg": "none", "kid": target.key.public, "typ": "meltemi-binding"}
    parts = (json.dumps(one).encode() for one in (header, dict(target.said)))
    return ".".join(urlsafe_b64encode(one).rstrip(b"=").decode() for one in parts) + "."


def altered(target: Target) -> str:
    """Take the signature of what is said of other data."""
    header, payload, _ = signed(target.key, target.said).split(".")
    return f"{header}.{payload}.{signed(target.key, target.other).split('.')[2]}"


def forged(target: Target) -> str:
    """Sign with a key of one's own, in the name of the one that is trusted."""
    other = SigningKey.create(target.server.folder / "forged.pem")
    text = signed(other, target.said)
    other.public = target.key.public
    renamed = signed(other, target.said)
    assert text.split(".")[1] == renamed.split(".")[1]
    return renamed


def strange(target: Target) -> str:
    return signed(SigningKey.create(target.server.folder / "strange.pem"), target.said)


FORGERIES: dict[str, Callable[[Target], str]] = {
    "unsigned": unsigned,
    "altered": altered,
    "forged": forged,
    "of a key that nobody trusts": strange,
    "of another kind": lambda target: signed(target.key, target.said, "meltemi-bundle"),
    "not a binding": lambda _: "a.b.c",
    "nothing": lambda _: "",
    "too much": lambda target: signed(target.key, target.said) + "A" * 4000,
    "no JSON": lambda target: target.key.sign("meltemi-binding", b"\xff{"),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_what_is_not_signed_by_a_key_that_is_trusted(target: Target, name: str) -> None:
    assert target.shown(FORGERIES[name](target))["checksum"] == md5(NEXT)


OTHERWISE: dict[str, Mapping[str, Any]] = {
    "the root of a chunk": {"manifest": chunk_id(NEXT).hex()},
    "the same hash, weakly tagged": {"manifest": "04" + "0" * 64},
    "size": {"size": len(NEXT) - 1},
    "cut": {"cut": "fixed-64k"},
    "disk_format": {"disk_format": "qcow2"},
    "container_format": {"container_format": "ovf"},
    "a weaker hash": {"os_hash_algo": "md5", "os_hash_value": LIE},
    "no hash": {"os_hash_value": None},
    "format": {"format": 2},
    "more than there is to say": {"owner": "everybody"},
}


@pytest.mark.parametrize("name", OTHERWISE)
def test_what_is_said_of_something_else(target: Target, name: str) -> None:
    said = {**target.said, **OTHERWISE[name]}
    assert target.shown(signed(target.key, said))["checksum"] == md5(NEXT)


def test_a_binding_of_another_image(target: Target) -> None:
    """With the size of this one, in case that somebody signs what was never looked at."""
    assert target.shown(signed(target.key, target.other))["checksum"] == md5(NEXT)
    replayed = {**target.other, "size": len(NEXT)}
    assert target.shown(signed(target.key, replayed))["checksum"] == md5(NEXT)


def test_metadata_that_was_never_inspected(target: Target) -> None:
    """Data that is no qcow2 does not become one by a binding that says so of it as raw."""
    place = target.exchange.place
    image = place.put("next", None, disk_format="qcow2")
    binding = {HEADER: signed(target.key, target.said)}
    with pytest.raises(RefusedError, match="415"):
        send(target.exchange, image, NEXT, target.base, binding)
    assert place.show(image)["status"] == "queued"


def test_an_image_that_may_not_be_read_is_no_base(target: Target) -> None:
    """A binding is no right to data: whose base is gone, or never was, gets nothing."""
    place = target.exchange.place
    gone = place.put("gone", BASE)
    image = place.put("next", None)
    body = prepare(target.exchange, image, NEXT, (gone, BASE))
    place.delete(gone)
    with pytest.raises(RefusedError, match="404"):
        target.exchange.put(image, body, **{HEADER: signed(target.key, target.said)})
    assert place.show(image)["status"] == "queued"


def test_pieces_of_another_projects_scope(tmp_path: Path, target: Target) -> None:
    """Data that is kept apart consists of other chunks, and so has another root."""
    settings = {"dedup_scope": "project"}
    with Region(tmp_path / "scoped", settings=settings) as scoped:
        place = Place(scoped.url)
        said = facts(place, place.put("next", NEXT))
    assert said["manifest"] != target.said["manifest"]
    assert target.shown(signed(target.key, said))["checksum"] == md5(NEXT)


def test_nothing_is_left_of_what_was_not_believed(target: Target) -> None:
    store = target.server.folder / "data" / "store"
    images = target.exchange.place.images()
    contents = sum(image["status"] == "active" for image in images)
    waiting = sum(len(target.exchange.parts(i["id"])) for i in images if i["status"] == "queued")
    eventually(lambda: len(list((store / "heads").iterdir())) == contents + waiting)
    for verb in ("gc", "check", "scrub"):
        succeed("store", verb, store)


def test_a_chunk_that_is_damaged_at_rest(tmp_path: Path) -> None:
    """Known to be, it is never relied on; unknown, it is never given; healed, all is well."""
    key = SigningKey.create(tmp_path / "key.pem")
    with Region(tmp_path, settings={"trusted_regions": {"RegionOne": key.public}}) as server:
        exchange = Exchange(place := Place(server.url))
        store = server.folder / "data" / "store"
        said = facts(place, honest := place.put("true", NEXT))
        place.delete(honest)
        base = place.put("base", BASE), BASE
        for pack in (store / "packs").glob("*/*"):
            data = bytearray(pack.read_bytes())
            data[len(data) // 8] ^= 1
            pack.write_bytes(data)
        binding = {HEADER: signed(key, said)}
        trusted, refused = (place.put("next", None) for _ in range(2))
        send(exchange, trusted, NEXT, base, binding)
        with pytest.raises((RefusedError, HTTPException, ConnectionError)):
            place.data(trusted)
        meltemi("store", "scrub", store, code=9)
        with pytest.raises(RefusedError, match="500"):
            send(exchange, refused, NEXT, base, binding)
        assert place.show(refused)["status"] == "queued"
        place.put("the same, whole", NEXT)
        assert place.data(trusted) == NEXT
        send(exchange, refused, NEXT, base, binding)
        assert place.data(refused) == NEXT
        assert issued(place, refused) == binding[HEADER]
