"""Keystone that is away for a while: who is known goes on, others are told to come again."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from lab import Keystone, Region
from tests.support.glance import Place, RefusedError, some_data
from tests.support.uploads import Upload
from tests.support.waiting import eventually

pytestmark = pytest.mark.services

DATA = some_data(91, 5 * 2**20)


@pytest.fixture
def keystone(tmp_path: Path) -> Iterator[Keystone]:
    with Keystone(tmp_path / "keystone") as server:
        server.user("nausicaa", server.password, "scheria", ["member"])
        yield server


def region(folder: Path, keystone: Keystone, **more: str) -> Region:
    """Give a region with one worker: each remembers by itself whose a token is."""
    auth = keystone.login()
    chosen: Mapping[str, Any] = {"keystone": {"auth": auth, **more}}
    return Region(folder / "region", settings=chosen)


def is_refused(place: Place, status: int) -> bool:
    """Say whether somebody is refused with a status."""
    try:
        place.images()
    except RefusedError as told:
        return told.status == status
    return False


@pytest.mark.parametrize("how", ["stopped", "killed"])
def test_who_is_known_goes_on(how: str, tmp_path: Path, keystone: Keystone) -> None:
    def token() -> str:
        return keystone.token("nausicaa", keystone.password, "scheria")

    with region(tmp_path, keystone) as server:
        place = Place(server.url, token=token())
        unknown = place.seen_by(token())
        kept, queued = place.put("kept", DATA), place.put("queued", None)
        with Upload(place, queued, len(DATA)) as upload:
            upload.send(DATA[:-1])
            place.wait_for(queued, "saving")
            keystone.stop() if how == "stopped" else keystone.kill()
            upload.send(DATA[-1:])
            assert upload.status() == 204
        for stranger in (unknown, place.seen_by("gAAAAABnonsense")):
            assert is_refused(stranger, 503)
        assert is_refused(place.seen_by(""), 401)
        assert place.data(kept) == place.data(queued) == DATA
        made = place.put("made meanwhile", DATA)
        place.change(made, name="changed meanwhile")
        keystone.start()
        assert unknown.show(made)["name"] == "changed meanwhile"
        assert is_refused(place.seen_by("gAAAAABnonsense"), 401)
        place.delete(made)


def test_who_was_known_is_not_for_ever(tmp_path: Path, keystone: Keystone) -> None:
    known = keystone.token("nausicaa", keystone.password, "scheria")
    with region(tmp_path, keystone, token_cache_time="1s") as server:
        place = Place(server.url, token=known)
        image = place.put("image", DATA)
        keystone.kill()
        eventually(lambda: is_refused(place, 503))
        keystone.start()
        assert place.data(image) == DATA
