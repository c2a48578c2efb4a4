"""`meltemi image …` with a Glance, which does not exchange pieces: whole, and verified alike."""

import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.builds import BUILD, GOLDEN, MIB
from tests.support.glance import Service
from tests.support.proxy import FILE, Fault, Proxy
from tests.support.waiting import eventually
from tests.workstation.conftest import Workstation
from tests.workstation.test_image_push import REGISTERING, told, unseen, write_to


@pytest.fixture
def beside(target: Service, tmp_path: Path) -> Iterator[Workstation]:
    """Give a workstation beside a Glance."""
    with Proxy(target.url) as proxy:
        yield Workstation(tmp_path, proxy)


def whole(station: Workstation, *words: object) -> list[str]:
    """Run a command; give what it says of why data goes as a whole."""
    done = station.image(*words)
    return [line for line in done.lines if "as a whole" in line]


def test_the_whole_is_sent_and_fetched(beside: Workstation) -> None:
    beside.file("golden.raw", GOLDEN)
    said = whole(beside, "push", "golden.raw", "--name", "golden")
    assert said == [
        f"meltemi: golden.raw is sent as a whole: {beside.proxy} does not exchange pieces"
    ]
    image = beside.place.named("golden")
    assert image["status"] == "active"
    assert "meltemi_push" not in image
    assert beside.place.data(image["id"]) == GOLDEN
    [line] = whole(beside, "pull", image["id"], "pulled.raw", "--seed", "golden.raw")
    assert "does not exchange pieces" in line
    assert (beside.folder / "pulled.raw").read_bytes() == GOLDEN
    assert (beside.folder / "pulled.raw").stat().st_blocks * 512 < 16 * MIB


def test_an_empty_file(beside: Workstation) -> None:
    beside.file("empty", b"")
    image = beside.push("empty", "--name", "empty")["ID"]
    beside.pull(image, "pulled")


def test_a_push_that_was_killed_is_begun_anew_in_the_same_image(beside: Workstation) -> None:
    beside.file("golden.raw", GOLDEN)
    beside.fault(Fault("PUT", FILE, rate=MIB))
    with beside.running("push", "golden.raw", "--name", "golden") as push:
        beside.proxy.wait_for("PUT", FILE, bytes_moved=MIB)
        push.send(signal.SIGKILL)
        push.wait()
    [image] = beside.place.statuses()
    beside.fault()
    assert beside.push("golden.raw", "--name", "golden")["ID"] == image


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=["killed", "ctrl-c"])
def test_a_pull_goes_on_where_it_was(beside: Workstation, number: int) -> None:
    image = beside.place.put("golden", GOLDEN)
    beside.fault(Fault("GET", FILE, cut_answer=5 * MIB, hang=True))
    with beside.running("pull", image, "golden.raw") as pull:
        beside.proxy.wait_for("GET", FILE, hanging=True)
        [draft] = beside.folder.iterdir()
        eventually(lambda: draft.stat().st_size > 3 * MIB)
        pull.send(number)
        pull.wait()
    beside.fault()
    row = beside.pull(image, "golden.raw")
    [request] = beside.proxy.of("GET", FILE)
    assert request.offset > 3 * MIB
    assert row["Wire"] == len(GOLDEN) - request.offset


def test_a_pull_over_a_broken_connection(beside: Workstation) -> None:
    image = beside.place.put("golden", GOLDEN)
    beside.fault(Fault("GET", FILE, times=2, cut_answer=5 * MIB))
    beside.pull(image, "golden.raw")


def test_what_is_altered_makes_no_file(beside: Workstation) -> None:
    image = beside.place.put("golden", GOLDEN)
    beside.file("golden.raw", b"before")
    beside.fault(Fault("GET", FILE, alter=MIB))
    done = beside.image("pull", image, "golden.raw", code=3)
    done.about("meltemi: ", "not the one on record")
    assert [path.name for path in beside.folder.iterdir()] == ["golden.raw"]
    assert (beside.folder / "golden.raw").read_bytes() == b"before"


@pytest.mark.parametrize("change", [write_to, unseen])
def test_a_file_that_changes_meanwhile(beside: Workstation, change: Callable[[Path], None]) -> None:
    path = beside.file("golden.raw", GOLDEN)
    beside.fault(Fault(*REGISTERING, before=lambda: change(path)))
    done = beside.image("push", "golden.raw", "--name", "golden", code=3)
    done.about("meltemi: golden.raw: it was written to while it was pushed")
    assert "active" not in beside.place.statuses().values()


def test_ancestry_cannot_tell_bytes(beside: Workstation) -> None:
    golden = beside.place.put("golden", GOLDEN)
    beside.file("build.raw", BUILD)
    child = beside.push("build.raw", "--name", "child", "--base", golden)["ID"]
    rows = beside.rows("ancestry", child)
    assert [(row["ID"], row["Own"]) for row in rows] == [(child, None), (golden, None)]


def differing(station: Workstation, **facts: str) -> None:
    """Let a region say something else of itself."""
    told = station.place.call("GET", "/v2/info/exchange")["exchange"]
    body = json.dumps({"exchange": {**told, **facts}})
    station.small = (Fault("GET", "/info/exchange$", answer=200, body=body),)
    station.fault()


def test_a_region_that_cuts_otherwise_is_sent_the_whole(station: Workstation) -> None:
    differing(station, cut="other")
    station.file("golden.raw", GOLDEN)
    [line] = whole(station, "push", "golden.raw", "--name", "golden")
    assert "data is cut otherwise" in line
    image = station.place.named("golden")
    assert f"{image['os_hash_algo']}:{image['os_hash_value']}" == told(GOLDEN)
    [line] = whole(station, "pull", image["id"], "pulled.raw")
    assert "data is cut otherwise" in line
    assert (station.folder / "pulled.raw").read_bytes() == GOLDEN
    assert station.moved("GET", FILE) == len(GOLDEN)


def test_a_region_that_could_not_see_that_a_file_changed_is_sent_the_whole(
    station: Workstation,
) -> None:
    differing(station, hash="sha3_512")
    station.file("golden.raw", GOLDEN)
    [line] = whole(station, "push", "golden.raw", "--name", "golden")
    assert "it verifies data by sha3_512" in line
    assert station.place.data(station.place.named("golden")["id"]) == GOLDEN
