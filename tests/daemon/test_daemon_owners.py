"""Owners choose regions, and are told on their images what becomes of them."""

import time
from pathlib import Path
from typing import Any

from sqlalchemy import select

from meltemi.daemon.state.records import Answer, Cause, Request
from meltemi.daemon.state.schema import requests
from meltemi.daemon.state.state import State
from meltemi.daemon.state.usage import Asked
from meltemi.model.placement import Observed
from tests.support.cli import succeed
from tests.support.daemon import Daemon
from tests.support.glance import Service, some_data
from tests.support.services import Fresh
from tests.support.waiting import eventually

EVERYBODY: dict[str, Any] = {"projects": {"*": {}}}


def configuration(
    source: Service, *targets: Service, choose: dict[str, Any] = EVERYBODY, **route: Any
) -> dict[str, Any]:
    """Let owners choose from crete, sparta and delos, which are looked at all the time."""
    places = dict(zip(("crete", "sparta", "delos"), targets, strict=False))
    libraries = {name: {"url": target.url} for name, target in places.items()}
    return {
        "version": 1,
        "libraries": {"athens": {"url": source.url}, **libraries},
        "routes": {
            "chosen": {
                "from": "athens",
                "to": list(places),
                "schedule": "1s",
                "choose": choose,
                **route,
            }
        },
    }


def answers(daemon: Daemon) -> dict[str, Answer]:
    """Give what owners are told, by image."""
    return {one.image: one for one in daemon.ask(lambda state: state.answers.read())}


def says(place: Service, image: str, text: str | None) -> bool:
    """Say whether an image tells its owner this."""
    return bool(place.show(image).get("meltemi_status") == text)


def test_an_owner_chooses_reads_what_became_of_it_and_withdraws(
    source: Service, targets: list[Service], tmp_path: Path
) -> None:
    crete, sparta, _ = targets
    quiet = source.put("quiet", some_data(1))
    image = source.put("mine", some_data(2), owner="p", meltemi_regions="Crete, mars , sparta,,")
    with Daemon(tmp_path, configuration(source, crete, sparta)) as daemon:
        eventually(lambda: says(source, image, "Crete: ready; sparta: ready; mars: unknown region"))
        assert crete.data(image) == sparta.data(image) == some_data(2)
        assert not crete.has(quiet)
        assert "meltemi_regions" not in crete.show(image)
        source.change(image, meltemi_regions="sparta")
        eventually(lambda: not crete.has(image))
        eventually(lambda: says(source, image, "sparta: ready"))
        source.change(image, remove=("meltemi_regions",))
        eventually(lambda: not sparta.has(image))
        eventually(lambda: says(source, image, None))
        eventually(lambda: not answers(daemon))
        assert daemon.placements() == []
    assert "meltemi_status" not in source.show(quiet)


def test_a_replica_that_others_took_away_is_neither_told_of_nor_charged_for(
    source: Service, targets: list[Service], tmp_path: Path
) -> None:
    crete, *_ = targets
    image = source.put("mine", some_data(1), owner="p", meltemi_regions="crete")
    with Daemon(tmp_path, configuration(source, crete, grace="1d")) as daemon:
        eventually(lambda: says(source, image, "crete: ready"))
        source.change(image, remove=("meltemi_regions",))
        eventually(lambda: says(source, image, "crete: to be removed"))
        crete.delete(image)
        eventually(lambda: says(source, image, None))
        eventually(lambda: not answers(daemon))
        assert daemon.placements() == []
        [gone] = [one for one in daemon.changes() if one.observed is Observed.ABSENT]
        hours = (gone.at + 3600 * hour for hour in (1, 2))
        one, two = [daemon.ask(lambda s, at=at: s.usage.read(Asked(), at)) for at in hours]  # type: ignore[misc]  # binds the loop's moment
    assert one == two != []


def test_what_is_written_for_an_owner_starts_nothing(
    source: Service, targets: list[Service], tmp_path: Path
) -> None:
    image = source.put("mine", some_data(1), meltemi_regions="crete")
    with Daemon(tmp_path, configuration(source, targets[0], schedule="1h")) as daemon:
        eventually(lambda: says(source, image, "crete: ready"))
        written = source.show(image)["updated_at"]
        runs = daemon.runs()

        def event() -> None:
            request = Request(Cause.EVENT, time.time(), source="athens", image=image)
            daemon.ask(lambda state: state.ask(request))

        event()
        ask_again = Request(Cause.REQUEST, time.time(), route="chosen")
        eventually(lambda: not daemon.ask(_requests))
        daemon.ask(lambda state: state.ask(ask_again))
        eventually(lambda: len(daemon.runs()) > len(runs) and all(r.ended for r in daemon.runs()))
        later = daemon.runs()[: -len(runs)]
        assert [(run.cause, run.planned, run.in_sync) for run in later] == [("request", 0, 1)]
        assert source.show(image)["updated_at"] == written
        # What somebody else has changed is heard, also where Meltemi has just written.
        source.change(image, os_version="12")
        event()
        eventually(lambda: targets[0].show(image).get("os_version") == "12")
        assert daemon.runs()[0].cause == "event"
        assert "meltemi_status" not in targets[0].show(image)


