"""What a library has repeated in vain is not begun again by whoever asked for it."""

import pytest

from meltemi.errors import InterruptedTransfer
from meltemi.replication.report import Result
from tests.replication.running import DATA, sync
from tests.support.memory import MemoryLibrary

pytestmark = pytest.mark.timeout(120)  # what hangs is to fail


@pytest.mark.parametrize(("repeated", "times"), [(True, 1), (False, 4)])
async def test_a_delivery_begins_again_only_what_was_not_repeated(
    source: MemoryLibrary, target: MemoryLibrary, *, repeated: bool, times: int
) -> None:
    source.put(DATA, visibility="public")
    broken = InterruptedTransfer("500")
    broken.repeated = repeated
    target.fail("update", broken, times=100)
    [outcome] = await sync(source, target)
    assert outcome.result is Result.FAILED
    assert target.count("update") == times
    assert target.count("upload") == 1
