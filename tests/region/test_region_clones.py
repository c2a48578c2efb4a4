"""Clones: what whoever makes one may not set, and how much it may have."""

from pathlib import Path

import pytest

from lab import Region
from tests.support.glance import Json, Place, RefusedError, some_data

LOCKED = """\
[^locked_]
create = !
read = @
update = !
delete = !
[^secret_]
create = @
read = !
update = @
delete = @
[.*]
create = @
read = @
update = @
delete = @
"""
DATA = some_data(3, 2**16)


def clone(place: Place, image: str, **body: object) -> Json:
    made: Json = place.call("POST", f"/v2/images/{image}/actions/clone", body)
    return made


def test_what_is_protected_is_not_set_by_a_clone(tmp_path: Path) -> None:
    file = tmp_path / "protections.conf"
    file.write_text(LOCKED)
    with Region(tmp_path / "region", settings={"property_protection_file": str(file)}) as server:
        place = Place(server.url)
        image = place.put("image", DATA, free="1")
        with pytest.raises(RefusedError, match=r"403(?s:.*)locked_by"):
            clone(place, image, locked_by="me")
        assert clone(place, image, free="2")["free"] == "2"


def test_what_may_not_be_read_stays_on_a_clone(tmp_path: Path) -> None:
    file = tmp_path / "protections.conf"
    file.write_text(LOCKED)
    settings = {"property_protection_file": str(file)}
    with Region(tmp_path / "region", settings=settings) as server:
        place = Place(server.url)
        image = place.put("image", DATA, secret_key="1")
        for guess in ("1", "2"):
            with pytest.raises(RefusedError, match=r"403(?s:.*)secret_key"):
                clone(place, image, secret_key=guess)
        cloned = clone(place, image)["id"]
        assert "secret_key" not in place.show(cloned)
        file.write_text(LOCKED.replace("read = !", "read = @"))
        server.stop()
        server.start()
        assert place.show(cloned)["secret_key"] == "1"


def test_a_clone_has_no_more_than_an_image_may(shared_region: Place) -> None:
    image = shared_region.put("image", DATA, **{f"p{n}": "v" for n in range(128)})
    with pytest.raises(RefusedError, match="413"):
        clone(shared_region, image, more="v")
    with pytest.raises(RefusedError, match="413"):
        clone(shared_region, image, tags=[f"t{n}" for n in range(129)])
    made = clone(shared_region, image, p1="w")
    assert (made["p1"], made["p2"]) == ("w", "v")
    assert shared_region.data(made["id"]) == DATA


def test_a_clone_is_described_by_an_object(shared_region: Place) -> None:
    image = shared_region.put("image", DATA)
    for path in (f"/v2/images/{image}/actions/clone", "/v2/images"):
        with pytest.raises(RefusedError, match="400"):
            shared_region.call("POST", path, [])
