"""Several replicas of one source at a target: one is kept up to date, all are told of."""

from typing import Any

from meltemi.model.image import Image
from meltemi.model.plan import Plan, Standing
from meltemi.model.provenance import read_provenance
from meltemi.model.route import Rules, Selection
from tests.replication.running import plan, synced
from tests.support.memory import MemoryLibrary


def double(target: MemoryLibrary, replica: Image, image_id: str, **attributes: Any) -> Image:
    """Put another replica of the same source there."""
    origin = read_provenance(replica)
    assert origin is not None
    properties = origin.properties(image_id)
    facts = {"owner": replica.owner, "name": replica.name, "properties": properties}
    return target.put(b"data", **{"id": image_id, **facts, **attributes})


def told(found: Plan) -> list[str]:
    assert not found.differs
    assert {note.standing for note in found.notes} <= {Standing.LEFT_OUT}
    return [note.reason for note in found.notes]


async def test_a_second_replica_is_told_of(source: MemoryLibrary, target: MemoryLibrary) -> None:
    for first in ("0", "f"):
        image = source.put(b"data", id=f"5{first}", name=first)
        source.put(b"data", id=f"7{first}", name="another")
        await synced(source, target)
        double(target, target.images[image.id], f"{first}-double")
    found = await plan(source, target)
    assert [note.subject.name for note in found.notes] == ["0", "f"]
    assert told(found) == [
        "0-double, 50 are all replicas of it; one of them is kept up to date",
        "5f, f-double are all replicas of it; one of them is kept up to date",
    ]


async def test_so_are_several_under_other_ids(source: MemoryLibrary, target: MemoryLibrary) -> None:
    image = source.put(b"data", id="5")
    target.burnt.add(image.id)
    await synced(source, target)
    [replica] = target.images.values()
    double(target, replica, "double")
    [reason] = told(await plan(source, target))
    assert {"double", replica.id} == set(reason.split(" are all")[0].split(", "))


async def test_those_out_of_sight_or_not_asked_about_are_not(
    source: MemoryLibrary, target: MemoryLibrary
) -> None:
    """What took another's place has hidden it; a mark forged elsewhere says nothing."""
    image = source.put(b"data", name="a")
    await synced(source, target, owners={"x": "attacker"})
    replica = target.images[image.id]
    double(target, replica, "hidden", os_hidden=True)
    double(target, replica, "forged", owner="attacker")
    double(target, replica, "forged too", owner="attacker")
    assert not told(await plan(source, target, owners={"x": "attacker"}))
    double(target, replica, "double")
    assert len(told(await plan(source, target))) == 1
    other = Selection(match=(Rules(names=("b",)),))
    assert not told(await plan(source, target, selection=other))
    source.remove(image.id)
    assert not told(await plan(source, target))
