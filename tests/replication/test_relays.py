"""Routes with a relay: the source is read once, and the other targets get their data from there."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from meltemi.errors import CorruptionError, ForbiddenError, UnreachableError, UsageError
from meltemi.model.address import LibraryAddress
from meltemi.model.image import Hashes
from meltemi.model.plan import Plan, Standing
from meltemi.model.provenance import read_provenance
from meltemi.model.route import Limits, OnConflict
from meltemi.replication.planfile import VERSION, Header, PlannedRoute, load_plan, save_plan
from meltemi.replication.report import Outcome, Result
from meltemi.replication.run import Libraries, plan_route
from tests.chunks.making import MIB, noise
from tests.replication.running import (
    DATA,
    Recorder,
    carry_out,
    own_properties,
    plan,
    results,
    route,
    standings,
    sync,
    synced,
)
from tests.support.memory import Fault, MemoryLibrary, full_hashes, no_hashes, old_hashes
from tests.support.memory_exchange import ExchangingLibrary

pytestmark = pytest.mark.timeout(120)  # what hangs is to fail


@pytest.fixture
def relay() -> MemoryLibrary:
    return MemoryLibrary("relay", project="relays")


@pytest.fixture
def near() -> list[MemoryLibrary]:
    """Give two libraries that are near the relay."""
    return [MemoryLibrary(f"near{number}", project="ours") for number in range(2)]


def reasons(the_plan: Plan) -> dict[str, str]:
    """Give the reasons of all actions, by target."""
    return {action.subject.target: action.reason for action in the_plan.actions}


def told(the_plan: Plan) -> set[tuple[str, str]]:
    return {(note.subject.target, note.reason) for note in the_plan.notes}


def details(outcomes: Sequence[Outcome]) -> set[str]:
    return {outcome.detail for outcome in outcomes}


# From where data comes


@pytest.mark.parametrize("record", [full_hashes, old_hashes, no_hashes])
async def test_the_source_is_read_once_and_the_relay_for_all_others(
    relay: MemoryLibrary, near: list[MemoryLibrary], record: Callable[[bytes], Hashes]
) -> None:
    source = MemoryLibrary("source", project="theirs", record=record)
    image = source.put(DATA, visibility="public", properties={"a": "b"})
    the_plan = await plan(source, *near, relay, relay="relay")
    assert reasons(the_plan) == {
        "relay": "it is missing",
        "near0": "it is missing; from the relay relay",
        "near1": "it is missing; from the relay relay",
    }
    outcomes = await carry_out(the_plan, source, *near, relay)
    assert {outcome.result for outcome in outcomes} == {Result.DONE}
    assert source.served[image.id] == len(DATA)
    assert relay.served[image.id] == len(DATA)
    for target in (*near, relay):
        there, origin = target.images[image.id], read_provenance(target.images[image.id])
        assert target.data(image.id) == DATA
        assert (there.visibility, there.owner) == ("public", target.project)
        assert own_properties(there) == {"a": "b"}
        assert origin is not None
        assert origin.library == source.identity
    marks = {t.images[image.id].properties["meltemi_source_hash"] for t in (*near, relay)}
    assert len(marks) == 1
    assert not (await plan(source, *near, relay, relay="relay")).actions


@pytest.mark.parametrize("record", [full_hashes, old_hashes, no_hashes])
async def test_what_the_relay_has_already_does_not_concern_the_source(
    relay: MemoryLibrary, near: list[MemoryLibrary], record: Callable[[bytes], Hashes]
) -> None:
    source = MemoryLibrary("source", project="theirs", record=record)
    image = source.put(DATA)
    await synced(source, relay)
    source.served.clear()
    relay.edit(image.id, name="another", os_hidden=True)
    await synced(source, *near, relay, relay="relay")
    assert not source.served
    assert relay.served[image.id] == len(DATA)
    assert [target.data(image.id) for target in near] == [DATA, DATA]
    assert [target.images[image.id].name for target in near] == ["image", "image"]


async def test_a_relay_that_had_to_take_another_id(
    source: MemoryLibrary, relay: MemoryLibrary, near: list[MemoryLibrary]
) -> None:
    image = source.put(DATA)
    relay.burnt.add(image.id)
    outcomes = await sync(source, relay, near[0], relay="relay")
    assert {outcome.result for outcome in outcomes} == {Result.DONE}
    assert image.id not in relay.images
    assert near[0].data(image.id) == DATA
    await synced(source, relay, *near, relay="relay")  # where only the listing tells that id
    assert near[1].data(image.id) == DATA
    assert source.served[image.id] == len(DATA)


async def test_one_image_at_a_time_and_kernels_before_what_boots_with_them(
    source: MemoryLibrary, relay: MemoryLibrary, near: list[MemoryLibrary]
) -> None:
    """The relay has the image already, and its kernel not: the one must not wait for the other."""
    kernel = source.put(DATA, id="b")
    image = source.put(DATA[:9], id="a", properties={"kernel_id": "b"})
    other = source.put(DATA[:5], id="c")
    await synced(source, relay)
    relay.remove(kernel.id)
    the_plan = await plan(source, relay, *near, relay="relay")
    outcomes = await carry_out(the_plan, source, relay, *near, transfers=1)
    assert {outcome.result for outcome in outcomes} == {Result.DONE}
    for target in near:
        assert target.images[image.id].properties["kernel_id"] in target.images
        assert target.data(other.id) == DATA[:5]


class Releasing(Recorder):
    """Lets something go on once an image has arrived at a target."""

    def __init__(self, held: Fault, target: str, image_id: str) -> None:
        super().__init__()
        self._held, self._place = held, (target, image_id)

    def finished(self, outcome: Outcome) -> None:
        """Let go where this is the time."""
        super().finished(outcome)
        subject = outcome.action.subject
        if (subject.target, subject.source_id) == self._place:
            self._held.go.set()


async def test_what_the_relay_has_does_not_wait_for_what_it_has_not(
    source: MemoryLibrary, relay: MemoryLibrary, near: list[MemoryLibrary]
) -> None:
    known = source.put(DATA, id="b")
    await synced(source, relay)
    coming = source.put(DATA[:100], id="a")
    held = relay.hold("upload", image_id=coming.id)
    the_plan = await plan(source, relay, near[0], relay="relay")
    reporter = Releasing(held, "near0", known.id)
    outcomes = await carry_out(the_plan, source, relay, near[0], reporter=reporter, transfers=1)
    assert {outcome.result for outcome in outcomes} == {Result.DONE}
    assert near[0].data(coming.id) == DATA[:100]


async def test_an_archive_as_relay(source: MemoryLibrary, near: list[MemoryLibrary]) -> None:
    vault = MemoryLibrary("vault", keeps_owners=True, project=None)
    bare = MemoryLibrary("bare", record=no_hashes)
    for one, target in zip((source, bare), near, strict=True):
        image = one.put(DATA)
        await synced(one, vault)
        one.served.clear()
        await synced(one, vault, target, relay="vault")
        assert target.data(image.id) == DATA
        assert not one.served


# What the relay has not


async def test_nothing_is_copied_past_a_relay_that_cannot_be_read(
    source: MemoryLibrary, relay: MemoryLibrary, near: list[MemoryLibrary]
) -> None:
    image = source.put(DATA)
    lost = UnreachableError("relay is away", library="relay")
    the_route = route(source, [relay, *near], relay="relay")
    opened = {library.name: library for library in (source, *near)}
    closed = await plan_route(the_route, Libraries(opened, {"relay": lost}))
    relay.fail("list", lost)
    unlisted = await plan(source, relay, *near, relay="relay")
    for the_plan in (closed, unlisted):
        assert not the_plan.actions
        assert the_plan.errors == {"relay": lost}
        assert told(the_plan) == {
            (target.name, "it is missing; not copied: the relay relay cannot be read")
            for target in near
        }
        assert standings(the_plan) == {image.id: Standing.CONFLICT}


async def test_what_needs_no_data_goes_on_without_the_relay(
    source: MemoryLibrary, relay: MemoryLibrary, near: list[MemoryLibrary]
) -> None:
    image = source.put(DATA)
    await synced(source, near[0])
    source.edit(image.id, name="later")
    relay.fail("list", UnreachableError("relay is away", library="relay"))
    await sync(source, relay, near[0], relay="relay")
    assert near[0].images[image.id].name == "later"


async def test_what_the_relay_leaves_alone_goes_nowhere_nor_what_boots_with_it(
    source: MemoryLibrary, relay: MemoryLibrary, near: list[MemoryLibrary]
) -> None:
    kernel = source.put(DATA, name="kernel")
    source.put(DATA[:9], properties={"kernel_id": kernel.id})
    await synced(source, relay)
    relay.remove(kernel.id)
    relay.put(b"other", id=kernel.id)
    the_plan = await plan(source, relay, near[0], relay="relay")
    taken = f"image {kernel.id} is there with other data; see --on-conflict"
    missing = f"image {kernel.id}, which it boots with, will not be there"
    assert not the_plan.actions
    assert told(the_plan) == {
        ("relay", taken),
        ("relay", f"{missing}: {taken}"),
        ("near0", f"it is missing; not copied: the relay relay has it not ({taken})"),
        ("near0", missing),
    }


async def test_nothing_gives_way_to_what_does_not_come(
    source: MemoryLibrary, relay: MemoryLibrary, near: list[MemoryLibrary]
) -> None:
    source.put(DATA)
    near[0].put(b"taken")
    relay.fail("list", UnreachableError("relay is away", library="relay"))
    the_plan = await plan(source, relay, *near, relay="relay", on_conflict=OnConflict.REPLACE)
    assert not the_plan.actions


async def test_what_the_relay_failed_to_get_is_taken_up_by_the_next_run(
    source: MemoryLibrary, relay: MemoryLibrary, near: list[MemoryLibrary]
) -> None:
    kernel = source.put(DATA)
    image = source.put(DATA[:9], properties={"kernel_id": kernel.id})
    fault = relay.fail("upload", ForbiddenError("relay: not today"), image_id=kernel.id)
    outcomes = await sync(source, relay, *near, relay="relay")
    assert fault.times == 0
    ends = results(outcomes)
    assert ends["relay", kernel.id] is Result.FAILED
    for target in near:
        assert ends[target.name, kernel.id] is Result.SKIPPED
        assert kernel.id not in target.images
        assert image.id not in target.images
    assert "not copied, since the relay relay did not get it" in details(outcomes)
    await synced(source, relay, *near, relay="relay")
    assert [target.data(kernel.id) for target in near] == [DATA, DATA]


async def test_a_relay_that_is_lost_on_the_way(
    source: MemoryLibrary, relay: MemoryLibrary, near: list[MemoryLibrary]
) -> None:
    lost = UnreachableError("relay is away", library="relay")
    known = source.put(DATA)
    await synced(source, relay)
    coming = source.put(DATA[:100])
    relay.fail("upload", lost, times=100)
    relay.fail("read", lost, times=100)
    ends = results(outcomes := await sync(source, relay, near[0], relay="relay"))
    assert ends["relay", coming.id] is ends["near0", known.id] is Result.FAILED
    assert ends["near0", coming.id] is Result.SKIPPED
    assert {o.error.library for o in outcomes if o.error} == {"relay"}
    assert source.served[known.id] == len(DATA)
    relay.faults.clear()
    await synced(source, relay, near[0], relay="relay")


async def test_a_relay_that_gives_other_data_is_noticed(
    source: MemoryLibrary, relay: MemoryLibrary, near: list[MemoryLibrary]
) -> None:
    image = source.put(DATA)
    await synced(source, relay)
    relay.lies[image.id] = bytes([DATA[0] ^ 1]) + DATA[1:]
    outcomes = await sync(source, relay, *near, relay="relay")
    assert {type(outcome.error) for outcome in outcomes} == {CorruptionError}
    assert all("relay: image" in outcome.detail for outcome in outcomes)
    assert [target.images[image.id].status for target in near] == ["queued", "queued"]
    del relay.lies[image.id]
    await synced(source, relay, *near, relay="relay")
    assert source.served[image.id] == len(DATA)


async def test_what_the_source_recorded_no_hash_of_is_held_against_what_was_read_of_it(
    relay: MemoryLibrary, near: list[MemoryLibrary]
) -> None:
    source = MemoryLibrary("source", record=no_hashes)
    image = source.put(DATA)
    await synced(source, relay)
    relay.lies[image.id] = DATA[:-1] + b"x"
    [outcome] = await sync(source, relay, near[0], relay="relay")
    assert isinstance(outcome.error, CorruptionError)
    assert not near[0].images[image.id].has_data


async def test_the_word_of_strangers_counts_for_nothing_at_the_relay(
    relay: MemoryLibrary, near: list[MemoryLibrary]
) -> None:
    """Somebody else's image with a mark that says all that is to be said."""
    source = MemoryLibrary("source", record=no_hashes)
    image = source.put(DATA)
    model = MemoryLibrary("model")
    await synced(source, model)
    forged = model.images[image.id].properties
    relay.put(DATA[::-1], id=image.id, owner="strangers", properties=forged)
    the_plan = await plan(source, relay, near[0], relay="relay")
    assert not the_plan.actions


