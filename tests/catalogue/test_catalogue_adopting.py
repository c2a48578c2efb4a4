"""What is known of the adoption of a Glance."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from meltemi.catalogue.adopting_base import Known
from meltemi.catalogue.sql import SqlCatalogue
from meltemi.errors import ConflictError, StaleRecordError, VanishedError
from meltemi.model.adoption import Missing, Stage
from meltemi.model.image import Hashes, Image, Member
from meltemi.model.record import Content, Record
from tests.catalogue.recording import ADMIN, data, fresh, full

GLANCE, OTHER_GLANCE = "http://glance.example", "http://other.example"
FOLLOWER, ME, OTHER = "f" * 32, "a" * 32, "b" * 32
TIMES = {"created_at": "2019-01-02T03:04:05.000000Z", "updated_at": "2020-01-02T03:04:05.000000Z"}
MEMBERS = (
    Member("p1", "accepted", "2019-02-02T03:04:05.000000Z", "2019-03-02T03:04:05.000000Z"),
    Member("p2", "pending", "2019-02-02T03:04:06.000000Z", "2019-03-02T03:04:06.000000Z"),
)
HASHES = Hashes("m" * 32, "sha512", "s" * 128)


def image(**attributes: Any) -> Image:
    """Make an image as a Glance has it, with data unless something else is said."""
    usual = {"id": str(uuid4()), "status": "active", "size": 5, "hashes": HASHES}
    return Image(**{**usual, **TIMES, **attributes})


async def begun(catalogue: SqlCatalogue, found: Sequence[Known] = ()) -> None:
    """Let the adoption of a Glance with some images run."""
    await catalogue.ledger.begin(GLANCE, FOLLOWER)
    await catalogue.ledger.add(FOLLOWER, found)
    await catalogue.ledger.compared(FOLLOWER)


async def stage(catalogue: SqlCatalogue) -> Stage | None:
    state = await catalogue.ledger.state()
    return None if state is None else state.stage


async def adopted(catalogue: SqlCatalogue, **attributes: Any) -> Record:
    """Let an adoption run of a Glance with one image; give that."""
    one = image(**attributes)
    await begun(catalogue, [Known(one)])
    return await catalogue.get(one.id, ADMIN)


async def brought(catalogue: SqlCatalogue, record: Record) -> Content:
    """Bring an image its data."""
    content = replace(data(5), hashes=Hashes("m" * 32, "sha512", "s" * 128))
    assert await catalogue.ledger.claim(record.image.id, ME)
    await catalogue.ledger.fill(record, content, ME)
    return content


async def test_an_adoption_runs_once_everything_was_compared(catalogue: SqlCatalogue) -> None:
    ledger = catalogue.ledger
    assert await ledger.state() is None
    started = await ledger.begin(GLANCE, FOLLOWER)
    assert (started.endpoint, started.stage, started.compared_at) == (GLANCE, Stage.READING, None)
    assert not await ledger.follow(OTHER)  # nobody else does before it runs
    with pytest.raises(ConflictError):
        await ledger.compared(OTHER)
    await ledger.compared(FOLLOWER)
    state = await ledger.state()
    assert state is not None
    assert (state.stage, state.started_at) == (Stage.RUNNING, started.started_at)
    assert (state.compared_at or "") >= started.started_at


async def test_beginning_again(catalogue: SqlCatalogue) -> None:
    ledger = catalogue.ledger
    await begun(catalogue)
    await ledger.begin(GLANCE, OTHER)
    with pytest.raises(ConflictError, match="follows"):
        await ledger.add(FOLLOWER, [])
    await ledger.add(OTHER, [])
    with pytest.raises(ConflictError, match="another Glance"):
        await ledger.begin(OTHER_GLANCE, OTHER)


async def test_a_region_with_images_adopts_nothing(catalogue: SqlCatalogue) -> None:
    own = await catalogue.add(fresh())
    assert await catalogue.ledger.own() == [own.image.id]
    with pytest.raises(ConflictError, match="images of its own"):
        await catalogue.ledger.begin(GLANCE, FOLLOWER)
    assert await catalogue.ledger.state() is None


async def test_one_follows_as_long_as_it_lives(catalogue: SqlCatalogue) -> None:
    ledger = catalogue.ledger
    await begun(catalogue)
    await catalogue.beat(ME)
    await catalogue.beat(OTHER)
    assert await ledger.follow(ME)
    assert await ledger.follow(ME)
    assert not await ledger.follow(OTHER)
    await catalogue.bury(ME)
    assert await ledger.follow(OTHER)


async def test_images_are_taken_over_as_they_are(catalogue: SqlCatalogue) -> None:
    whole = image(**full(), virtual_size=10)
    queued = image(status="queued", size=None, hashes=Hashes())
    late = image(properties={"os_glance_import_task": "x"})
    await begun(catalogue, [Known(whole, MEMBERS), Known(queued), Known(late)])
    record = await catalogue.get(whole.id, ADMIN)
    assert (record.image, record.is_remote) == (whole, True)
    assert tuple(await catalogue.members(whole.id)) == MEMBERS
    members = await catalogue.members(whole.id)
    assert [(one.created_at, one.updated_at) for one in members] == [
        (one.created_at, one.updated_at) for one in MEMBERS
    ]
    assert (await catalogue.get(queued.id, ADMIN)).content is None
    known = await catalogue.ledger.known([whole.id, queued.id, "nothing"])
    assert known == {whole.id: Known(whole, MEMBERS), queued.id: Known(queued)}
    assert await catalogue.ledger.names() == {whole.id, queued.id, late.id}
    assert await catalogue.ledger.is_settled(whole.id)
    assert not await catalogue.ledger.is_settled(queued.id)
    assert not await catalogue.ledger.is_settled(late.id)
    assert not await catalogue.ledger.is_settled("nothing")
    await catalogue.ledger.add(FOLLOWER, [Known(replace(whole, name="late"))])
    assert (await catalogue.get(whole.id, ADMIN)).image == whole


async def test_what_is_older_is_not_taken(catalogue: SqlCatalogue) -> None:
    ledger = catalogue.ledger
    record = await adopted(catalogue)
    one, version = record.image, record.version
    assert await ledger.version(one.id) == version
    await ledger.take(Known(one), version)  # nothing new, and yet a new version
    with pytest.raises(StaleRecordError):
        await ledger.take(Known(replace(one, name="older")), version)
    with pytest.raises(StaleRecordError):
        await ledger.drop(one.id, version)
    with pytest.raises(StaleRecordError):
        await ledger.take(Known(one), None)
    assert (await catalogue.get(one.id, ADMIN)).image == one
    await ledger.drop(one.id, version + 1)
    assert await ledger.version(one.id) is None
    with pytest.raises(StaleRecordError):
        await ledger.take(Known(one), version + 1)
    await ledger.take(Known(replace(one, visibility="shared"), MEMBERS), None)
    assert len(await catalogue.members(one.id)) == 2


async def test_data_that_is_here_stays_where_it_is_the_same(catalogue: SqlCatalogue) -> None:
    ledger = catalogue.ledger
    record = await adopted(catalogue, hashes=Hashes())
    one = record.image
    content = await brought(catalogue, record)
    for changed in (
        replace(one, name="new", status="deactivated"),
        replace(one, hashes=HASHES),  # computed by the Glance at last
    ):
        await ledger.take(Known(changed), await ledger.version(one.id))
        found = await catalogue.get(one.id, ADMIN)
        assert (found.image, found.content) == (changed, content.id)
    for changed in (
        replace(one, size=6),
        replace(one, hashes=Hashes("x" * 32, "sha512", "y" * 128)),
    ):
        await ledger.take(Known(changed), await ledger.version(one.id))
        found = await catalogue.get(one.id, ADMIN)
        assert (found.image, found.is_remote) == (changed, True)
    assert [gone.id for gone in await catalogue.loose() if gone.id == content.id]
    emptied = replace(one, status="queued", size=None)
    await ledger.take(Known(emptied), await ledger.version(one.id))
    assert (await catalogue.get(one.id, ADMIN)).content is None


async def test_images_are_held_by_one_who_lives(catalogue: SqlCatalogue) -> None:
    ledger = catalogue.ledger
    large, small, queued = image(size=9), image(size=1), image(status="queued", size=None)
    await begun(catalogue, [Known(large), Known(small), Known(queued)])
    await catalogue.beat(ME)
    await catalogue.beat(OTHER)
    first = await ledger.claim_next(ME)
    second = await ledger.claim_next(ME)
    assert first is not None
    assert second is not None
    assert (first.image.id, second.image.id) == (small.id, large.id)
    assert await ledger.claim_next(OTHER) is None
    assert not await ledger.claim(small.id, OTHER)
    assert await ledger.claim(small.id, ME)
    assert not await ledger.claim(queued.id, ME)
    await catalogue.bury(ME)
    assert await ledger.claim(small.id, OTHER)
    with pytest.raises(ConflictError):
        await ledger.fill(first, data(1), ME)
    await ledger.release(small.id, ME, "not mine")
    assert not [one for one in await ledger.missing() if one.problem]
    await ledger.release(small.id, OTHER, "broken", failed=True)
    again = await ledger.claim_next(OTHER)
    assert again is not None
    assert again.image.id == large.id  # what failed comes last


async def test_an_image_gets_the_data_that_it_was_held_for(catalogue: SqlCatalogue) -> None:
    ledger = catalogue.ledger
    record = await adopted(catalogue, virtual_size=50)
    one = record.image
    content = await brought(catalogue, record)
    found = await catalogue.get(one.id, ADMIN)
    assert (found.image, found.content) == (one, content.id)
    copy = await catalogue.clone(one.id, fresh(status="active"))
    assert (copy.image.size, copy.image.virtual_size) == (5, 50)
    await catalogue.remove(copy.image.id)
    assert not await catalogue.ledger.claim(one.id, ME)
    assert await catalogue.loose() == []
    await ledger.take(Known(replace(one, size=6)), await ledger.version(one.id))
    held = await ledger.claim_next(ME)
    assert held is not None
    await ledger.take(Known(replace(one, size=7)), await ledger.version(one.id))
    with pytest.raises(ConflictError):
        await ledger.fill(held, data(6), ME)


async def test_how_far_it_is(catalogue: SqlCatalogue) -> None:
    ledger = catalogue.ledger
    found = [
        image(id="1", name="here", size=7),
        image(id="2", name="bad", size=20, status="deactivated"),
        image(id="3", name="late", size=30, hashes=Hashes()),
        image(id="4", name="coming", size=None, status="importing"),
        image(id="5", name="queued", size=None, status="queued"),
        image(id="6", name="odd", size=None),
    ]
    await begun(catalogue, [Known(one) for one in found])
    await brought(catalogue, await catalogue.get("1", ADMIN))
    assert await ledger.claim("2", ME)
    await ledger.release("2", ME, "it is broken", failed=True)
    progress = await ledger.progress()
    assert (progress.images, progress.with_data, progress.here) == (6, 4, 1)
    assert (progress.size, progress.size_here) == (57, 7)
    assert (progress.failed, progress.unverifiable) == (1, 1)
    assert await ledger.missing() == [
        Missing("2", "bad", "deactivated", "it is broken"),
        Missing("3", "late", "active"),
        Missing("4", "coming", "importing"),
        Missing("6", "odd", "active"),
    ]


async def test_changes_are_passed_on_only_while_it_runs(catalogue: SqlCatalogue) -> None:
    ledger = catalogue.ledger
    assert await ledger.begin_passing(ME) == (None, None)
    await ledger.begin(GLANCE, FOLLOWER)
    assert (await ledger.begin_passing(ME))[1] is None
    await ledger.compared(FOLLOWER)
    await catalogue.beat(ME)
    _, number = await ledger.begin_passing(ME)
    assert number is not None
    assert (await ledger.begin_passing(OTHER))[1] is not None  # of somebody who is dead
    assert await ledger.passings() == 1
    await ledger.pause(OTHER)
    assert (await ledger.begin_passing(ME))[1] is None
    await ledger.end_passing(number)
    assert await ledger.passings() == 0
    await ledger.resume(FOLLOWER)
    assert await stage(catalogue) is Stage.FINISHING
    await ledger.resume(OTHER)
    assert (await ledger.begin_passing(ME))[1] is not None


async def test_the_end(catalogue: SqlCatalogue) -> None:
    ledger = catalogue.ledger
    bare, old, whole, bad = (
        image(hashes=Hashes()),
        image(hashes=Hashes("m" * 32)),
        image(hashes=Hashes("m" * 32, "sha256", "t" * 64)),
        image(),
    )
    await begun(catalogue, [Known(one) for one in (bare, old, whole, bad)])
    for one in (bare, old, whole):
        await brought(catalogue, await catalogue.get(one.id, ADMIN))
    with pytest.raises(ConflictError):
        await ledger.complete(FOLLOWER, [bad.id])  # it still runs
    await ledger.pause(FOLLOWER)
    with pytest.raises(ConflictError):
        await ledger.complete(FOLLOWER, [])
    with pytest.raises(ConflictError):
        await ledger.complete(OTHER, [bad.id])
    assert await stage(catalogue) is Stage.FINISHING
    await ledger.complete(FOLLOWER, [bad.id])
    assert await stage(catalogue) is Stage.FINISHED
    for one in (bare, old):
        assert (await catalogue.get(one.id, ADMIN)).image == replace(one, hashes=HASHES)
    assert (await catalogue.get(whole.id, ADMIN)).image == whole
    with pytest.raises(VanishedError):
        await catalogue.get(bad.id, ADMIN)
    await catalogue.add(fresh(id=bad.id))  # its id is as good as new
    version = await ledger.version(whole.id)
    assert version is not None
    for refused in (
        ledger.begin(GLANCE, OTHER),
        ledger.pause(OTHER),
        ledger.undo(),
        ledger.take(Known(whole), version),
        ledger.drop(whole.id, version),
        ledger.add(FOLLOWER, [Known(image())]),
    ):
        with pytest.raises(ConflictError):
            await refused
    assert await ledger.begin_passing(ME) == (await ledger.state(), None)


async def test_the_way_back(catalogue: SqlCatalogue) -> None:
    ledger = catalogue.ledger
    found = [Known(image(visibility="shared"), MEMBERS), Known(image())]
    await begun(catalogue, found)
    content = await brought(catalogue, await catalogue.get(found[0].image.id, ADMIN))
    own = await catalogue.add(fresh())
    assert await ledger.undo() == 2
    assert await ledger.state() is None
    assert await ledger.own() == [own.image.id]
    assert content.id in [one.id for one in await catalogue.loose()]
    with pytest.raises(ConflictError):
        await ledger.undo()
    await catalogue.remove(own.image.id)
    await begun(catalogue, found)  # and on it goes from the beginning
    assert await ledger.known([one.image.id for one in found]) == {
        one.image.id: one for one in found
    }
