"""Copies by pieces between libraries in memory: only what the target lacks crosses the wire."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meltemi.chunks.exchange import bringing
from meltemi.chunks.exchange.gathering import Span
from meltemi.chunks.exchange.remote import Spend
from meltemi.errors import (
    ForbiddenError,
    QuotaError,
)
from meltemi.model.address import LibraryAddress
from meltemi.model.image import Image
from meltemi.model.plan import Plan
from meltemi.model.route import Limits
from meltemi.region.data.janitor import BEAT_SECONDS, PATIENCE_SECONDS
from meltemi.replication.exchange import bases as exchange_bases
from meltemi.replication.limits import Bandwidth
from meltemi.replication.planfile import VERSION, Header, PlannedRoute, load_plan, save_plan
from meltemi.replication.report import Result
from tests.chunks.making import KIB, MIB, noise
from tests.replication.exchanging import BUILD, GOLDEN, TEXT, copied, copies, reads, with_golden
from tests.replication.running import Recorder, carry_out, plan
from tests.support.memory import MemoryLibrary, no_hashes, old_hashes
from tests.support.memory_exchange import ExchangingLibrary

pytestmark = pytest.mark.timeout(120)  # what hangs is to fail


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bringing, "_PAUSE_SECONDS", 0)


# What crosses the wire


async def test_the_next_build_costs_what_is_new(
    athens: ExchangingLibrary, crete: ExchangingLibrary
) -> None:
    golden = await with_golden(athens, crete)
    athens.put(BUILD, name="golden-2")
    action, outcome = await copied(athens, crete)
    assert action.bases == (golden.id,)
    assert action.wire is not None
    assert 300 * KIB < crete.exchange.taken < outcome.wire <= action.wire < 700 * KIB
    assert "by pieces, at most" in action.reason
    assert outcome.bytes == action.bytes == len(BUILD)


async def test_the_same_data_costs_next_to_nothing_to_plan_and_to_copy(
    athens: ExchangingLibrary, crete: ExchangingLibrary
) -> None:
    await with_golden(athens, crete)
    athens.put(GOLDEN, name="another name")
    before = athens.count("segments"), crete.count("segments")
    action, outcome = await copied(athens, crete)
    assert (athens.count("segments"), crete.count("segments")) == before
    assert crete.exchange.taken < 400
    assert outcome.wire <= (action.wire or 0) < 4 * KIB


async def test_a_target_is_listed_once(
    athens: ExchangingLibrary, crete: ExchangingLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless it has more images than are remembered."""
    await with_golden(athens, crete)
    athens.put(BUILD, name="golden-2")
    before = crete.count("list")
    action, _ = await copied(athens, crete)
    assert action.bases
    assert crete.count("list") == before + 1
    monkeypatch.setattr(exchange_bases, "_FEW", 1)
    athens.put(BUILD + GOLDEN, name="golden-3")
    action, _ = await copied(athens, crete)
    assert action.bases
    assert crete.count("list") == before + 3


async def test_a_first_image_goes_compressed(
    athens: ExchangingLibrary, crete: ExchangingLibrary
) -> None:
    athens.put(TEXT + bytes(2 * MIB) + TEXT, name="first")
    action, outcome = await copied(athens, crete)
    assert action.bases == ()
    assert athens.exchange.sent < outcome.wire <= (action.wire or 0) < len(TEXT) * 3 // 4
    assert reads(athens) == 0


async def test_batches_are_small_at_first_and_at_the_end_so_that_nobody_waits(
    athens: ExchangingLibrary, crete: ExchangingLibrary
) -> None:
    athens.put(noise(1, 30 * MIB) + bytes(MIB), name="first")
    batch = athens.exchange.batch
    sizes: list[int] = []

    async def counted(image_id: str, spans: Sequence[Span], spend: Spend) -> bytes:
        sizes.append(sum(span.length for span in spans))
        return await batch(image_id, spans, spend)

    athens.exchange.batch = counted  # type: ignore[method-assign]
    await copied(athens, crete)
    assert [round(size / MIB) for size in sizes[:3]] == [2, 4, 8]
    assert max(sizes) <= 16 * MIB
    assert sizes[-1] <= 2 * MIB
    assert sum(sizes) == 30 * MIB


