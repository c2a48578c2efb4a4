"""A region in which projects do not share data."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import Region
from tests.support.cli import PROGRAM
from tests.support.glance import Json, Place, some_data
from tests.support.waiting import eventually

DATA = some_data(1, 3 * 2**20 + 5) + bytes(2**20) + some_data(2, 2**20)
DISTINCT = 4 * 2**20


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Region]:
    settings = {"dedup_scope": "project", "hot_images": 0}
    with Region(tmp_path / "region", settings=settings) as made:
        yield made


def stored(server: Region) -> int:
    packs = server.folder / "data" / "store" / "packs"
    return sum(path.stat().st_size for path in packs.rglob("*") if path.is_file())


def grown(server: Region, before: int) -> int:
    """Give how often the data has been stored since."""
    return round((stored(server) - before) / DISTINCT)


def test_each_project_stores_data_once(server: Region) -> None:
    place = Place(server.url)
    images: dict[str, str | None] = {}
    for owner, times in (("one", 1), ("two", 1), ("one", 0), ("two", 0), (None, 1), (None, 0)):
        before = stored(server)
        images[place.put(None, DATA, **({"owner": owner} if owner else {}))] = owner
        assert grown(server, before) == times
    for image, owner in images.items():
        assert place.data(image) == DATA
        shown = place.show(image)
        assert (shown["size"], shown["owner"]) == (len(DATA), owner)
    assert len({place.show(image)["os_hash_value"] for image in images}) == 1


def test_an_import_belongs_to_the_owner(server: Region) -> None:
    place = Place(server.url)
    place.put(None, DATA, owner="one")
    for owner, times in (("one", 0), ("two", 1)):
        before = stored(server)
        image = place.put(None, None, owner=owner)
        path = f"/v2/images/{image}"
        place.request("PUT", f"{path}/stage", DATA, "application/octet-stream")
        place.call("POST", f"{path}/import", {"method": {"name": "glance-direct"}})
        place.wait_for(image, "active")
        assert grown(server, before) == times
        assert place.data(image) == DATA


def test_a_clone_shares_with_whose_data_it_has(server: Region) -> None:
    place = Place(server.url)
    image = place.put(None, DATA, owner="one")
    before = stored(server)
    body = {"owner": "two", "name": "clone"}
    clone: Json = place.call("POST", f"/v2/images/{image}/actions/clone", body)
    assert (clone["owner"], stored(server)) == ("two", before)
    place.delete(image)
    assert place.data(clone["id"]) == DATA
    place.put(None, DATA, owner="two")
    assert grown(server, before) == 1, "what it did not upload, a project does not find"


def test_what_is_deleted_is_collected(server: Region) -> None:
    place = Place(server.url)
    images = {owner: place.put(None, DATA, owner=owner) for owner in ("one", "two")}
    place.delete(images["one"])
    store = str(server.folder / "data" / "store")

    def collected() -> bool:
        subprocess.run([*PROGRAM, "store", "gc", store], check=True, capture_output=True)
        return stored(server) < 1.2 * DISTINCT

    eventually(collected)
    for verb in ("check", "scrub"):
        subprocess.run([*PROGRAM, "store", verb, store], check=True, capture_output=True)
    assert place.data(images["two"]) == DATA
    before = stored(server)
    place.put(None, DATA, owner="one")
    assert grown(server, before) == 1
