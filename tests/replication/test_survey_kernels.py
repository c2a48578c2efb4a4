"""Kernels and ramdisks: they come along with the images that boot with them."""

from meltemi.model.plan import Kind, Standing
from meltemi.model.route import Rules, Selection
from tests.replication.running import plan, replicas, synced
from tests.support.memory import MemoryLibrary


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