async def test_what_would_be_no_less_by_pieces_is_sent_as_a_whole(
    athens: ExchangingLibrary, crete: ExchangingLibrary
) -> None:
    athens.put(noise(1, MIB))
    athens.put(b"small")
    the_plan = await plan(athens, crete)
    assert [a.wire for a in copies(the_plan)] == [None, None]
    assert all("pieces would be no fewer bytes" in a.reason for a in the_plan.actions)
    assert the_plan.bytes == MIB + 5
    outcomes = await carry_out(the_plan, athens, crete)
    assert {(o.result, o.wire) for o in outcomes} == {(Result.DONE, MIB), (Result.DONE, 5)}
    assert athens.exchange.sent == 0


async def test_all_that_crosses_the_wire_is_told(
    athens: ExchangingLibrary, crete: ExchangingLibrary
) -> None:
    await with_golden(athens, crete)
    image = athens.put(BUILD, name="golden-2")
    recorder = Recorder()
    [outcome] = await carry_out(await plan(athens, crete), athens, crete, reporter=recorder)
    assert recorder.bytes["crete", image.id] == outcome.wire > crete.exchange.taken


async def test_metadata_comes_along_and_is_published_last(
    athens: ExchangingLibrary, crete: ExchangingLibrary
) -> None:
    await with_golden(athens, crete)
    image = athens.put(BUILD, name="golden-2", visibility="public", properties={"a": "b"})
    await copied(athens, crete)
    states = crete.states[image.id]
    assert all(s.visibility == "private" for s in states if s.status in ("queued", "saving"))
    assert crete.images[image.id].visibility == "public"
    assert crete.images[image.id].properties["a"] == "b"
    assert (await plan(athens, crete)).actions == ()


async def test_each_target_gets_what_it_lacks(athens: ExchangingLibrary) -> None:
    crete, samos = ExchangingLibrary("crete"), MemoryLibrary("samos")
    await with_golden(athens, crete)
    await carry_out(await plan(athens, samos), athens, samos)
    image = athens.put(BUILD, name="golden-2")
    the_plan = await plan(athens, crete, samos)
    outcomes = await carry_out(the_plan, athens, crete, samos)
    wires = {o.action.subject.target: o.wire for o in outcomes}
    assert wires["crete"] < 700 * KIB
    assert wires["samos"] == len(BUILD)
    assert crete.data(image.id) == samos.data(image.id) == BUILD


@given(st.data())
@settings(max_examples=25, deadline=None)
async def test_whatever_is_copied_is_right_and_within_its_bound(data: st.DataObject) -> None:
    stretches = [noise(n, 200 * KIB) for n in range(6)] + [bytes(256 * KIB), TEXT[: 300 * KIB]]
    order = st.lists(st.sampled_from(stretches), min_size=1, max_size=8).map(b"".join)
    athens, crete = ExchangingLibrary("athens"), ExchangingLibrary("crete")
    for number in range(data.draw(st.integers(0, 3))):
        crete.put(data.draw(order), name=f"image {number}")
    athens.put(data.draw(order), name="image 9")
    terms = {"largest_batch": data.draw(st.sampled_from([256 * KIB, MIB, 32 * MIB]))}
    athens.tell(**terms, most_pieces=data.draw(st.sampled_from([1, 3, 4096])))
    action, outcome = await copied(athens, crete)
    assert outcome.wire <= action.traffic <= action.bytes


# Several at once


def builds(athens: ExchangingLibrary) -> list[Image]:
    """Put a golden image, its next build, and the same again under another name there."""
    datas = [GOLDEN, BUILD, GOLDEN]
    return [
        athens.put(data, name=f"golden-{n}", created_at=f"2026-01-0{n}")
        for n, data in enumerate(datas, 1)
    ]


