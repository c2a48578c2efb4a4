"""Bundles: what arrives is what left, in any number of pieces, whatever was there before."""

from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from meltemi.chunks.collector import collect
from meltemi.chunks.opening import open_store
from meltemi.errors import ArchiveError, UsageError
from meltemi.libraries.archive.bundles import making
from meltemi.libraries.archive.bundles.state import State, read_state
from meltemi.libraries.base import Changes, Library
from meltemi.model.image import Image, Member
from tests.libraries.archiving import ID, image
from tests.libraries.carrying import (
    SIZE,
    apply,
    bundles_of,
    contents_of,
    make,
    names,
    seen,
    sound,
    state_of,
    writing,
)
from tests.libraries.handling import DATA, MIB, pieces

BUILD = Random(1).randbytes(5 * MIB)
NEXT = BUILD[: 2 * MIB] + b"what is new in the next build" + BUILD[2 * MIB :]


@pytest.fixture
def near(tmp_path: Path) -> Path:
    return tmp_path / "near"


@pytest.fixture
def far(tmp_path: Path) -> Path:
    return tmp_path / "far"


async def put(library: Library, data: bytes, **attributes: Any) -> Image:
    made = await library.create(image(**{"id": "", **attributes}))
    await library.upload(made.id, len(data), pieces(data))
    return await library.show(made.id)


async def filled(folder: Path) -> None:
    """Write some images of every kind."""
    library = writing(folder)
    await put(library, BUILD, id=ID, name="build 1", visibility="shared")
    await library.add_member(ID, Member("a project", "accepted"))
    await put(library, BUILD, name="the same")
    await put(library, b"", name="empty")
    await put(library, bytes(3 * MIB), name="zeros")
    await library.create(image(id="", name="queued"))
    gone = await put(library, DATA, name="gone")
    await library.delete(gone.id)
    await library.close()


async def test_what_arrives_is_what_left(near: Path, far: Path, tmp_path: Path) -> None:
    await filled(near)
    made = make(near, tmp_path / "disk")
    bundles = bundles_of(made)
    assert (made.images, made.deleted, made.bundles) == (5, 1, len(bundles))
    assert made.bundles == 3
    sizes = [path.stat().st_size for path in bundles]
    assert max(sizes) <= SIZE
    assert sum(sizes) == made.size < 6 * MIB
    done = apply(made.path, far)
    assert done is not None
    assert (done.images, done.deleted) == (5, 1)
    assert await seen(far) == await seen(near)
    assert sound(far)
    assert state_of(far).images == state_of(near).images
    # The id of what was deleted is burnt there, too.
    [deleted] = [path.name.partition(".")[0] for path in (near / "images").glob("*.deleted")]
    library = writing(far)
    with pytest.raises(Exception, match="another image's"):
        await library.create(image(id=deleted))
    await library.close()


@pytest.mark.parametrize("known", ["recorded there", "written here"])
async def test_what_the_other_side_has_is_left_out(
    near: Path, far: Path, tmp_path: Path, known: str
) -> None:
    await filled(near)
    first = make(near, tmp_path / "disk")
    apply(first.path, far)
    assert state_of(far).images == read_state(first.path.with_suffix(".state")).images
    since = state_of(far)
    if known == "written here":
        since = read_state(first.path.with_suffix(".state"))
    library = writing(near)
    await put(library, NEXT, name="build 2")
    await library.update(ID, Changes({"name": "renamed"}))
    await library.close()
    second = make(near, tmp_path / "disk", since)
    assert (second.images, second.deleted) == (2, 0)
    assert second.size < MIB
    apply(second.path, far)
    assert await seen(far) == await seen(near)
    library = writing(near)
    await library.delete(ID)
    await library.close()
    third = make(near, tmp_path / "disk", read_state(second.path.with_suffix(".state")))
    assert (third.images, third.deleted) == (0, 1)
    assert third.size < 500
    apply(third.path, far)
    assert await seen(far) == await seen(near)
    with contents_of(near) as contents:
        assert making.make(contents, tmp_path / "none", SIZE, state_of(far), None) is None
    assert names(tmp_path / "none") == []
    # What only the deleted one needed goes, there as here.
    store = open_store(str(far))
    collect(store)
    store.close()
    assert sound(far)
    assert await seen(far) == await seen(near)


async def test_twice_is_harmless(near: Path, far: Path, tmp_path: Path) -> None:
    await filled(near)
    made = make(near, tmp_path / "disk")
    apply(made.path, far)
    before = names(far)
    assert apply(made.path, far) is None
    assert names(far) == before
    # Nor is another set of the same.
    done = apply(make(near, tmp_path / "again").path, far)
    assert done is not None
    assert (done.images, done.deleted, done.stored) == (0, 0, 0)
    assert await seen(far) == await seen(near)


async def test_an_older_set_undoes_nothing(near: Path, far: Path, tmp_path: Path) -> None:
    await filled(near)
    old = make(near, tmp_path / "disk")
    library = writing(near)
    await library.update(ID, Changes({"name": "renamed"}))
    await library.close()
    apply(make(near, tmp_path / "disk").path, far)
    apply(old.path, far)
    assert await seen(far) == await seen(near)


