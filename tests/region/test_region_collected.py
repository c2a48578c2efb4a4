"""Garbage collected beneath a region at work: `meltemi store gc`, and what is killed meanwhile."""

import sqlite3
import time
from contextlib import closing, suppress
from http.client import HTTPConnection, HTTPException
from random import Random

from lab import Region
from tests.support.cli import running, succeed
from tests.support.glance import Place, some_data
from tests.support.ledger import Crowd, Ledger

DATA = some_data(95, 24 * 2**20)


def test_killed_while_garbage_is_collected(region: Region) -> None:
    """The collector itself, single workers, the server; several times, at any moment."""
    place, ledger, chance = Place(region.url), Ledger(), Random(3)
    store = region.folder / "data" / "store"
    with Crowd(ledger, [place] * 4) as crowd:
        for dies in ("collector", "server", "worker") * 2:
            crowd.waits_for(3, "upload")
            with running("store", "gc", store) as collector:
                time.sleep(chance.uniform(0.3, 2))
                if dies == "server":
                    region.kill()
                    region.start()
                elif dies == "worker":
                    region.kill_a_worker(chance.randrange(2))
                if dies != "collector":
                    assert collector.wait().code == 0
            if dies == "collector":
                _let_time_pass(region)
                succeed("store", "gc", store)  # it goes on where the other one was
        crowd.waits_for(4, "upload")
    assert crowd.refusals.keys() <= {409, 503}
    ledger.see(place)
    succeed("store", "gc", store)
    succeed("store", "check", store)
    succeed("store", "scrub", store)
    ledger.see(place)


def test_an_image_that_is_read_while_it_is_deleted_and_collected(region: Region) -> None:
    place = Place(region.url)
    image, kept = place.put("image", DATA), place.put("kept", DATA[: 2**20])
    with closing(HTTPConnection("127.0.0.1", place.port, timeout=120)) as slow:
        slow.request("GET", f"/v2/images/{image}/file")
        answer = slow.getresponse()
        first = answer.read(1000)
        place.delete(image)
        for _ in range(2):
            succeed("store", "gc", region.folder / "data" / "store")
        # What is gone is gone; what comes is right, and never passes for the whole of it.
        with suppress(HTTPException, OSError):
            assert first + answer.read() == DATA
    assert place.data(kept) == DATA[: 2**20]


def _let_time_pass(region: Region) -> None:
    """Let sessions seem silent for long, so that the next collector looks who is alive."""
    with closing(sqlite3.connect(region.folder / "data/store/index.sqlite", timeout=120)) as index:
        index.execute("UPDATE sessions SET seen = 0")
        index.commit()