async def test_images_that_come_together_are_made_of_each_other(
    athens: ExchangingLibrary, crete: ExchangingLibrary
) -> None:
    first, second, third = builds(athens)
    recorder = Recorder()
    the_plan = await plan(athens, crete)
    wires = {a.subject.source_id: a.traffic for a in copies(the_plan)}
    assert wires[second.id] < 700 * KIB
    assert wires[third.id] < 4 * KIB
    outcomes = await carry_out(the_plan, athens, crete, reporter=recorder)
    assert all(o.result is Result.DONE and o.wire <= o.action.traffic for o in outcomes)
    assert recorder.order[0] == ("crete", first.id)
    assert {i: crete.data(i) for i in crete.images} == {i: athens.data(i) for i in athens.images}


async def test_where_the_first_does_not_arrive_the_others_do(
    athens: ExchangingLibrary, crete: ExchangingLibrary
) -> None:
    first, second, third = builds(athens)
    crete.fail("create", ForbiddenError("no"), image_id=first.id)
    found = await carry_out(await plan(athens, crete), athens, crete)
    assert {o.action.subject.source_id: o.result for o in found} == {
        first.id: Result.FAILED,
        second.id: Result.DONE,
        third.id: Result.DONE,
    }


async def test_a_plan_in_which_images_are_made_of_each_other_comes_to_its_end(
    athens: ExchangingLibrary, crete: ExchangingLibrary
) -> None:
    """Somebody has edited it."""
    builds(athens)
    the_plan = await plan(athens, crete)
    actions = [
        replace(a, bases=tuple(crete_id for crete_id in athens.images)) for a in copies(the_plan)
    ]
    found = await carry_out(Plan(tuple(actions)), athens, crete)
    assert {o.result for o in found} == {Result.DONE}


async def test_kernels_wait_for_nobody(athens: ExchangingLibrary, crete: ExchangingLibrary) -> None:
    """What boots with a kernel is older than it, and like it, and waits for it."""
    kernel = athens.put(TEXT, name="linux-2", created_at="2026-01-02", disk_format="aki")
    properties = {"kernel_id": kernel.id}
    athens.put(TEXT * 2, name="linux-1", created_at="2026-01-01", properties=properties)
    found = await carry_out(await plan(athens, crete), athens, crete)
    assert {o.result for o in found} == {Result.DONE}


# Who does not exchange


@pytest.mark.parametrize(
    ("terms", "word"),
    [
        ({"cut": "fixed-64k"}, "data is cut otherwise (cdc-64k and fixed-64k)"),
        ({"version": 2}, "another version of the exchange"),
        ({"dedup_scope": "project"}, "data is not shared among projects"),
        ({"largest_piece": 64 * KIB}, "pieces are too large"),
    ],
)
async def test_who_keeps_data_otherwise_gets_all_of_it_and_the_plan_says_why(
    athens: ExchangingLibrary, crete: ExchangingLibrary, terms: dict[str, object], word: str
) -> None:
    crete.tell(**terms)
    athens.put(TEXT)
    action, outcome = await copied(athens, crete)
    assert action.wire is None
    assert f"as a whole: {word}" in action.reason
    assert outcome.wire == len(TEXT) == athens.served[action.subject.source_id]


async def test_only_who_exchanges_is_told_that_another_does_not(athens: ExchangingLibrary) -> None:
    athens.put(TEXT)
    [action] = copies(await plan(athens, MemoryLibrary("samos")))
    assert action.reason == "it is missing; as a whole: samos does not exchange pieces"
    glance = ExchangingLibrary("glance")
    glance.exchange.told = None
    [action] = copies(await plan(athens, glance))
    assert action.reason.endswith("as a whole: glance does not exchange pieces")
    glance.put(TEXT)
    [action] = copies(await plan(glance, MemoryLibrary("samos")))
    assert action.reason == "it is missing"