async def test_what_the_other_side_has_besides_stays(near: Path, far: Path, tmp_path: Path) -> None:
    await filled(near)
    library = writing(far)
    own = await put(library, b"its own")
    await library.create(image(name="not yet"))
    await library.close()
    apply(make(near, tmp_path / "disk").path, far)
    found = await seen(far)
    assert found.pop(own.id)[2] == b"its own"
    assert found == await seen(near)


async def test_sets_are_applied_in_their_order(near: Path, far: Path, tmp_path: Path) -> None:
    await filled(near)
    first = make(near, tmp_path / "disk")
    library = writing(near)
    await put(library, b"shares nothing with any other", name="another")
    await library.close()
    second = make(near, tmp_path / "disk", read_state(first.path.with_suffix(".state")))
    with pytest.raises(ArchiveError, match=f"comes after set {first.path.stem}"):
        apply(second.path, far)
    assert names(far) == []
    apply(first.path, far)
    apply(second.path, far)
    assert await seen(far) == await seen(near)


async def test_a_base_that_is_missing_is_named(near: Path, far: Path, tmp_path: Path) -> None:
    await filled(near)
    apply(make(near, tmp_path / "disk").path, far)
    since = state_of(far)
    library = writing(near)
    await put(library, NEXT, name="build 2")
    await library.close()
    made = make(near, tmp_path / "disk", since)
    empty = tmp_path / "empty"
    with pytest.raises(ArchiveError, match=r"(build 1|the same) .*which is not here"):
        apply(made.path, empty)
    assert names(empty) == []
    library = writing(far)
    for one in (await seen(far)).values():
        if one[2] == BUILD:
            await library.delete(one[0].id)
    await library.close()
    before = await seen(far)
    with pytest.raises(ArchiveError, match=r"(build 1|the same) .*which is not here"):
        apply(made.path, far)
    assert await seen(far) == before
    # What it builds on is a matter of data, and not of what an image is called.
    library = writing(far)
    await put(library, BUILD, name="put there by other means")
    await library.close()
    apply(made.path, far)
    found = await seen(far)
    kept = {i: one for i, one in (await seen(near)).items() if one[2] != BUILD}
    assert {i: one for i, one in found.items() if one[2] != BUILD} == kept
    assert NEXT in {data for _, _, data in kept.values()}


async def test_only_what_it_needs_is_a_base(near: Path, far: Path, tmp_path: Path) -> None:
    await filled(near)
    apply(make(near, tmp_path / "disk").path, far)
    since = state_of(far)
    library = writing(near)
    await put(library, NEXT, name="build 2")
    await library.close()
    made = make(near, tmp_path / "disk", since)
    library = writing(far)
    for one in (await seen(far)).values():
        if one[2] != BUILD:
            await library.delete(one[0].id)
    await library.close()
    apply(made.path, far)
    assert NEXT in {data for _, _, data in (await seen(far)).values()}


async def test_data_that_differs_is_refused(near: Path, far: Path, tmp_path: Path) -> None:
    await filled(near)
    library = writing(far)
    await put(library, b"something else", id=ID, name="mine")
    await library.close()
    before = await seen(far)
    library = writing(near)
    for name in "abc":
        await library.update(ID, Changes({"name": name}))
    await library.close()
    with pytest.raises(ArchiveError, match=rf"image c \({ID}\) has other data here"):
        apply(make(near, tmp_path / "disk").path, far)
    assert await seen(far) == before
    library = writing(far)
    assert (await library.show(ID)).name == "mine"
    await library.close()
    assert not any(name.endswith(".json") for name in names(far / "sets"))
    assert sound(far)


async def test_a_bundle_that_would_be_too_small(near: Path, tmp_path: Path) -> None:
    library = writing(near)
    await library.create(image(properties={"k": "x" * 3 * MIB}))
    await library.close()
    with pytest.raises(UsageError, match="give a larger size"):
        make(near, tmp_path / "disk")
    assert list((tmp_path / "disk").iterdir()) == []


NAMES = st.sampled_from(["a", "b", "c"])
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["create", "fill", "fill", "rename", "delete", "carry"]),
        st.integers(0, 5),
    ),
    max_size=14,
)


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=STEPS)
async def test_whatever_happens_in_between(
    tmp_path_factory: pytest.TempPathFactory, steps: Sequence[tuple[str, int]]
) -> None:
    folder = tmp_path_factory.mktemp("any")
    near, far, disk = folder / "near", folder / "far", folder / "disk"
    library = writing(near)
    since = State()
    for step, number in [*steps, ("carry", 0)]:
        there = sorted((await seen(near)).values(), key=lambda one: one[0].id)
        one = there[number % len(there)][0] if there else None
        match step:
            case "create":
                await library.create(image(id="", name=str(number)))
            case "fill" if one and not one.has_data:
                data = BUILD[number * 1000 :][: MIB // 2]
                await library.upload(one.id, len(data), pieces(data))
            case "rename" if one:
                await library.update(one.id, Changes({"name": f"renamed {number}"}))
            case "delete" if one:
                await library.delete(one.id)
            case "carry":
                with contents_of(near) as contents:
                    made = making.make(contents, disk, SIZE, since, None)
                if made is not None:
                    apply(made.path, far)
                    since = read_state(made.path.with_suffix(".state"))
                    assert since.images == state_of(far).images
                    assert await seen(far) == await seen(near)
    await library.close()
