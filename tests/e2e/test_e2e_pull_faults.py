"""Faults while a target fetches images itself: it goes on with what is missing, or begins anew."""

from collections.abc import Callable
from itertools import count
from threading import Event

import pytest

from lab import Region
from tests.e2e.islands import BATCH, Islands, words
from tests.support.builds import KIB, MIB, disk
from tests.support.cli import PATIENCE, User
from tests.support.glance import some_data
from tests.support.proxy import FILE, Fault

pytestmark = [pytest.mark.services, pytest.mark.timeout(900)]

SIZE = 12 * MIB
"""Of data that does not compress: its bytes can be counted."""

_numbers = count(300)


def large() -> bytes:
    """Give data that no image has yet, whose manifest has more than a root."""
    first = next(_numbers)
    return disk([*range(first, 600), *range(300, first)], 80)


def see_exact(user: User, islands: Islands, image: str, data: bytes, name: str) -> None:
    """See the image there, byte for byte, and nothing left to do."""
    assert islands.paros.show(image)["status"] == "active"
    assert islands.paros.data(image) == data
    islands.ways[0].fault()
    assert user.meltemi(*words(name)).idle


def restarting(server: Region) -> Callable[[], None]:
    def restart() -> None:
        server.kill()
        server.start()

    return restart


def test_a_source_that_is_killed_and_started_again(user: User, islands: Islands) -> None:
    data = some_data(91, SIZE)
    image = islands.naxos.put("source killed", data)
    islands.small_batches(
        Fault("POST", BATCH, times=4),
        Fault("POST", BATCH, times=1, before=restarting(islands.servers[0])),
    )
    copy = words("source killed", "--pull")
    if user.meltemi(*copy, code=None).code:
        islands.ways[0].fault()
        user.meltemi(*copy)
    assert islands.answered < 3 * SIZE // 2
    see_exact(user, islands, image, data, "source killed")


def test_a_target_that_is_killed_and_started_again(user: User, islands: Islands) -> None:
    """Nothing that had come is fetched again, and nothing goes through here."""
    data = some_data(92, SIZE)
    image = islands.naxos.put("target killed", data)
    islands.small_batches(
        Fault("POST", BATCH, times=4),
        Fault("POST", BATCH, times=1, before=restarting(islands.servers[1])),
    )
    copy = words("target killed", "--pull")
    if user.meltemi(*copy, code=None).code:
        islands.paros.wait_for(image, "queued")
        user.meltemi(*copy)
    assert islands.answered < 3 * SIZE // 2
    assert islands.sent < 64 * KIB
    see_exact(user, islands, image, data, "target killed")


def test_a_network_that_cuts_every_connection(user: User, islands: Islands) -> None:
    """What is asked for becomes small enough to get through."""
    data = large()
    image = islands.naxos.put("cut", data)
    islands.ways[0].fault(*(Fault(method, "", cut_answer=MIB) for method in ("GET", "POST")))
    [row] = user.rows(*words("cut", "--pull"))
    assert (row["Result"], "through here" in row["Detail"]) == ("done", False)
    assert islands.sent < 64 * KIB
    assert not islands.ways[0].of("GET", FILE)
    see_exact(user, islands, image, data, "cut")


def test_a_source_image_that_is_deleted_meanwhile(user: User, islands: Islands) -> None:
    data = some_data(93, SIZE)
    image = islands.naxos.put("deleted", data)
    delete = Fault("POST", BATCH, times=1, before=lambda: islands.naxos.delete(image))
    islands.small_batches(Fault("POST", BATCH, times=4), delete)
    [row] = user.rows(*words("deleted", "--pull"), code=3)
    assert row["Result"] == "failed"
    assert "404" in row["Detail"]
    there = islands.paros.show(image)
    assert (there["status"], there["visibility"]) == ("queued", "private")


@pytest.mark.parametrize("times", [1, 10**6], ids=["once", "always"])
@pytest.mark.parametrize(("what", "place"), [("batch", 50_000), ("segments", 5000)])
def test_bytes_that_are_altered_on_their_way(
    user: User, islands: Islands, what: str, place: int, times: int
) -> None:
    """Nothing false becomes active; where it goes on, the whole is sent, which is verified too."""
    name, data = f"altered {what} {times}", large()
    image = islands.naxos.put(name, data)
    fault = Fault("POST", f"/{what}$", times=times, alter=place)
    islands.ways[0].fault(fault)
    done = user.meltemi(*words(name, "--pull"), code=None)
    assert fault.times < times
    if done.code:
        assert islands.paros.show(image)["status"] != "active"
        islands.ways[0].fault()
        user.meltemi(*words(name, "--pull"))
    see_exact(user, islands, image, data, name)


def test_a_replicator_that_is_killed(user: User, islands: Islands) -> None:
    """The import goes on; what it took over from the source is set right by the next run."""
    held, released = Event(), Event()

    def hold() -> None:
        held.set()
        released.wait(PATIENCE)

    data = some_data(94, SIZE)
    properties = {"os_distro": "debian", "hw_disk_bus": "scsi"}
    image = islands.naxos.put("left alone", data, visibility="public", **properties)
    islands.small_batches(Fault("POST", BATCH, times=2), Fault("POST", BATCH, times=1, before=hold))
    more = ("--dontreplicate", "hw_disk_bus", "--map-value", "os_distro:debian=other")
    copy = words("left alone", "--pull", *more)
    with user.running(*copy) as run:
        assert held.wait(PATIENCE)
        run.process.kill()
    user.meltemi(*copy, code=1)
    assert islands.paros.show(image)["status"] == "importing"
    released.set()
    islands.paros.wait_for(image, "active")
    there = islands.paros.show(image)
    assert (there["visibility"], there["os_distro"]) == ("private", "debian")
    assert len(islands.ways[1].of("POST", f"{image}/import$")) == 1

    user.meltemi(*copy)
    there = islands.paros.show(image)
    assert (there["visibility"], there["os_distro"]) == ("public", "other")
    assert "hw_disk_bus" not in there
    assert islands.sent < 64 * KIB
    assert islands.paros.data(image) == data
    assert user.meltemi(*copy).idle
