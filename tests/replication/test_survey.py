"""What a plan says: copies, updates, conflicts, what is left out, and what is not believed."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from meltemi.errors import AuthenticationError, QuotaError, UnreachableError, UsageError
from meltemi.model.image import Hashes, Image
from meltemi.model.plan import Kind, Standing
from meltemi.model.provenance import Provenance, Written, read_provenance
from meltemi.model.route import OnConflict, OnSourceDeletion, Rules, Selection
from meltemi.replication import delivery
from tests.replication.running import (
    carry_out,
    kinds,
    own_properties,
    plan,
    replicas,
    results,
    standings,
    sync,
    synced,
)
from tests.support.memory import MemoryLibrary, full_hashes, no_hashes, old_hashes

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def source() -> MemoryLibrary:
    return MemoryLibrary("source", project="theirs")


@pytest.fixture
def target() -> MemoryLibrary:
    return MemoryLibrary("target", project="ours")


def forged(image: Image, source: MemoryLibrary, source_id: str) -> Image:
    """Give an image a mark of origin that is bound to it, as anybody can write one."""
    origin = Provenance(source.identity, source_id, "", Written(), "2026-01-01T00:00:00Z")
    return replace(image, properties={**image.properties, **origin.properties(image.id)})


def put_forged(
    library: MemoryLibrary, source: MemoryLibrary, source_id: str, **attributes: object
) -> Image:
    image = library.put(b"poisoned", **attributes)
    return library.edit(image.id, properties=forged(image, source, source_id).properties)


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


# What stands at the target already


@pytest.mark.parametrize("record", [full_hashes, old_hashes])
async def test_an_image_with_the_same_id_and_data_is_adopted(
    source: MemoryLibrary, target: MemoryLibrary, record: object
) -> None:
    image = source.put(b"same", name="new name")
    target.record = old_hashes if record is old_hashes else full_hashes
    target.put(b"same", id=image.id, name="old name", properties={"local": "1"})
    found = await plan(source, target)
    assert kinds(found) == [Kind.RENAME]
    await synced(source, target)
    assert target.images[image.id].name == "new name"
    assert own_properties(target.images[image.id]) == {"local": "1"}
    assert target.count("upload") == 0
    assert image.id in replicas(source, target)


@pytest.mark.parametrize("policy", OnConflict)
async def test_an_id_taken_by_other_data(
    source: MemoryLibrary, target: MemoryLibrary, policy: OnConflict
) -> None:
    image = source.put(b"golden", name="debian", visibility="public")
    other = target.put(b"other", id=image.id, name="debian")
    outcomes = await sync(source, target, on_conflict=policy)
    if policy is OnConflict.SKIP:
        assert outcomes == []
        assert target.images == {image.id: other}
        assert standings(await plan(source, target)) == {image.id: Standing.CONFLICT}
        return
    assert target.data(image.id) == b"other"
    [replica] = replicas(source, target)[image.id]
    assert replica.id != image.id
    assert target.data(replica.id) == b"golden"
    assert replica.visibility == "public"
    assert replica.name == ("debian" if policy is OnConflict.REPLACE else "debian (source)")
    assert target.images[image.id].os_hidden == (policy is OnConflict.REPLACE)
    again = await plan(source, target, on_conflict=policy)
    assert (again.actions, again.notes) == ((), ())


@pytest.mark.parametrize("policy", OnConflict)
async def test_an_id_taken_by_another_owner_is_left_alone(
    source: MemoryLibrary, target: MemoryLibrary, policy: OnConflict
) -> None:
    image = source.put(b"golden", visibility="public")
    other = target.put(b"golden", id=image.id, owner="somebody", name="mine")
    for _ in range(2):
        await sync(source, target, on_conflict=policy)
    assert target.images[image.id] == other
    assert len(target.images) == (1 if policy is OnConflict.SKIP else 2)


@pytest.mark.parametrize("policy", OnConflict)
async def test_a_name_taken_by_another_image(
    source: MemoryLibrary, target: MemoryLibrary, policy: OnConflict
) -> None:
    image = source.put(b"golden", name="debian")
    other = target.put(b"local", name="debian")
    await sync(source, target, on_conflict=policy)
    if policy is OnConflict.SKIP:
        assert target.images == {other.id: other}
        assert (await plan(source, target)).differs
        return
    renamed = policy is OnConflict.RENAME
    assert target.images[image.id].name == ("debian (source)" if renamed else "debian")
    assert target.images[other.id].os_hidden == (not renamed)
    assert target.data(other.id) == b"local"
    again = await plan(source, target, on_conflict=policy)
    assert (again.actions, again.notes) == ((), ())


async def test_a_nameless_image_is_renamed_to_something_sensible(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    image = source.put(b"golden", name=None)
    target.put(b"other", id=image.id)
    await sync(source, target, on_conflict=OnConflict.RENAME)
    [replica] = replicas(source, target)[image.id]
    assert "None" not in str(replica.name)


@pytest.mark.parametrize("first", "0z")
async def test_the_replica_of_a_shared_image_is_found_wherever_it_is_listed(
    source: MemoryLibrary, target: MemoryLibrary, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    image = source.put(visibility="shared", id="5")
    for number in "123446789":
        source.put(id=f"{number}-other", name=number)
    target.put(id=image.id, owner="somebody")
    monkeypatch.setattr(delivery, "uuid", SimpleNamespace(uuid4=lambda: f"{first}-new"))
    options: dict[str, Any] = {"members": True, "on_conflict": OnConflict.RENAME}
    await synced(source, target, **options)
    assert [i.id for i in replicas(source, target)[image.id]] == [f"{first}-new"]


async def test_a_name_in_another_project_or_hidden_is_no_conflict(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    source.put(name="debian")
    target.put(b"1", name="debian", owner="somebody")
    target.put(b"2", name="debian", os_hidden=True)
    assert kinds(await plan(source, target)) == [Kind.COPY]


async def test_images_of_one_name_at_the_source_share_it_at_the_target(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    for number in range(3):
        source.put(bytes([number]), name="debian")
    await synced(source, target)
    source.put(b"another", name="debian")
    await synced(source, target)
    assert [image.name for image in target.images.values()] == ["debian"] * 4


async def test_the_name_of_what_takes_anothers_place_stays_at_the_other_when_it_fails(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    image = source.put(b"golden", name="debian")
    other = target.put(b"local", name="debian")
    target.fail("upload", QuotaError("target: full"))
    await sync(source, target, on_conflict=OnConflict.REPLACE)
    assert not target.images[other.id].os_hidden
    await sync(source, target, on_conflict=OnConflict.REPLACE)
    assert target.data(image.id) == b"golden"


# Replicas, and who may say so


async def test_replicas_are_not_echoed(source: MemoryLibrary, target: MemoryLibrary) -> None:
    image = source.put(b"one", name="one")
    local = target.put(b"two", name="two")
    for _ in range(2):
        await sync(source, target)
        await sync(target, source)
    assert set(source.images) == set(target.images) == {image.id, local.id}
    for one, other in ((source, target), (target, source)):
        again = await plan(one, other)
        assert again.actions == ()
        assert set(standings(again).values()) == {Standing.LEFT_OUT}


async def test_replicas_travel_on_where_the_route_says_so(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    image = source.put(b"one")
    third = MemoryLibrary("third")
    await synced(source, target)
    await synced(target, third, replicas=True)
    [replica] = replicas(target, third)[image.id]
    assert replica.properties["meltemi_source"] == f"memory://target/{image.id}"


async def test_a_snapshot_that_inherited_a_mark_is_no_replica(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    golden = source.put(b"golden")
    await synced(source, target)
    properties = target.images[golden.id].properties
    snapshot = target.put(b"snapshot", name="snapshot", properties=properties)
    assert (await plan(source, target, on_source_deletion=OnSourceDeletion.DELETE)).actions == ()
    source.remove(golden.id)
    found = await plan(source, target, on_source_deletion=OnSourceDeletion.DELETE)
    assert [action.target_id for action in found.actions] == [golden.id]
    third = MemoryLibrary("third")
    await sync(target, third)
    assert own_properties(third.images[snapshot.id]) == {}
    assert golden.id not in third.images


async def test_a_mark_forged_in_another_project_is_not_believed(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    image = source.put(b"golden")
    fake = put_forged(target, source, image.id, owner="attacker")
    await synced(source, target)
    assert target.data(image.id) == b"golden"
    assert target.images[fake.id] == target.states[fake.id][-1]
    source.remove(image.id)
    await sync(source, target, on_source_deletion=OnSourceDeletion.DELETE)
    assert list(target.images) == [fake.id]


@pytest.mark.parametrize("owners", [{"theirs": "ours", "tenant": "attacker"}, {"*": "*"}])
@pytest.mark.parametrize("policy", OnConflict)
async def test_a_mark_forged_in_a_project_of_the_table_takes_over_nothing(
    source: MemoryLibrary, target: MemoryLibrary, owners: dict[str, str], policy: OnConflict
) -> None:
    kernel = source.put(b"kernel", name="kernel")
    image = source.put(b"golden", visibility="shared", properties={"kernel_id": kernel.id})
    options: dict[str, Any] = {"owners": owners, "members": True, "on_conflict": policy}
    await synced(source, target, **options)
    before = {image_id: target.images[image_id] for image_id in (kernel.id, image.id)}
    fakes = [
        put_forged(target, source, of, owner="attacker", id=f"{first}{of}")
        for of in (kernel.id, image.id)
        for first in "0z"
    ]
    await sync(source, target, **options)
    assert {image_id: target.images[image_id] for image_id in before} == before
    assert len(target.images) == 2 + len(fakes)
    again = await plan(source, target, **options)
    assert (again.actions, again.notes) == ((), ())


async def test_a_forged_kernel_is_not_booted_by_what_is_copied(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    kernel = source.put(b"kernel")
    image = source.put(b"golden", properties={"kernel_id": kernel.id})
    put_forged(target, source, kernel.id, owner="attacker")
    await sync(source, target, owners={"*": "*"})
    assert target.images[image.id].properties["kernel_id"] == kernel.id
    assert target.data(kernel.id) == b"kernel"


async def test_a_mapping_is_followed_among_forgeries(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    image = source.put(b"golden")
    target.burnt.add(image.id)
    await synced(source, target, owners={"*": "*"})
    [replica] = replicas(source, target)[image.id]
    for first in "0z":
        put_forged(target, source, image.id, owner="attacker", id=f"{first}{image.id}")
    source.edit(image.id, name="renamed")
    await synced(source, target, owners={"*": "*"})
    assert target.images[replica.id].name == "renamed"
    assert len(target.images) == 3


async def test_a_mark_of_another_source_counts_for_that_one_only(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    other = MemoryLibrary("other source", project="theirs")
    image = other.put(b"one", name="one")
    await synced(other, target)
    found = await plan(source, target, on_source_deletion=OnSourceDeletion.DELETE)
    assert found.actions == ()
    assert image.id in target.images


HOSTILE = [
    {"meltemi_replicated_at": "claimed until 2026-01-01T00:00:00 by x/1"},
    {"meltemi_replicated_at": "claimed until 9999-12-31T23:59:59-23:59 by x/1"},
    {"meltemi_replicated_at": "claimed until  by "},
    {"meltemi_written": "["},
    {"meltemi_written": "[" * 100_000},
    {"meltemi_source": "/"},
]


@pytest.mark.parametrize("properties", HOSTILE)
async def test_nonsense_in_a_mark_stops_no_plan(
    source: MemoryLibrary, target: MemoryLibrary, properties: dict[str, str]
) -> None:
    image = source.put(b"golden")
    await synced(source, target)
    for attributes in ({}, {"status": "queued"}, {"status": "saving"}):
        mark = {**target.images[image.id].properties, **properties}
        target.edit(image.id, properties=mark, **attributes)
        await plan(source, target, on_source_deletion=OnSourceDeletion.DELETE)


# Changes


async def test_changes_of_the_source_flow_and_those_of_the_target_stay(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    image = source.put(
        b"data", name="a", tags=frozenset({"s", "t"}), properties={"p": "1", "q": "1", "r": "1"}
    )
    await synced(source, target)
    mark = target.images[image.id].properties
    target.edit(
        image.id,
        properties={k: v for k, v in {**mark, "q": "2", "own": "1"}.items() if k != "r"},
        tags=frozenset({"s", "mine"}),
        min_ram=99,
    )
    assert (await plan(source, target)).actions == ()
    source.edit(
        image.id,
        name="b",
        properties={"p": "2", "q": "1", "r": "1", "new": "1"},
        tags=frozenset({"t", "u"}),
        min_disk=5,
        visibility="public",
        protected=True,
        status="deactivated",
    )
    await synced(source, target)
    replica = target.images[image.id]
    assert own_properties(replica) == {"p": "2", "q": "2", "own": "1", "new": "1"}
    assert replica.tags == {"mine", "u"}
    assert (replica.name, replica.min_disk, replica.min_ram) == ("b", 5, 99)
    assert (replica.visibility, replica.protected, replica.status) == (
        "public",
        True,
        "deactivated",
    )
    source.edit(image.id, properties={}, tags=frozenset())
    await synced(source, target)
    replica = target.images[image.id]
    assert own_properties(replica) == {"q": "2", "own": "1"}
    assert replica.tags == {"mine"}


async def test_members_are_merged(source: MemoryLibrary, target: MemoryLibrary) -> None:
    image = source.put(b"data", visibility="shared")
    source.share(image.id, a="pending", b="accepted")
    await synced(source, target, members=True)
    assert target.members(image.id) == {"a": "pending", "b": "accepted"}
    target.share(image.id, a="rejected", mine="pending")
    await synced(source, target, members=True)
    assert target.members(image.id) == {"a": "rejected", "mine": "pending"}
    source.share(image.id, c="accepted")
    assert kinds(await plan(source, target, members=True)) == [Kind.SHARE]
    await synced(source, target, members=True)
    assert target.members(image.id) == {"mine": "pending", "c": "accepted"}


async def test_members_are_mapped_like_owners(source: MemoryLibrary, target: MemoryLibrary) -> None:
    image = source.put(b"data", visibility="shared")
    source.share(image.id, a="pending", b="pending")
    await synced(source, target, members=True, owners={"a": "mapped"})
    assert target.members(image.id) == {"mapped": "pending", "b": "pending"}


async def test_members_wait_for_an_image_that_is_shared(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    image = source.put(b"data", visibility="shared")
    source.share(image.id, a="pending")
    await synced(source, target, members=True, visibility="private")
    assert target.members(image.id) == {}
    await synced(source, target, members=True)
    assert target.members(image.id) == {"a": "pending"}


async def test_members_of_an_image_that_the_operator_took_back_stay_away(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    image = source.put(b"data", visibility="shared")
    await synced(source, target, members=True)
    target.edit(image.id, visibility="private")
    source.share(image.id, a="pending")
    await synced(source, target, members=True)
    assert target.members(image.id) == {}
    target.edit(image.id, visibility="shared")
    await synced(source, target, members=True)
    assert target.members(image.id) == {"a": "pending"}


async def test_what_is_never_carried(source: MemoryLibrary, target: MemoryLibrary) -> None:
    image = source.put(
        b"data",
        properties={
            "os_glance_importing_to_stores": "x",
            "meltemi_region": "x",
            "img_signature_certificate_uuid": "cert",
            "cinder_encryption_key_id": "key",
            "cinder_encryption_key_deletion_policy": "on_image_deletion",
            "dropped": "x",
            "img_signature": "carried",
        },
    )
    await synced(source, target, drop=frozenset({"dropped"}))
    assert own_properties(target.images[image.id]) == {"img_signature": "carried"}


async def test_ids_of_secrets_are_mapped(source: MemoryLibrary, target: MemoryLibrary) -> None:
    image = source.put(
        properties={
            "cinder_encryption_key_id": "key",
            "cinder_encryption_key_deletion_policy": "never",
        }
    )
    await synced(source, target, values={"cinder_encryption_key_id": {"key": "other key"}})
    assert own_properties(target.images[image.id]) == {
        "cinder_encryption_key_id": "other key",
        "cinder_encryption_key_deletion_policy": "never",
    }


async def test_only_metadata(source: MemoryLibrary, target: MemoryLibrary) -> None:
    here, there = source.put(b"1", name="here"), source.put(b"2", name="there")
    target.put(b"1", id=here.id, name="old")
    await sync(source, target, metadata_only=True)
    assert target.images[here.id].name == "here"
    assert there.id not in target.images
    assert target.count("upload") == 0
    assert standings(await plan(source, target, metadata_only=True)) == {
        there.id: Standing.LEFT_OUT
    }


async def test_only_metadata_of_an_archive(source: MemoryLibrary) -> None:
    archive = MemoryLibrary("archive", project=None, keeps_owners=True)
    image = source.put(b"1", name="here", visibility="public", owner="them")
    await sync(source, archive, metadata_only=True)
    assert archive.count("upload") == source.count("read") == 0
    kept = archive.images[image.id]
    assert (kept.name, kept.visibility, kept.owner) == ("here", "public", "them")
    assert (await plan(source, archive, metadata_only=True)).actions == ()


async def test_an_archive_mirrors(source: MemoryLibrary) -> None:
    archive = MemoryLibrary("archive", project=None, keeps_owners=True)
    image = source.put(b"1", name="a", visibility="public", properties={"p": "1", "q": "1"})
    await synced(source, archive)
    kept = archive.images[image.id]
    assert (kept.visibility, kept.owner, dict(kept.properties)) == (
        "public",
        "theirs",
        {"p": "1", "q": "1"},
    )
    archive.edit(image.id, name="edited")
    source.edit(image.id, properties={"p": "2"})
    await synced(source, archive)
    assert archive.images[image.id].name == "a"
    assert dict(archive.images[image.id].properties) == {"p": "2"}


# Owners


@pytest.mark.parametrize(
    ("owners", "expected"),
    [
        ({}, "ours"),
        ({"theirs": "mapped"}, "mapped"),
        ({"*": "all"}, "all"),
        ({"*": "*"}, "theirs"),
        ({"theirs": "mapped", "*": "*"}, "mapped"),
        ({"other": "x"}, "ours"),
    ],
)
async def test_owners(
    source: MemoryLibrary, target: MemoryLibrary, owners: dict[str, str], expected: str
) -> None:
    image = source.put()
    await synced(source, target, owners=owners)
    assert target.images[image.id].owner == expected


# Kernels


async def test_kernels_come_along_unselected(source: MemoryLibrary, target: MemoryLibrary) -> None:
    kernel, other = source.put(b"kernel", name="k"), source.put(b"other", name="o")
    image = source.put(b"image", name="wanted", properties={"kernel_id": kernel.id})
    chosen = Selection(match=(Rules(names=("wanted",)),))
    await synced(source, target, selection=chosen)
    assert set(target.images) == {kernel.id, image.id}
    assert other.id not in target.images


async def test_a_kernel_that_is_nowhere_does_not_hold_up_its_image(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    image = source.put(properties={"kernel_id": "nowhere", "ramdisk_id": ""})
    await synced(source, target)
    assert target.images[image.id].properties["kernel_id"] == "nowhere"


async def test_a_kernel_under_a_new_id_is_known_in_later_runs(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    kernel = source.put(b"kernel")
    target.burnt.add(kernel.id)
    await synced(source, target)
    [replica] = replicas(source, target)[kernel.id]
    image = source.put(b"image", properties={"kernel_id": kernel.id})
    await synced(source, target)
    assert target.images[image.id].properties["kernel_id"] == replica.id


# Deletions


@pytest.mark.parametrize("mapped", [False, True])
async def test_what_the_source_deleted(
    source: MemoryLibrary, target: MemoryLibrary, mapped: bool
) -> None:
    image, kept = source.put(b"1", name="1", protected=True), source.put(b"2", name="2")
    local = target.put(b"3", name="local")
    if mapped:
        target.burnt.update({image.id, kept.id})
    await synced(source, target)
    [replica] = replicas(source, target)[image.id]
    source.remove(image.id)
    assert (await plan(source, target)).actions == ()
    found = await plan(source, target, on_source_deletion=OnSourceDeletion.HIDE)
    assert kinds(found) == [Kind.HIDE]
    await synced(source, target, on_source_deletion=OnSourceDeletion.HIDE)
    assert target.images[replica.id].os_hidden
    await synced(source, target, on_source_deletion=OnSourceDeletion.DELETE)
    assert replica.id not in target.images
    assert local.id in target.images
    assert len(target.images) == 2


async def test_what_the_targets_operator_protected_is_not_deleted(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    image = source.put()
    await synced(source, target)
    target.edit(image.id, protected=True)
    source.remove(image.id)
    await sync(source, target, on_source_deletion=OnSourceDeletion.DELETE)
    assert image.id in target.images


async def test_grace(source: MemoryLibrary, target: MemoryLibrary) -> None:
    image = source.put()
    await synced(source, target)
    source.remove(image.id)
    options: dict[str, Any] = {
        "on_source_deletion": OnSourceDeletion.DELETE,
        "grace": timedelta(days=7),
    }
    first = await plan(source, target, now=NOW, **options)
    assert kinds(first) == [Kind.UPDATE]
    await carry_out(first, source, target)
    for days, expected in ((0, []), (6, []), (7, [Kind.DELETE])):
        found = await plan(source, target, now=NOW + timedelta(days=days), **options)
        assert kinds(found) == expected


async def test_grace_begins_anew_where_the_source_came_back(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    image = source.put()
    await synced(source, target)
    source.admin = False
    source.edit(image.id, owner="hidden from us")
    options: dict[str, Any] = {
        "on_source_deletion": OnSourceDeletion.DELETE,
        "grace": timedelta(days=7),
    }
    await sync(source, target, now=NOW, **options)
    source.edit(image.id, owner="theirs")
    await sync(source, target, now=NOW + timedelta(days=8), **options)
    source.edit(image.id, owner="hidden from us")
    found = await plan(source, target, now=NOW + timedelta(days=9), **options)
    assert kinds(found) == [Kind.UPDATE]


async def test_what_a_selection_no_longer_has_stays(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    image, mapped = source.put(name="one"), source.put(name="two")
    target.burnt.add(mapped.id)
    await synced(source, target)
    found = await plan(
        source,
        target,
        selection=Selection(match=(Rules(names=("nothing",)),)),
        on_source_deletion=OnSourceDeletion.DELETE,
    )
    assert found.actions == ()
    assert image.id in target.images


async def test_a_hidden_replica_is_shown_again_when_its_source_is_back(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    image = source.put()
    await synced(source, target)
    source.admin = False
    source.edit(image.id, owner="hidden from us")
    await sync(source, target, on_source_deletion=OnSourceDeletion.HIDE)
    assert target.images[image.id].os_hidden
    source.edit(image.id, owner="theirs")
    await synced(source, target, on_source_deletion=OnSourceDeletion.HIDE)
    assert not target.images[image.id].os_hidden


async def test_a_source_that_is_back_before_the_deletion_saves_its_replica(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    image = source.put()
    await synced(source, target)
    source.admin = False
    source.edit(image.id, owner="hidden from us")
    found = await plan(source, target, on_source_deletion=OnSourceDeletion.DELETE)
    source.edit(image.id, owner="theirs")
    outcomes = await carry_out(found, source, target)
    assert set(results(outcomes).values()) == {"stale"}
    assert image.id in target.images


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


async def test_a_route_removes_only_what_it_has_written(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    image = source.put(b"golden")
    await sync(source, target, called="golden")
    await source.delete(image.id)
    gone = await plan(source, target, called="nightly", on_source_deletion=OnSourceDeletion.DELETE)
    assert not gone.actions
    [action] = (
        await plan(source, target, called="golden", on_source_deletion=OnSourceDeletion.DELETE)
    ).actions
    assert action.kind is Kind.DELETE


async def test_an_image_does_not_come_without_its_kernel(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    kernel = source.put(b"kernel", name="k")
    source.put(b"disk", name="d", properties={"kernel_id": kernel.id})
    target.put(b"a stranger's kernel", id=kernel.id, name="other")
    found = await plan(source, target)
    assert not found.actions
    assert {note.standing for note in found.notes} == {Standing.CONFLICT}
    assert any("boots with" in note.reason for note in found.notes)


async def test_an_image_whose_kernel_the_source_has_lost_does_not_boot_with_another(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    lost = "11111111-2222-4333-8444-555555555555"
    source.put(b"disk", name="d", properties={"kernel_id": lost})
    assert [action.kind for action in (await plan(source, target)).actions] == [Kind.COPY]
    target.put(b"a stranger's kernel", id=lost, name="other")
    assert not (await plan(source, target)).actions


async def test_a_source_under_another_address_finds_its_mapped_replicas(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    image = source.put(b"data")
    target.burnt.add(image.id)
    await sync(source, target)
    source.identity = "memory://another-name"
    assert [action.kind for action in (await plan(source, target)).actions] == [Kind.UPDATE]
    await sync(source, target)
    assert len(target.images) == 1


async def test_adoption_leaves_closed_what_the_target_closed(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    image = source.put(b"data", name="new")
    target.put(
        b"data", id=image.id, name="old", protected=True, os_hidden=True, status="deactivated"
    )
    await sync(source, target)
    there = target.images[image.id]
    assert (there.name, there.protected, there.os_hidden) == ("new", True, True)
    assert there.status == "deactivated"
    assert not (await plan(source, target)).actions


async def test_base_attributes_are_left_behind_too(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    image = source.put(b"data", protected=True, tags=frozenset({"a"}), min_ram=5)
    await sync(source, target, drop=frozenset({"protected", "tags", "min_ram"}))
    there = target.images[image.id]
    assert (there.protected, there.tags, there.min_ram) == (False, frozenset(), 0)
    assert not (
        await plan(source, target, drop=frozenset({"protected", "tags", "min_ram"}))
    ).actions
