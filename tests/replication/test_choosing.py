"""Routes on which the owners of images choose the targets."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meltemi.model.choosing import REGIONS
from meltemi.model.image import STATUS, Image
from meltemi.model.plan import Kind, Plan
from meltemi.model.route import (
    ANY,
    Allowance,
    Choosing,
    OnSourceDeletion,
    Policy,
    Residency,
    Route,
    Rules,
    Selection,
)
from meltemi.replication.choosing import FORBIDDEN, LEFT_OUT, UNKNOWN, Chooser, Wish
from meltemi.replication.report import Outcome, Result
from meltemi.replication.survey import survey
from tests.replication.running import carry_out, kinds, replicas
from tests.support.memory import MemoryLibrary

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
EU = "not allowed outside eu"


def choosing(
    projects: Mapping[str, Allowance] | None = None, residency: tuple[Residency, ...] = ()
) -> Choosing:
    """Let everybody have crete and sparta, or whom one says."""
    names = {"crete": "crete", "sparta": "sparta", "greece": "crete"}
    everything = {ANY: Allowance(frozenset({"crete", "sparta"}))}
    return Choosing(names, everything if projects is None else projects, residency)


class Cloud:
    """A source with owners, and two targets that they choose from."""

    def __init__(
        self, choose: Choosing, *, selection: Selection | None = None, **policy: Any
    ) -> None:
        self.source = MemoryLibrary("source", project="operators")
        self.targets = [MemoryLibrary(name, project="ours") for name in ("crete", "sparta")]
        self.crete, self.sparta = self.targets
        kept: dict[str, Any] = {"on_source_deletion": OnSourceDeletion.DELETE, **policy}
        self.route = Route(
            "chosen",
            "source",
            ("crete", "sparta"),
            selection or Selection(),
            Policy(**kept),
            choosing=choose,
        )
        self.reserved: set[tuple[str, str]] = set()

    def put(self, regions: str | None, data: bytes = b"data", **attributes: Any) -> Image:
        given = {} if regions is None else {REGIONS: regions}
        properties = {**given, **attributes.pop("properties", {})}
        return self.source.put(
            data, **{"name": None, "owner": "p", "properties": properties, **attributes}
        )

    def choose(self, image: Image, regions: str | None) -> None:
        properties = dict(self.source.images[image.id].properties)
        properties.pop(REGIONS, None)
        if regions is not None:
            properties[REGIONS] = regions
        self.source.edit(image.id, properties=properties)

    async def plan(self, now: datetime = NOW) -> Plan:
        return await survey(
            self.route,
            self.source,
            self.targets,
            now,
            reserved=lambda image, target: (image, target) in self.reserved,
        )

    async def sync(self, now: datetime = NOW, *, max_delete: int = 10) -> list[Outcome]:
        return await carry_out(
            await self.plan(now), self.source, *self.targets, max_delete=max_delete
        )

    async def synced(self) -> None:
        for outcome in await self.sync():
            assert outcome.result is Result.DONE, outcome.detail
        assert (await self.plan()).actions == ()


def reasons(plan: Plan) -> dict[tuple[str, str], str]:
    """Give the notes of a plan, by image and target."""
    return {(note.subject.source_id, note.subject.target): note.reason for note in plan.notes}


async def test_an_image_goes_where_its_owner_says_and_nowhere_else() -> None:
    cloud = Cloud(choosing())
    one, both = cloud.put("Greece"), cloud.put("sparta, crete")
    cloud.put(None)
    cloud.put(" , ")
    await cloud.synced()
    assert set(replicas(cloud.source, cloud.crete)) == {one.id, both.id}
    assert set(replicas(cloud.source, cloud.sparta)) == {both.id}
    [replica] = replicas(cloud.source, cloud.sparta)[both.id]
    assert REGIONS not in replica.properties


async def test_what_an_owner_is_told_changes_no_replica() -> None:
    cloud = Cloud(choosing())
    image = cloud.put("crete")
    await cloud.synced()
    replica = cloud.crete.images[image.id]
    properties = {**image.properties, STATUS: "crete: ready"}
    cloud.source.edit(image.id, properties=properties, updated_at="2026-03-01T00:00:00Z")
    assert (await cloud.plan()).actions == ()
    assert cloud.crete.images[image.id] == replica


@pytest.mark.parametrize("mapped", [False, True])
async def test_what_is_withdrawn_goes(mapped: bool) -> None:
    cloud = Cloud(choosing())
    image, stranger = cloud.put("crete, sparta", protected=True), cloud.crete.put(owner="ours")
    if mapped:
        cloud.crete.burnt.add(image.id)
    await cloud.synced()
    cloud.choose(image, "sparta")
    await cloud.synced()
    assert set(cloud.crete.images) == {stranger.id}
    assert set(replicas(cloud.source, cloud.sparta)) == {image.id}
    cloud.choose(image, None)
    await cloud.synced()
    assert cloud.sparta.images == {}


async def test_what_is_chosen_again_comes_under_another_id() -> None:
    cloud = Cloud(choosing())
    image = cloud.put("crete")
    await cloud.synced()
    cloud.choose(image, "")
    await cloud.synced()
    cloud.choose(image, "crete")
    await cloud.synced()
    [replica] = replicas(cloud.source, cloud.crete)[image.id]
    assert replica.id != image.id


async def test_an_image_that_is_deleted_is_withdrawn() -> None:
    cloud = Cloud(choosing())
    image = cloud.put("crete")
    await cloud.synced()
    cloud.source.remove(image.id)
    await cloud.synced()
    assert cloud.crete.images == {}


async def test_who_changes_his_mind_in_time_keeps_his_replica() -> None:
    cloud = Cloud(choosing(), grace=timedelta(days=1))
    image = cloud.put("crete")
    await cloud.synced()
    cloud.choose(image, "sparta")
    assert kinds(await cloud.plan()) == [Kind.COPY, Kind.UPDATE]
    await cloud.sync()
    assert (await cloud.plan()).actions == ()
    cloud.choose(image, "sparta, crete")
    await cloud.sync()
    late = NOW + timedelta(days=2)
    assert (await cloud.plan(late)).actions == ()
    cloud.choose(image, "sparta")
    await cloud.sync(late)
    await cloud.sync(late + timedelta(days=2))
    assert cloud.crete.images == {}


async def test_a_wish_that_changes_after_the_plan_keeps_the_replica() -> None:
    cloud = Cloud(choosing())
    image = cloud.put("crete")
    await cloud.synced()
    cloud.choose(image, None)
    plan = await cloud.plan()
    cloud.choose(image, "crete")
    [outcome] = await carry_out(plan, cloud.source, *cloud.targets)
    assert outcome.result is Result.STALE
    assert image.id in cloud.crete.images


async def test_who_withdraws_too_many_at_once_holds_up_nobody_else() -> None:
    cloud = Cloud(choosing())
    many, there = [cloud.put("crete") for _ in range(3)], cloud.put("sparta")
    others, gone = [cloud.put("crete", owner="q") for _ in range(2)], cloud.put("crete")
    await cloud.synced()
    for image in (*many, there, *others):
        cloud.choose(image, None)
    cloud.source.remove(gone.id)
    outcomes = await cloud.sync(max_delete=2)
    assert {one.detail for one in outcomes if one.result is Result.SKIPPED} == {
        "held back: project p withdraws 3 images from crete, more than max_delete (2) allows"
    }
    assert set(cloud.crete.images) == {image.id for image in many}
    assert cloud.sparta.images == {}
    cloud.choose(many[0], "crete")
    await cloud.sync(max_delete=2)
    assert set(cloud.crete.images) == {many[0].id}


async def test_what_no_owner_has_withdrawn_counts_as_a_whole() -> None:
    cloud = Cloud(choosing())
    forbidden, gone, own = (cloud.put("crete", owner=owner) for owner in "pqr")
    await cloud.synced()
    cloud.source.remove(gone.id)
    cloud.choose(own, None)
    allowed = {owner: Allowance(frozenset({"sparta"})) for owner in "pqr"}
    cloud.route = replace(cloud.route, choosing=choosing(allowed))
    outcomes = await cloud.sync(max_delete=1)
    [told] = {one.detail for one in outcomes if one.result is Result.SKIPPED}
    assert told.startswith("2 replicas would be hidden or deleted, more than max_delete (1) allows")
    assert set(cloud.crete.images) == {forbidden.id, gone.id}


async def test_nothing_goes_that_another_route_or_somebody_else_brought() -> None:
    cloud = Cloud(choosing())
    image = cloud.put("crete")
    golden = replace(cloud.route, name="golden", choosing=None, targets=("crete",))
    plan = await survey(golden, cloud.source, [cloud.crete], NOW)
    await carry_out(plan, cloud.source, cloud.crete)
    cloud.choose(image, None)
    forged = cloud.crete.put(
        id=cloud.put(None).id, properties=cloud.crete.images[image.id].properties, owner="ours"
    )
    assert (await cloud.plan()).actions == ()
    assert {image.id, forged.id} <= set(cloud.crete.images)


async def test_what_may_not_be_had_is_answered() -> None:
    allowed = {"p": Allowance(frozenset({"crete"})), "q": Allowance(frozenset())}
    cloud = Cloud(choosing(allowed), selection=Selection(exclude=(Rules(tags=("wip",)),)))
    mine, other = cloud.put("crete, sparta, mars"), cloud.put("crete", owner="q")
    nobodys, wip = cloud.put("crete", owner="r"), cloud.put("crete", tags=frozenset({"wip"}))
    plan = await cloud.plan()
    assert [(a.subject.source_id, a.subject.target) for a in plan.actions] == [(mine.id, "crete")]
    assert reasons(plan) == {
        (mine.id, "sparta"): FORBIDDEN,
        (other.id, "crete"): FORBIDDEN,
        (nobodys.id, "crete"): FORBIDDEN,
        (wip.id, "crete"): LEFT_OUT,
    }


async def test_what_is_forbidden_later_goes() -> None:
    cloud = Cloud(choosing())
    image = cloud.put("crete, sparta")
    await cloud.synced()
    rule = Residency((Rules(properties={"data": ("personal",)}),), frozenset({"sparta"}), EU)
    cloud.route = replace(cloud.route, choosing=choosing(residency=(rule,)))
    assert (await cloud.plan()).actions == ()
    cloud.source.edit(image.id, properties={**image.properties, "data": "personal"})
    await cloud.sync()
    assert reasons(await cloud.plan()) == {(image.id, "crete"): EU}
    assert cloud.crete.images == {}
    assert image.id in cloud.sparta.images


async def test_a_quota_is_for_the_oldest_and_keeps_what_is_there() -> None:
    cloud = Cloud(choosing({"p": Allowance(frozenset({"crete"}), {"crete": 10})}))
    second = cloud.put("crete", b"123456", created_at="2026-01-02T00:00:00Z")
    first = cloud.put("crete", b"12345", created_at="2026-01-01T00:00:00Z")
    free = cloud.put("crete", b"1" * 20, owner="q")
    assert reasons(await cloud.plan()) == {
        (second.id, "crete"): "over the quota of 10 B",
        (free.id, "crete"): FORBIDDEN,
    }
    await cloud.sync()
    older = cloud.put("crete", b"123456", created_at="2025-01-01T00:00:00Z")
    assert set(reasons(await cloud.plan())) == {(i.id, "crete") for i in (second, older, free)}
    cloud.choose(first, None)
    await cloud.sync()
    await cloud.sync()
    assert set(cloud.crete.images) == {older.id}


async def test_what_is_on_its_way_counts_against_a_quota() -> None:
    cloud = Cloud(choosing({"p": Allowance(frozenset({"crete"}), {"crete": 10})}))
    coming = cloud.put("crete", b"123456", created_at="2026-01-02T00:00:00Z")
    older = cloud.put("crete", b"123456", created_at="2026-01-01T00:00:00Z")
    cloud.reserved = {(coming.id, "crete")}
    assert set(reasons(await cloud.plan())) == {(older.id, "crete")}


async def test_a_replica_under_another_id_counts_against_a_quota() -> None:
    cloud = Cloud(choosing({"p": Allowance(frozenset({"crete"}), {"crete": 10})}))
    there = cloud.put("crete", b"123456", created_at="2026-01-02T00:00:00Z")
    cloud.crete.burnt.add(there.id)
    await cloud.synced()
    older = cloud.put("crete", b"123456", created_at="2026-01-01T00:00:00Z")
    assert set(reasons(await cloud.plan())) == {(older.id, "crete")}


async def test_a_kernel_comes_only_where_its_owner_has_chosen_it() -> None:
    cloud = Cloud(choosing({"p": Allowance(frozenset({"crete"}), {"crete": 20})}))
    kernel = cloud.put(None, b"1" * 15)
    image = cloud.put("crete", b"1", properties={"kernel_id": kernel.id})
    plan = await cloud.plan()
    assert plan.actions == ()
    assert f"image {kernel.id}, which it boots with" in reasons(plan)[image.id, "crete"]
    cloud.choose(kernel, "crete")
    await cloud.synced()
    assert set(cloud.crete.images) == {kernel.id, image.id}
    large = cloud.put("crete", b"1" * 15)
    booted = cloud.put("crete", b"1", properties={"kernel_id": large.id})
    told = reasons(await cloud.plan())
    assert told[large.id, "crete"] == "over the quota of 20 B"
    assert told[booted.id, "crete"].endswith("over the quota of 20 B")


def test_each_target_is_answered_once_by_the_first_name() -> None:
    chooser = Chooser(choosing({"p": Allowance(frozenset({"crete"}))}), now=NOW)
    image = Image("1", owner="p", properties={REGIONS: "GREECE, mars, crete, Sparta"})
    assert chooser.wishes(image) == (
        Wish("GREECE", "crete"),
        Wish("mars", None, UNKNOWN),
        Wish("Sparta", "sparta", FORBIDDEN),
    )


@given(
    st.lists(st.sampled_from(["crete", "Sparta", "greece", "mars", " ", "x"]), max_size=9),
    st.sets(st.sampled_from(["crete", "sparta"])),
    st.sampled_from(["p", "q", None]),
    st.sets(st.sampled_from(["crete", "sparta"])),
    st.booleans(),
)
def test_nobody_has_what_he_may_not_have_and_every_name_is_answered(
    named: list[str], allowed: set[str], owner: str | None, stays: set[str], personal: bool
) -> None:
    rule = Residency((Rules(properties={"data": ("personal",)}),), frozenset(stays), EU)
    chooser = Chooser(choosing({"p": Allowance(frozenset(allowed))}, residency=(rule,)), now=NOW)
    marked = {"data": "personal"} if personal else {}
    image = Image("1", owner=owner, properties={REGIONS: ",".join(named), **marked})
    had = {target for target in ("crete", "sparta") if chooser.refuses(image, target) is None}
    lower = {name.lower().strip() for name in named} - {""}
    meant = {"crete"} & lower | ({"crete"} if "greece" in lower else set()) | {"sparta"} & lower
    may = allowed if owner == "p" else set()
    assert had == meant & may & (stays if personal else {"crete", "sparta"})
    answered = {wish.target or wish.name.lower() for wish in chooser.wishes(image)}
    assert answered == meant | lower & {"mars", "x"}
    assert all(wish.refusal or wish.target in had for wish in chooser.wishes(image))
