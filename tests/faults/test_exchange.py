"""Faults while an image is exchanged by pieces: it goes on with what is missing, or begins anew.

Batches are small, as the target wishes, so that an image has many.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lab import Region
from tests.support.builds import GOLDEN, KIB, MIB, disk
from tests.support.cli import Done, meltemi, running, succeed
from tests.support.glance import Place
from tests.support.proxy import FILE, Fault, Proxy

BATCH = "/batch$"
PART = r"/parts/\d+$"

pytestmark = pytest.mark.timeout(900)


class Pair:
    """Two regions, each behind a proxy."""

    def __init__(self, regions: tuple[Region, Region], proxies: tuple[Proxy, Proxy]) -> None:
        self.regions = regions
        self.athens, self.crete = proxies
        facts = self.target.call("GET", "/v2/info/exchange")["exchange"]
        self._told = json.dumps({"exchange": {**facts, "largest_batch": MIB}})
        self.fault()

    @property
    def source(self) -> Place:
        return Place(self.regions[0].url)

    @property
    def target(self) -> Place:
        return Place(self.regions[1].url)

    def fault(self, *faults: Fault) -> None:
        """Let things go wrong, either end's requests alike, from now on."""
        small = Fault("GET", "/info/exchange$", answer=200, body=self._told)
        self.athens.fault(*faults)
        self.crete.fault(small, *faults)

    @property
    def words(self) -> tuple[object, ...]:
        return "livecopy", self.athens, self.crete

    def copy(self, code: int | None = 0) -> Done:
        return meltemi(*self.words, "-f", "json", code=code)

    def sent(self) -> int:
        """Give the bytes of parts that were sent so far."""
        return sum(request.sent for request in self.crete.of("PUT", PART))

    def given(self) -> int:
        """Give the bytes of batches that were given so far."""
        return sum(request.answered for request in self.athens.of("POST", BATCH))

    def see_exact(self, image: str, data: bytes = GOLDEN) -> None:
        """See the image there, byte for byte, and nothing left to do."""
        assert self.target.show(image)["status"] == "active"
        assert self.target.data(image) == data
        self.fault()
        assert succeed(*self.words).idle

    def see_nothing_false(self, image: str) -> None:
        assert not self.target.has(image) or self.target.show(image)["status"] != "active"


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    with (
        Region(tmp_path / "athens", name="athens") as one,
        Region(tmp_path / "crete", name="crete") as two,
        Proxy(one.url) as athens,
        Proxy(two.url) as crete,
    ):
        yield Pair((one, two), (athens, crete))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> int:
    """Give how many bytes of batches it takes to send all of it."""
    folder = tmp_path_factory.mktemp("whole")
    with (
        Region(folder / "one", name="one") as one,
        Region(folder / "two", name="two") as two,
        Proxy(one.url) as athens,
        Proxy(two.url) as crete,
    ):
        pair = Pair((one, two), (athens, crete))
        image = pair.source.put("golden", GOLDEN)
        pair.copy()
        pair.see_exact(image)
        assert not athens.of("GET", FILE)
        return pair.given()


def restarting(server: Region) -> Callable[[], None]:
    def restart() -> None:
        server.kill()
        server.start()

    return restart


def test_a_source_that_is_killed_and_started_again(pair: Pair, whole: int) -> None:
    image = pair.source.put("golden", GOLDEN)
    pair.fault(
        Fault("POST", BATCH, times=2),
        Fault("POST", BATCH, times=1, at=64 * KIB, before=restarting(pair.regions[0])),
    )
    if pair.copy(code=None).code:
        pair.fault()
        pair.copy()
    pair.see_exact(image)
    assert pair.given() < 2 * whole


def test_a_target_that_is_killed_and_started_again(pair: Pair, whole: int) -> None:
    image = pair.source.put("golden", GOLDEN)
    pair.fault(
        Fault("PUT", PART, times=2),
        Fault("PUT", PART, times=1, at=64 * KIB, before=restarting(pair.regions[1])),
    )
    if pair.copy(code=None).code:
        pair.fault()
        pair.copy()
    pair.see_exact(image)
    assert pair.sent() < 2 * whole