# Saved plans


async def test_a_saved_plan_keeps_the_relay(
    source: MemoryLibrary, relay: MemoryLibrary, near: list[MemoryLibrary], tmp_path: Path
) -> None:
    known = source.put(DATA)
    await synced(source, relay)
    coming = source.put(DATA[:100])
    made = await plan(source, relay, *near, relay="relay")
    names = ("source", "relay", "near0", "near1")
    header = Header(
        meltemi_plan=VERSION,
        made_at=datetime.now(UTC),
        libraries={name: LibraryAddress(path=tmp_path / name) for name in names},
        identities={},
        routes={"route": PlannedRoute(Limits(), 10)},
    )
    save_plan(tmp_path / "plan", header, {"route": made})
    _, loaded = load_plan(tmp_path / "plan")
    assert loaded["route"].actions == made.actions
    source.served.clear()
    outcomes = await carry_out(loaded["route"], source, relay, *near, checked=True)
    assert {outcome.result for outcome in outcomes} == {Result.DONE}
    assert source.served == {coming.id: 100}
    again = await carry_out(loaded["route"], source, relay, *near, checked=True)
    assert Result.DONE not in results(again).values()
    assert near[0].data(known.id) == DATA
    unknown = {name: address for name, address in header.libraries.items() if name != "relay"}
    only = [a for a in made.actions if a.subject.target == "near0"]
    save_plan(tmp_path / "plan", replace(header, libraries=unknown), {"route": Plan((*only,))})
    with pytest.raises(UsageError, match="a library that the header does not know"):
        load_plan(tmp_path / "plan")


