"""A plan for some images is that of the whole route, as far as it is about them."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from meltemi.errors import UnreachableError
from meltemi.model.plan import Action, Plan
from meltemi.model.provenance import Written, short
from meltemi.model.route import OnConflict, OnSourceDeletion, Route, Rules, Selection
from meltemi.replication.narrowing import MOST, Narrowing, Noting, of_these
from meltemi.replication.survey import survey
from tests.replication.running import route
from tests.support.memory import NOW, MemoryLibrary

MOMENT = datetime(2026, 3, 1, tzinfo=UTC)
IDS = [f"00000000-0000-4000-8000-{number:012}" for number in range(5)]
NAMES = ["debian", "debian", "ubuntu", None]
SELECTIONS = [
    Selection(),
    Selection(match=(Rules(names=("debian",)),)),
    Selection(exclude=(Rules(owners=("others",)),)),
    Selection(match=(Rules(visibilities=("public",)),)),
]


def common(random: Random) -> dict[str, Any]:
    return {
        "name": random.choice(NAMES),
        "os_hidden": random.random() < 0.25,
        "visibility": random.choice(["private", "shared", "public"]),
        "data": random.choice([b"one", b"one", b"two", None]),
    }


def source_image(random: Random) -> dict[str, Any]:
    """Make an image of a source."""
    properties = {}
    if random.random() < 0.4:
        properties[random.choice(["kernel_id", "ramdisk_id"])] = random.choice([*IDS, "no, id"])
    owner = random.choice(["theirs", "others"])
    return {"owner": owner, "properties": properties, **common(random)}


def target_image(random: Random) -> dict[str, Any]:
    """Make an image of a target: a replica of this route or another, or a stranger."""
    mark = {
        "library": random.choice(["memory://source", "memory://other-address"]),
        "of": random.choice([*IDS, "itself", "itself"]),
        "route": random.choice(["route", "route", "another"]),
        "gone": random.choice([None, None, "2026-02-01T00:00:00Z"]),
    }
    owner = random.choice(["ours", "ours", "mapped", "strangers"])
    return {"owner": owner, "mark": random.choice([mark, None]), **common(random)}


def some(random: Random, image: Callable[[Random], dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {i: image(random) for i in random.sample(IDS, random.randint(2, len(IDS)))}


def policy(random: Random) -> dict[str, Any]:
    return {
        "on_conflict": random.choice(list(OnConflict)),
        "on_source_deletion": random.choice(list(OnSourceDeletion)),
        "owners": random.choice([{}, {"others": "mapped"}]),
        "members": random.choice([True, False]),
        "grace": random.choice([timedelta(0), timedelta(days=400)]),
    }


def made(name: str, project: str, images: dict[str, dict[str, Any]]) -> MemoryLibrary:
    """Make a library."""
    library = MemoryLibrary(name, project=project, page=2)
    for image_id, given_ in images.items():
        attributes = dict(given_)
        data, mark = attributes.pop("data"), attributes.pop("mark", None)
        image = library.put(data, id=image_id, **attributes)
        if mark is not None:
            of = image_id if mark["of"] == "itself" else mark["of"]
            written: dict[str, Any] = {
                "id": short(image_id),
                "attributes": dict(Written.of(image.attributes()).attributes),
                "tags": [],
                "route": mark["route"],
            }
            if mark["gone"]:
                written["gone"] = mark["gone"]
            library.edit(
                image_id,
                properties={
                    "meltemi_source": f"{mark['library']}/{of}",
                    "meltemi_source_hash": f"sha512:{image.hashes.value or ''}",
                    "meltemi_replicated_at": NOW,
                    "meltemi_written": json.dumps(written),
                },
            )
    return library


def about(plan: Plan, images: frozenset[str], told: Any) -> Any:
    """Give what a plan says of images, but for ids that it made up."""

    def known(action: Action) -> Action:
        if action.target_id not in IDS:
            action = replace(action, target_id="new")
        if action.relay is not None and action.relay.image_id not in IDS:
            action = replace(action, relay=replace(action.relay, image_id="new"))
        return action

    these = of_these(plan, images)
    needed = {i for a in these.actions if a.subject.source_id in images for i in a.needs} | images
    actions = sorted(map(repr, map(known, these.actions)))
    notes = sorted(repr(note) for note in these.notes if note.subject.source_id in needed)
    return actions, notes, {key: what for key, what in told.items() if key[0] in images}


async def whole(
    the_route: Route, source: MemoryLibrary, targets: list[MemoryLibrary], images: frozenset[str]
) -> tuple[Any, dict[str, frozenset[str]]]:
    """Plan by whole listings; give also the identities that were seen."""
    noting = [Noting(target, the_route) for target in targets]
    told: dict[tuple[str, str], Any] = {}

    def tell(image: Any, library: str, what: Any) -> None:
        told[image.id, library] = [kind(item) for item in what]

    plan = await survey(the_route, source, noting, MOMENT, tell)
    return about(plan, images, told), {n.name: n.origins or frozenset() for n in noting}


async def narrow(
    the_route: Route,
    source: MemoryLibrary,
    targets: list[MemoryLibrary],
    images: frozenset[str],
    origins: dict[str, frozenset[str]],
) -> Any:
    """Plan by what matters."""
    told: dict[tuple[str, str], Any] = {}

    def tell(image: Any, library: str, what: Any) -> None:
        told[image.id, library] = [kind(item) for item in what]

    narrowing = Narrowing(the_route, images)
    assume(await narrowing.read(source, MOMENT))
    opened = await narrowing.at(source, targets, origins)
    here = [opened.open[target.name] for target in targets]
    plan = await survey(the_route, opened.open[source.name], here, MOMENT, tell)
    return about(plan, images, told)


def kind(item: Any) -> Any:
    return (item.kind, item.reason) if isinstance(item, Action) else (item.standing, item.reason)


@settings(max_examples=1000, deadline=None)
@given(st.integers(0, 2**64))
def test_it_is_the_same_plan(seed: int) -> None:
    # A world in which most things happen, which hypothesis would begin with none of.
    random = Random(seed)
    source = made("source", "theirs", some(random, source_image))
    targets = [made(name, "ours", some(random, target_image)) for name in ("one", "two")]
    for image_id in source.images:
        source.share(image_id, **dict.fromkeys(random.sample("xyz", 2), "accepted"))
    selection, relay = random.choice(SELECTIONS), random.choice([None, None, "one"])
    the_route = route(source, targets, selection, relay=relay, **policy(random))
    images = frozenset(random.sample(IDS, random.randint(1, 2)))

    async def compare() -> None:
        expected, origins = await whole(the_route, source, targets, images)
        for library in (source, *targets):
            library.requests.clear()
        assert await narrow(the_route, source, targets, images, origins) == expected
        assert not sum(library.count("list") for library in (source, *targets))

    asyncio.run(compare())


async def test_a_target_that_fails_does_not_keep_others_from_being_read(
    source: MemoryLibrary, targets: list[MemoryLibrary]
) -> None:
    image = source.put()
    targets[1].fail("find", UnreachableError("away", library="target1"))
    narrowing = Narrowing(route(source, targets), frozenset({image.id}))
    assert await narrowing.read(source, MOMENT)
    opened = await narrowing.at(source, targets, {target.name: () for target in targets})
    assert set(opened.open) == {"source", "target0", "target2"}
    assert str(opened.errors["target1"]) == "away"


async def test_a_chain_of_images_that_boot_with_each_other_is_not_followed_far(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    last = source.put()
    for _ in range(MOST + 1):
        last = source.put(properties={"kernel_id": last.id})
    assert not await Narrowing(route(source, [target]), frozenset({last.id})).read(source, MOMENT)
    assert source.count("find") < 10
