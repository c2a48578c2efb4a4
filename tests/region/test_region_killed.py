"""Servers and workers that are killed at work: nothing acknowledged is lost, nothing is stuck."""

import os
import signal
import time
from random import Random

from lab import Region
from tests.support.glance import Place, RefusedError, some_data
from tests.support.ledger import Crowd, Ledger
from tests.support.uploads import Upload
from tests.support.waiting import eventually

DATA = some_data(7, 3 * 2**20)


def test_a_worker_killed_while_an_image_is_filled(region: Region) -> None:
    place = Place(region.url)
    kept = place.put("kept", DATA)
    queued = place.put("queued", None)
    with Upload(place, queued, len(DATA)) as upload:
        upload.send(DATA[: 2**20])
        place.wait_for(queued, "saving")
        for worker in region.workers:
            os.kill(worker, signal.SIGKILL)
        assert upload.status() is None
    eventually(lambda: place.show(queued)["status"] == "queued")
    assert place.data(kept) == DATA
    place.upload(queued, DATA)
    assert place.data(queued) == DATA


def test_a_server_killed_while_images_are_filled(region: Region) -> None:
    place = Place(region.url)
    kept = place.put("kept", DATA)
    queued = [place.put(f"queued {number}", None) for number in range(3)]
    for done in range(len(queued)):
        with Upload(place, queued[done], len(DATA)) as upload:
            upload.send(DATA[: done * 2**20 + 1])
            place.wait_for(queued[done], "saving")
            region.kill()
        region.start()
        assert place.data(kept) == DATA
    eventually(lambda: {place.show(one)["status"] for one in queued} == {"queued"})
    for one in queued:
        place.upload(one, DATA)
        assert place.data(one) == DATA


def test_servers_and_single_workers_killed_at_any_moment(region: Region) -> None:
    place, ledger, chance = Place(region.url), Ledger(), Random(5)
    with Crowd(ledger, [place] * 4) as crowd:
        for turn in range(8):
            crowd.waits_for(1, "upload")
            time.sleep(chance.uniform(0, 0.3))
            if turn % 2:
                region.kill()
                region.start()
            else:
                region.kill_a_worker(chance.randrange(2))
        crowd.waits_for(4, "upload")
    assert crowd.refusals.keys() <= {409}
    ledger.see(place)


def test_told_to_stop_it_finishes_what_is_in_flight(region: Region) -> None:
    place = Place(region.url)
    queued = place.put("queued", None)
    with Upload(place, queued, len(DATA)) as upload:
        upload.send(DATA[:-1])
        place.wait_for(queued, "saving")
        region.ask_to_stop()
        eventually(lambda: not _answers(place))
        upload.send(DATA[-1:])
        assert upload.status() == 204
    eventually(lambda: not region.running)
    region.start()
    assert place.data(queued) == DATA


def _answers(place: Place) -> bool:
    try:
        place.images()
    except (OSError, RefusedError):
        return False
    return True
