"""An image that gets another name on its way keeps within what Glance takes."""

import pytest

from meltemi.model.route import OnConflict
from meltemi.replication.decide import LONGEST_NAME
from tests.replication.running import sync, synced
from tests.support.memory import MemoryLibrary

PATH = "/srv/" + "deep/" * 100 + "vault"


@pytest.mark.parametrize("taken", ["name", "id"])
@pytest.mark.parametrize(
    ("name", "source", "renamed"),
    [
        ("golden", "athens", "golden (athens)"),
        ("n" * 246, "athens", "n" * 246 + " (athens)"),
        ("n" * 247, "athens", "n" * 246 + " (athens)"),
        ("n" * 255, "athens", "n" * 246 + " (athens)"),
        ("ü" * 255, "athens", "ü" * 246 + " (athens)"),
        ("golden", PATH, f"golden ({PATH[-127:]})"),
        ("n" * 255, PATH, f"{'n' * 125} ({PATH[-127:]})"),
    ],
)
async def test_a_long_name_gives_way_to_that_of_its_source(
    taken: str, name: str, source: str, renamed: str
) -> None:
    here, there = MemoryLibrary(source), MemoryLibrary("target")
    image = here.put(b"new", name=name)
    other = there.put(b"old", name=name, **({"id": image.id} if taken == "id" else {}))
    [outcome] = await sync(here, there, on_conflict=OnConflict.RENAME)
    replica = there.images[outcome.target_id]
    assert replica.name == renamed
    assert len(renamed) <= LONGEST_NAME
    assert there.images[other.id] == other
    await synced(here, there, on_conflict=OnConflict.RENAME)
    assert len(there.images) == 2