def test_a_target_that_is_killed_while_it_puts_an_image_together(pair: Pair, whole: int) -> None:
    """What had arrived is not sent again."""
    image = pair.source.put("golden", GOLDEN)
    pair.fault(Fault("PUT", FILE, times=1, at=500, before=restarting(pair.regions[1])))
    if pair.copy(code=None).code:
        pair.fault()
        pair.copy()
    pair.see_exact(image)
    assert pair.sent() < 2 * whole


@pytest.mark.parametrize("side", ["source", "target"])
def test_a_network_that_cuts_every_connection(pair: Pair, whole: int, side: str) -> None:
    """Batches become small enough to get through, and little is sent twice."""
    image = pair.source.put("golden", GOLDEN)
    limit = 256 * KIB
    if side == "source":
        pair.fault(Fault("POST", BATCH, cut_answer=limit))
    else:
        pair.fault(Fault("PUT", PART, cut_body=limit))
    pair.copy()
    pair.see_exact(image)
    assert not pair.athens.of("GET", FILE)
    assert pair.given() < 2 * whole
    assert pair.sent() < 2 * whole


def test_a_replicator_that_is_killed(pair: Pair, whole: int) -> None:
    image = pair.source.put("golden", GOLDEN)
    pair.fault(Fault("PUT", "/parts/5$", hang=True))
    with running(*pair.words) as run:
        pair.crete.wait_for("PUT", "/parts/5$", hanging=True)
        pair.crete.wait_for("PUT", "/parts/3$", bytes_moved=100 * KIB)
        run.process.kill()
    pair.see_nothing_false(image)
    pair.fault()
    before = pair.sent()
    assert before > 0
    [row] = pair.copy().rows
    assert row["Wire"] < whole
    pair.see_exact(image)
    assert pair.sent() < whole * 3 // 2


@pytest.mark.parametrize("times", [1, 10**6], ids=["once", "always"])
@pytest.mark.parametrize(
    "altered",
    [
        Fault("POST", BATCH, alter=50_000),
        Fault("POST", "/segments$", alter=5000),
        Fault("GET", "/manifest$", alter=40),
    ],
    ids=["batch", "segments", "manifest"],
)
def test_bytes_that_are_altered_on_their_way(pair: Pair, altered: Fault, times: int) -> None:
    """Nothing false becomes active; where it goes on, the whole is sent, which is verified too."""
    data = disk(range(300, 600), 80)  # whose manifest has more than a root
    image = pair.source.put("golden", data)
    fault = replace(altered, times=times)
    pair.fault(fault)
    done = pair.copy(code=None)
    assert fault.times < times
    if done.code:
        pair.see_nothing_false(image)
        pair.fault()
        pair.copy()
    pair.see_exact(image, data)


def test_a_source_image_that_is_deleted_meanwhile(pair: Pair) -> None:
    image = pair.source.put("golden", GOLDEN)
    deleted = Fault("POST", BATCH, times=1, at=64 * KIB, before=lambda: pair.source.delete(image))
    pair.fault(Fault("POST", BATCH, times=2), deleted)
    done = pair.copy(code=3)
    assert done.rows[0]["Result"] == "failed"
    pair.see_nothing_false(image)


def test_a_base_that_is_deleted_meanwhile(pair: Pair) -> None:
    base = pair.source.put("golden 1", GOLDEN)
    pair.copy()
    data = disk([*range(30), *range(100, 130)], 24)
    image = pair.source.put("golden 2", data)
    pair.fault(Fault("POST", BATCH, times=1, before=lambda: pair.target.delete(base)))
    [row] = pair.copy().rows
    assert row["Result"] == "done"
    assert pair.target.data(image) == data


def test_two_replicators_at_once(pair: Pair) -> None:
    image = pair.source.put("golden", GOLDEN)
    with running(*pair.words) as one, running(*pair.words) as two:
        codes = sorted([one.wait().code, two.wait().code])
    assert codes[0] == 0
    assert codes[1] in (0, 1)
    pair.see_exact(image)


def test_a_part_that_is_refused_for_good(pair: Pair) -> None:
    image = pair.source.put("golden", GOLDEN)
    pair.fault(Fault("PUT", PART, answer=403))
    [row] = pair.copy().rows
    assert row["Result"] == "done"
    assert row["Detail"].startswith("as a whole: ")
    pair.see_exact(image)
