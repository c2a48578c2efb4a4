"""Meltemi of before beside this one, on one database and one store, during an upgrade."""

import subprocess
from pathlib import Path
from uuid import uuid4

import pytest

from lab import Postgres, Region
from lab.former import former
from meltemi.catalogue.migrations import current
from tests.support.cli import succeed
from tests.support.glance import Place, some_data
from tests.support.ledger import Crowd, Ledger
from tests.support.uploads import Upload

FORMERS = {
    "0003": "2ba7c849e83dbb02102a4ef765417a2fc4eef4c1",
    "0006": "cc37e528578bb00505d97a5b9b1bfbffd1d20636",
}
"""By the newest revision of the tables that it knew, a commit from before the next one.

Whoever adds a revision puts the commit before that here, in place of the last one: the newest and
the oldest are enough. A release drops what is older than the release before it. Before 0003, the
index of the chunk store was another.
"""
DATA = some_data(81, 5 * 2**20)


@pytest.fixture(params=FORMERS)
def python(request: pytest.FixtureRequest) -> Path:
    """Give the Python of an earlier Meltemi."""
    return former(FORMERS[request.param])


@pytest.fixture
def settings(tmp_path: Path, postgres: Postgres) -> dict[str, object]:
    """Give the settings that both have."""
    name = f"former-{uuid4().hex}"
    postgres.create_database(name)
    url = f"{postgres.url}/{name}"
    (tmp_path / "store").mkdir()
    return {"workers": 2, "database": url, "index": url, "store": str(tmp_path / "store")}


def test_both_serve_during_an_upgrade(
    request: pytest.FixtureRequest, python: Path, settings: dict[str, object], tmp_path: Path
) -> None:
    url, ledger = str(settings["database"]), Ledger()
    upgrade = ("db", "upgrade", "--database", url)
    subprocess.run([python, "-m", "meltemi", *upgrade], check=True, capture_output=True, cwd="/")
    assert current(url) == request.node.callspec.params["python"]
    with Region(tmp_path / "old", name="old", settings=settings, python=python) as old:
        before = Place(old.url)
        with Crowd(ledger, [before, before]) as crowd:
            crowd.waits_for(2, "upload")
            succeed(*upgrade)
            crowd.waits_for(2, "upload")
        with Region(tmp_path / "new", name="new", settings=settings) as new:
            after = Place(new.url)
            with Crowd(ledger, [before, before, after, after]) as crowd:
                crowd.waits_for(6, "upload")
                old.stop()
                old.start()  # as a host does that is rebooted before its turn has come
                crowd.waits_for(6, "upload")
            assert crowd.refusals.keys() <= {409}
            ledger.see(before, after)
            for here, there in ((before, after), (after, before)):
                lives_at_both(here, there)
            is_given_back(old, after)
            ledger.see(after)


def lives_at_both(here: Place, there: Place) -> None:
    """See that what is made and changed at one is so at the other."""
    image = here.put("shared", DATA, visibility="shared", tags=["t"], os_distro="debian")
    here.share(image, "project")
    assert there.members(image) == {"project": "pending"}
    there.change(image, remove=("os_distro",), min_ram=64)
    there.act(image, "deactivate")
    shown = here.show(image)
    assert (shown["status"], shown["min_ram"], shown["tags"]) == ("deactivated", 64, ["t"])
    assert "os_distro" not in shown
    assert there.data(image) == DATA
    clone = there.call("POST", f"/v2/images/{image}/actions/clone", {"name": "clone"})["id"]
    here.delete(image)
    assert here.data(clone) == DATA
    here.delete(clone)
    assert there.find("clone") == []


def is_given_back(dying: Region, living: Place) -> None:
    """See that what a host of before was at when it died is given back by one of now."""
    image = living.put("queued", None)
    with Upload(Place(dying.url), image, len(DATA)) as upload:
        upload.send(DATA[:-1])
        living.wait_for(image, "saving")
        dying.kill()
    living.wait_for(image, "queued")
    living.delete(image)
