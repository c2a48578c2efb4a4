"""What a plan says of what is missing, what is in sync, and lists that fail or are in disorder."""

import pytest

from meltemi.errors import AuthenticationError, UnreachableError, UsageError
from meltemi.model.image import Hashes
from meltemi.model.plan import Kind, Standing
from meltemi.model.provenance import read_provenance
from meltemi.model.route import OnSourceDeletion
from tests.replication.running import kinds, plan, standings, synced
from tests.support.memory import MemoryLibrary, full_hashes, no_hashes

# What is missing


async def test_everything_that_is_missing_is_copied(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    images = [source.put(bytes(n), name=f"i{n}", os_hidden=n % 2 == 0) for n in range(9)]
    found = await plan(source, target)
    assert kinds(found) == [Kind.COPY] * 9
    assert {a.target_id for a in found.actions} == {i.id for i in images}
    assert found.bytes == sum(range(9))
    assert found.differs
    assert target.images == {}


async def test_what_is_in_sync_is_counted(source: MemoryLibrary, target: MemoryLibrary) -> None:
    for _ in range(4):
        source.put()
    await synced(source, target)
    found = await plan(source, target)
    assert (found.actions, found.notes) == ((), ())
    assert found.in_sync == {("route", "target"): 4}
    assert not found.differs


async def test_the_second_plan_takes_no_more_than_the_listings(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    for number in range(7):
        source.put(name=f"i{number}")
    await synced(source, target)
    source.requests.clear()
    target.requests.clear()
    await plan(source, target)
    assert source.requests == [("list", "")]
    assert target.requests == [("list", "")]


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"status": "queued", "size": None, "hashes": Hashes()}, "no data yet"),
        ({"status": "saving"}, "it is saving"),
        ({"status": "killed"}, "it is killed"),
        ({"size": 0, "properties": {"block_device_mapping": "[]"}}, "volume snapshot"),
        ({"size": None, "properties": {"block_device_mapping": "[]"}}, "volume snapshot"),
    ],
)
async def test_what_has_no_data_is_left_out_with_its_reason(
    source: MemoryLibrary,
    target: MemoryLibrary,
    attributes: dict[str, object],
    reason: str,
) -> None:
    image = source.put(b"", **attributes)
    found = await plan(source, target)
    assert found.actions == ()
    assert standings(found) == {image.id: Standing.LEFT_OUT}
    assert reason in found.notes[0].reason
    assert not found.differs


async def test_a_snapshot_with_data_of_its_own_is_carried(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    source.put(b"bytes", properties={"block_device_mapping": "[]"})
    assert kinds(await plan(source, target)) == [Kind.COPY]


async def test_library_and_target_must_differ(source: MemoryLibrary) -> None:
    same = MemoryLibrary("other name")
    same.identity = source.identity
    with pytest.raises(UsageError, match="same library"):
        await plan(source, same)


# Listings that fail, and disorder


async def test_a_target_that_cannot_be_listed_does_not_stop_the_others(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    broken = MemoryLibrary("broken")
    broken.fail("list", UnreachableError("broken: no answer", library="broken"), at=1)
    for _ in range(5):
        broken.put()
        source.put()
    found = await plan(source, broken, target)
    assert set(found.errors) == {"broken"}
    assert kinds(found) == [Kind.COPY] * 5
    assert {action.subject.target for action in found.actions} == {"target"}


async def test_a_source_that_cannot_be_listed_ends_the_plan(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    source.fail("list", AuthenticationError("source: no"), at=1)
    for _ in range(5):
        source.put()
    with pytest.raises(AuthenticationError):
        await plan(source, target)


async def test_where_no_target_can_be_listed_its_error_ends_the_plan(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    target.fail("list", UnreachableError("target: no answer", library="target"))
    source.put()
    with pytest.raises(UnreachableError):
        await plan(source, target)


@pytest.mark.parametrize("page", [1, 2, 3, 100])
@pytest.mark.parametrize("which", ["source", "target"])
async def test_a_listing_in_disorder_gives_the_same_plan(
    source: MemoryLibrary, target: MemoryLibrary, which: str, page: int
) -> None:
    ids = [*"aBcDeFgHiJ"]
    for image_id in ids:
        source.put(id=image_id)
    await synced(source, target)
    source.put(id="b")
    target.remove("g")
    library = {"source": source, "target": target}[which]
    library.page = page
    library.order = lambda images: sorted(images, key=lambda image: image.id.lower())
    found = await plan(source, target, on_source_deletion=OnSourceDeletion.DELETE)
    assert {a.subject.source_id: a.kind for a in found.actions} == {
        "b": Kind.COPY,
        "g": Kind.COPY,
    }


# Sources without a recorded hash


async def test_a_source_without_a_hash_is_marked_as_computed() -> None:
    source = MemoryLibrary("source", record=no_hashes)
    target = MemoryLibrary("target")
    image = source.put(b"snapshot")
    await synced(source, target)
    origin = read_provenance(target.images[image.id])
    assert origin is not None
    assert origin.source_hash == f"computed:sha512:{full_hashes(b'snapshot').value}"
    source.edit(image.id, name="renamed")
    await synced(source, target)
    assert target.images[image.id].name == "renamed"
    again = read_provenance(target.images[image.id])
    assert again is not None
    assert again.source_hash == origin.source_hash


async def test_the_same_data_is_known_by_different_hashes() -> None:
    source = MemoryLibrary("source", record=lambda data: Hashes(None, "sha256", f"{len(data)}"))
    target = MemoryLibrary("target")
    image = source.put(b"1234")
    target.put(b"5678", id=image.id)
    found = await plan(source, target)
    assert standings(found) == {image.id: Standing.CONFLICT}, "sizes prove nothing"