async def _requests(state: State) -> list[Any]:
    return list(await state._rows(select(requests)))


def test_what_an_owner_forges_is_put_right(
    source: Service, targets: list[Service], tmp_path: Path
) -> None:
    image = source.put("mine", some_data(1), meltemi_regions="mars", meltemi_status="mars: ready")
    inherited = source.put("snapshot", some_data(2), meltemi_status="crete: ready")
    with Daemon(tmp_path, configuration(source, targets[0])):
        eventually(lambda: says(source, image, "mars: unknown region"))
        eventually(lambda: says(source, inherited, None))
        source.change(image, meltemi_status="crete: ready")
        eventually(lambda: says(source, image, "mars: unknown region"))
    assert targets[0].images() == []


def test_a_thousand_regions(source: Service, targets: list[Service], tmp_path: Path) -> None:
    names = [f"region-{number}" for number in range(1000)]
    image = source.put("mine", some_data(1), meltemi_regions=",".join([*names, "crete"]))
    with Daemon(tmp_path, configuration(source, targets[0])):
        eventually(lambda: source.show(image).get("meltemi_status", "").startswith("crete: ready"))
    status = source.show(image)["meltemi_status"]
    assert status.startswith("crete: ready; region-0: unknown region; ")
    assert status.endswith("; and 992 more")
    assert len(status) <= 255


def test_what_may_not_be_had_is_answered(
    source: Service, targets: list[Service], tmp_path: Path
) -> None:
    choose = {
        "projects": {"p": {"regions": ["crete", "sparta"], "quotas": {"crete": 12000}}},
        "residency": {"zones": "eu", "match": {"property": {"data_class": "personal"}}},
    }
    given = configuration(source, *targets, choose=choose)
    given["libraries"]["crete"]["zone"] = "eu"
    regions = "crete, sparta, delos"
    images = [
        source.put(f"{n}", some_data(n, 8000), owner="p", meltemi_regions=regions) for n in (1, 2)
    ]
    personal = source.put(
        "3", some_data(3, 1000), owner="p", meltemi_regions=regions, data_class="personal"
    )
    stranger = source.put("4", some_data(4), owner="q", meltemi_regions="crete")
    first, second = images
    forbidden = "delos: not allowed"
    with Daemon(tmp_path, given) as daemon:
        eventually(lambda: says(source, stranger, "crete: not allowed"))
        eventually(
            lambda: says(
                source,
                personal,
                "crete: ready; sparta: not allowed outside eu; delos: not allowed",
            )
        )
        ready = f"crete: ready; sparta: ready; {forbidden}"
        full = f"sparta: ready; crete: over the quota of 11.7 KiB; {forbidden}"
        # Of those made in the same second, the id decides.
        eventually(
            lambda: (
                sorted(source.show(i).get("meltemi_status", "") for i in images)
                == sorted([ready, full])
            )
        )
        there = first if says(source, first, ready) else second
        other = second if there == first else first
        source.delete(there)
        eventually(lambda: says(source, other, ready))
        eventually(lambda: {i["id"] for i in targets[0].images()} == {other, personal})
        eventually(lambda: set(answers(daemon)) == {other, personal, stranger})
    assert targets[2].images() == []


def test_a_source_that_is_read_only_keeps_the_answer_with_the_daemon(
    fresh: Fresh, targets: list[Service], tmp_path: Path
) -> None:
    source = fresh("athens", policy={"modify_image": "!"})
    image = source.put("mine", some_data(1), meltemi_regions="crete, mars")
    with Daemon(tmp_path, configuration(source, targets[0])) as daemon:
        eventually(lambda: targets[0].has(image))
        eventually(lambda: bool(answers(daemon)) and answers(daemon)[image].problem != "")
        eventually(lambda: answers(daemon)[image].text == "crete: ready; mars: unknown region")
        words = ("status", image, "--file", daemon.file, "--daemon", daemon.url)
        told = succeed(*words).about("its owner is told: crete: ready; mars: unknown region")
        assert "(here alone: the source does not let the daemon write it)" in told
    assert "does not let the daemon write" in answers(daemon)[image].problem
    assert "meltemi_status" not in source.show(image)


def test_an_image_that_waits_for_its_data_is_left_alone(
    source: Service, targets: list[Service], tmp_path: Path
) -> None:
    image = source.put("mine", None, meltemi_regions="crete")
    with Daemon(tmp_path, configuration(source, targets[0])) as daemon:
        eventually(lambda: len(daemon.runs()) > 3)
        assert "meltemi_status" not in source.show(image)
        source.upload(image, some_data(1))
        eventually(lambda: says(source, image, "crete: ready"))
    assert targets[0].data(image) == some_data(1)
