"""Images whose size says little: nothing, or that there is nothing."""

import pytest

from meltemi.errors import CorruptionError, InterruptedTransfer
from meltemi.model.plan import Standing
from meltemi.replication.report import Result
from tests.replication.running import DATA, plan, standings, sync, synced
from tests.support.memory import MemoryLibrary, full_hashes, no_hashes

pytestmark = pytest.mark.timeout(120)  # what hangs is to fail


@pytest.mark.parametrize("record", [full_hashes, no_hashes])
async def test_an_image_of_unknown_size_is_left_out(
    source: MemoryLibrary, target: MemoryLibrary, record: object
) -> None:
    source.record = record  # type: ignore[assignment]
    image = source.put(DATA, size=None)
    found = await plan(source, target)
    assert standings(found) == {image.id: Standing.LEFT_OUT}
    assert "how large" in found.notes[0].reason
    assert await sync(source, target) == []
    assert target.images == {}


@pytest.mark.parametrize("record", [full_hashes, no_hashes])
async def test_an_empty_image_arrives(
    source: MemoryLibrary, target: MemoryLibrary, record: object
) -> None:
    source.record = record  # type: ignore[assignment]
    image = source.put(b"", visibility="public")
    source.fail("read", InterruptedTransfer("broken"), times=2)
    await synced(source, target)
    assert target.images[image.id].visibility == "public"
    assert target.data(image.id) == b""
    assert source.count("read") == 3


async def test_what_is_said_to_be_empty_and_is_not_stays_unseen(
    source: MemoryLibrary, targets: list[MemoryLibrary]
) -> None:
    source.record = no_hashes
    image = source.put(DATA, size=0, visibility="public")
    for outcome in await sync(source, *targets):
        assert outcome.result is Result.FAILED
        assert isinstance(outcome.error, CorruptionError)
        assert "more than its 0 bytes" in outcome.detail
    for target in targets:
        assert target.images[image.id].visibility == "private"
        assert not target.images[image.id].has_data
