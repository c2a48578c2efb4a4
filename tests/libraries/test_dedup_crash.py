"""Archives on chunk stores whose writer is killed: nothing acknowledged is lost."""

import itertools
import shutil
from pathlib import Path
from random import Random

import pytest
from sqlalchemy import update

from meltemi.chunks import session
from meltemi.chunks.checking import check as check_store
from meltemi.chunks.collector import collect
from meltemi.chunks.index.schema import sessions
from meltemi.chunks.opening import open_store
from tests.libraries.dumping import IMAGES, opened
from tests.libraries.handling import listed
from tests.libraries.killing import Acknowledged, check, finish, ids, run


async def test_killed_at_any_change(tmp_path: Path) -> None:
    kept = 0
    # Every change to the first image and samples of the rest, which only repeat them.
    for number in itertools.chain(range(1, 60), itertools.count(60, 17)):
        folder = tmp_path / str(number)
        seen = run(folder, die_at=number, dedup=True)
        if ("done", "") in seen:
            break
        try:
            await check(folder, seen)
            again = await finish(folder, seen, dedup=True)
        except AssertionError as error:
            error.add_note(f"killed at change {number}, after {sorted(seen)}")
            raise
        kept += len(ids(seen, "fetching") - ids(seen, "filled") - ids(again, "fetching"))
        shutil.rmtree(folder)
    assert number > 100
    # Some were killed between the head and the metadata: nobody fetched their data twice.
    assert kept


@pytest.mark.parametrize("seed", range(10))
async def test_killed_at_any_moment(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "archive"
    random = Random(seed)
    seen: Acknowledged = set()
    for _ in range(3):
        seen |= run(folder, kill_after=random.randint(0, 12), at_once=4, dedup=True)
        await check(folder, seen)
    seen |= await finish(folder, seen, dedup=True)
    # A collection takes up what the dead were about to publish, and a writer clears it away.
    monkeypatch.setattr(session, "BEAT_SECONDS", 0.01)
    store = open_store(str(folder))
    with store.database.exclusive() as connection:
        connection.execute(update(sessions).values(seen=0))
    collect(store)
    library = opened(folder, dedup=True)
    assert len(await listed(library)) == len(IMAGES) - 1
    await library.close()
    assert len(store.heads.all()) == len(IMAGES) - 1
    collect(store)
    assert check_store(store).problems == []
    store.close()
    await check(folder, seen)