async def test_where_nothing_is_copied_nothing_is_asked(
    athens: ExchangingLibrary, crete: ExchangingLibrary
) -> None:
    await with_golden(athens, crete)
    athens.requests.clear()
    crete.requests.clear()
    assert (await plan(athens, crete)).actions == ()
    assert {kind for kind, _ in athens.requests + crete.requests} == {"list"}


async def test_what_has_changed_its_terms_since_the_plan_gets_all_of_it(
    athens: ExchangingLibrary, crete: ExchangingLibrary
) -> None:
    athens.put(TEXT)
    the_plan = await plan(athens, crete)
    assert copies(the_plan)[0].wire is not None
    crete.tell(cut="fixed-64k")
    [outcome] = await carry_out(the_plan, athens, crete)
    assert (outcome.result, outcome.wire) == (Result.DONE, len(TEXT))
    assert outcome.detail.startswith("as a whole: data is cut otherwise")


# Hashes


@pytest.mark.parametrize("record", [old_hashes, no_hashes])
async def test_data_without_a_hash_that_tells_is_verified_all_the_same(record: object) -> None:
    athens = ExchangingLibrary("athens", record=record)
    crete = ExchangingLibrary("crete")
    athens.put(TEXT)
    await copied(athens, crete)


async def test_what_is_put_together_to_something_else_never_becomes_active(
    athens: ExchangingLibrary, crete: ExchangingLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The source lies: its pieces are not what its hash says; as a whole it is refused as well."""
    image = athens.put(TEXT)
    monkeypatch.setattr(athens, "data", lambda _: TEXT[:-1] + b"x")
    athens.lies[image.id] = TEXT[:-1] + b"x"
    _, outcome = await copied(athens, crete, Result.FAILED)
    assert "not the one on record" in outcome.detail
    assert all(state.status in ("queued", "saving") for state in crete.states[image.id])
    monkeypatch.undo()
    athens.lies.clear()
    await copied(athens, crete)


async def test_a_region_that_was_killed_has_time_to_notice(
    athens: ExchangingLibrary, crete: ExchangingLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = athens.put(TEXT)
    crete.fail("upload", QuotaError("full"), times=9)
    await copied(athens, crete, Result.FAILED)
    crete.faults.clear()
    crete.edit(image.id, status="saving")
    waited, pause = 0.0, asyncio.sleep

    async def sleep(seconds: float) -> None:
        nonlocal waited
        left, waited = PATIENCE_SECONDS + 2 * BEAT_SECONDS - waited, waited + seconds
        if 0 < left <= seconds:
            crete.edit(image.id, status="queued")
        await pause(0)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    _, outcome = await copied(athens, crete)
    assert outcome.target_id == image.id


# Saved plans


async def test_a_saved_plan_remembers_what_it_costs(
    athens: ExchangingLibrary, crete: ExchangingLibrary, tmp_path: Path
) -> None:
    golden = await with_golden(athens, crete)
    athens.put(BUILD, name="golden-2")
    the_plan = await plan(athens, crete)
    header = Header(
        meltemi_plan=VERSION,
        made_at=datetime.now(UTC),
        libraries={n: LibraryAddress(url=f"http://{n}") for n in ("athens", "crete")},
        identities={},
        routes={"route": PlannedRoute(Limits(), 0)},
    )
    save_plan(tmp_path / "plan", header, {"route": the_plan})
    _, loaded = load_plan(tmp_path / "plan")
    assert loaded["route"].actions == the_plan.actions
    assert loaded["route"].actions[0].bases == (golden.id,)
    [outcome] = await carry_out(loaded["route"], athens, crete, checked=True)
    assert outcome.result is Result.DONE
    assert outcome.wire < 700 * KIB


async def test_bandwidth_is_kept_by_what_crosses_the_wire(
    athens: ExchangingLibrary, crete: ExchangingLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    spent = 0

    async def spend(_: Bandwidth, count: int) -> None:
        nonlocal spent
        spent += count

    monkeypatch.setattr(Bandwidth, "spend", spend)
    athens.put(TEXT)
    _, outcome = await copied(athens, crete)
    assert crete.exchange.taken < spent == outcome.wire