# By pieces


BUILD = noise(1, MIB)
NEXT = BUILD[: MIB // 2] + noise(2, MIB // 8) + BUILD[MIB // 2 :]


def exchanging(*names: str) -> list[ExchangingLibrary]:
    return [ExchangingLibrary(name) for name in names]


async def test_pieces_come_from_the_relay_too() -> None:
    athens, crete, naxos, paros = exchanging("athens", "crete", "naxos", "paros")
    athens.put(BUILD, name="build 1")
    await synced(athens, crete, naxos, paros, relay="crete")
    athens.exchange.sent = crete.exchange.sent = 0
    athens.requests.clear()
    crete.requests.clear()
    image = athens.put(NEXT, name="build 2")
    the_plan = await plan(athens, crete, naxos, paros, relay="crete")
    for action in the_plan.actions:
        assert action.wire is not None
        assert MIB // 8 < action.wire < MIB // 2
        assert "by pieces, at most" in action.reason
    outcomes = await carry_out(the_plan, athens, crete, naxos, paros)
    assert all(o.result is Result.DONE and o.wire <= o.action.traffic for o in outcomes)
    assert MIB // 8 < athens.exchange.sent < MIB // 2
    assert MIB // 4 < crete.exchange.sent < MIB
    assert not any(library.count("read") for library in (athens, crete))
    assert naxos.data(image.id) == paros.data(image.id) == NEXT


async def test_pieces_that_the_relay_has_are_priced_there() -> None:
    athens, crete, naxos = exchanging("athens", "crete", "naxos")
    athens.put(BUILD + bytes(MIB))
    crete.burnt.update(athens.images)  # it has the image under an id of its own
    await synced(athens, crete)
    athens.requests.clear()
    athens.exchange.sent = 0
    await synced(athens, crete, naxos, relay="crete")
    assert {kind for kind, _ in athens.requests} <= {"list", "show"}
    assert crete.exchange.sent


@pytest.mark.parametrize("known", [False, True])
async def test_images_that_are_made_of_each_other(known: bool) -> None:
    """The relay has the first one of them already, or none."""
    athens, crete, naxos = exchanging("athens", "crete", "naxos")
    sparse = bytes(MIB)
    first = athens.put(BUILD + sparse, name="build 1", created_at="2026-01-01T00:00:00Z")
    if known:
        crete.burnt.add(first.id)
        await synced(athens, crete)
    second = athens.put(NEXT + sparse, name="build 2", created_at="2026-01-02T00:00:00Z")
    the_plan = await plan(athens, crete, naxos, relay="crete")
    outcomes = await carry_out(the_plan, athens, crete, naxos)
    assert len(outcomes) == 4 - known
    assert all(o.result is Result.DONE and o.wire <= o.action.traffic for o in outcomes)
    wire = {(a.subject.target, a.subject.source_id): a.wire or 0 for a in the_plan.actions}
    assert MIB // 8 < wire["crete", second.id] < MIB // 2
    assert wire["naxos", first.id] >= MIB
    assert naxos.data(first.id) == BUILD + sparse
    assert naxos.data(second.id) == NEXT + sparse
    assert athens.exchange.sent < MIB * 1.5
    assert crete.exchange.sent < MIB * 1.5
    assert MIB // 8 < wire["naxos", second.id] < MIB // 2


async def test_from_a_glance_over_a_relay_that_exchanges(source: MemoryLibrary) -> None:
    crete, naxos = exchanging("crete", "naxos")
    source.put(BUILD, name="build 1")
    await synced(source, crete, naxos, relay="crete")
    crete.exchange.sent = 0
    crete.requests.clear()
    image = source.put(NEXT, name="build 2")
    the_plan = await plan(source, crete, naxos, relay="crete")
    assert reasons(the_plan) == {
        "crete": "it is missing; as a whole: source does not exchange pieces",
        "naxos": "it is missing; from the relay crete; by pieces, which crete has yet to get",
    }
    assert {action.traffic for action in the_plan.actions} == {len(NEXT)}
    outcomes = await carry_out(the_plan, source, crete, naxos)
    assert {outcome.result for outcome in outcomes} == {Result.DONE}
    assert MIB // 8 < crete.exchange.sent < MIB // 2
    assert not crete.count("read")
    assert naxos.data(image.id) == NEXT


async def test_a_hash_that_no_source_recorded_goes_with_pieces() -> None:
    source = MemoryLibrary("source", record=no_hashes)
    crete, naxos = exchanging("crete", "naxos")
    image = source.put(BUILD)
    await synced(source, crete, naxos, relay="crete")
    marks = [one.images[image.id].properties["meltemi_source_hash"] for one in (crete, naxos)]
    assert marks[0] == marks[1] == f"computed:sha512:{full_hashes(BUILD).value}"
