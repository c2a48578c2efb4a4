"""Data that nobody vouches for is read at both ends before anything is published."""

from dataclasses import replace

import pytest

from meltemi.errors import CorruptionError, InterruptedTransfer
from meltemi.model.image import Hashes
from meltemi.replication.report import Result
from tests.replication.running import DATA, sync, synced
from tests.support.memory import MemoryLibrary, full_hashes, no_hashes, old_hashes

pytestmark = pytest.mark.timeout(120)  # what hangs is to fail


def only_sha512(data: bytes) -> Hashes:
    """Record no md5."""
    return replace(full_hashes(data), checksum=None)


UNLIKE = [(no_hashes, full_hashes), (only_sha512, old_hashes), (full_hashes, no_hashes)]
"""What a source and a target record that cannot be compared."""


async def left_unverified(source: MemoryLibrary, target: MemoryLibrary) -> None:
    """Replicate until the data is there, and no further."""
    target.fail("show", InterruptedTransfer("gone"), times=100)
    [outcome] = await sync(source, target)
    assert outcome.result is Result.FAILED
    target.faults.clear()
    [image] = target.images.values()
    assert image.has_data
    assert image.visibility == "private"
    source.served.clear()


@pytest.mark.parametrize(("here", "there"), UNLIKE)
async def test_data_that_was_left_unverified_is_read_and_compared(
    source: MemoryLibrary, target: MemoryLibrary, here: object, there: object
) -> None:
    source.record, target.record = here, there  # type: ignore[assignment]
    image = source.put(DATA, visibility="public")
    await left_unverified(source, target)
    await synced(source, target)
    assert source.served[image.id] == len(DATA)
    assert target.images[image.id].visibility == "public"
    assert target.count("upload") == 1


@pytest.mark.parametrize(("here", "there"), UNLIKE)
@pytest.mark.parametrize("killed", [False, True])
async def test_no_run_publishes_what_an_earlier_one_found_to_be_false(
    source: MemoryLibrary, target: MemoryLibrary, here: object, there: object, *, killed: bool
) -> None:
    source.record, target.record = here, there  # type: ignore[assignment]
    target.stores = bytes.swapcase
    image = source.put(DATA, visibility="public")
    if killed:  # between the data and its verification
        target.fail("show", InterruptedTransfer("gone"), times=100)
    for _ in range(3):
        [outcome] = await sync(source, target)
        assert outcome.result is Result.FAILED, outcome.detail
        found = target.images[image.id]
        assert found.has_data
        assert found.visibility == "private"
        target.faults.clear()
    assert isinstance(outcome.error, CorruptionError)
    assert len(target.images) == 1


@pytest.mark.parametrize(("here", "there"), UNLIKE)
async def test_what_changed_at_the_source_meanwhile_is_brought_along(
    source: MemoryLibrary, target: MemoryLibrary, here: object, there: object
) -> None:
    source.record, target.record = here, there  # type: ignore[assignment]
    image = source.put(DATA, visibility="public", name="old", properties={"a": "1", "b": "1"})
    await left_unverified(source, target)
    source.edit(image.id, name="new", properties={"a": "2"})
    await synced(source, target)
    found = target.images[image.id]
    assert (found.name, found.visibility, found.properties["a"]) == ("new", "public", "2")
    assert "b" not in found.properties
    assert target.count("upload") == 1


async def test_two_targets_of_which_one_only_wants_to_be_verified_share_a_reading(
    source: MemoryLibrary, targets: list[MemoryLibrary]
) -> None:
    one, two, _ = targets
    source.record = no_hashes
    image = source.put(DATA, visibility="public")
    await left_unverified(source, one)
    await synced(source, one, two)
    assert source.served[image.id] == len(DATA)
    assert [place.images[image.id].visibility for place in (one, two)] == ["public"] * 2
