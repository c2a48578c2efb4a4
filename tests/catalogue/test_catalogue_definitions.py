"""What every catalogue does with metadata definitions."""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from meltemi.catalogue.sql import SqlCatalogue, open_catalogue
from meltemi.errors import ConflictError, ForbiddenError, RefusedError, VanishedError
from meltemi.model.definitions import (
    NAMESPACE_SORT_KEYS,
    Definition,
    Described,
    Existing,
    Kind,
    Namespace,
    NamespaceListing,
)
from tests.catalogue.recording import ADMIN, NOBODY, OTHER, OWNER

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")

SEA = Namespace("Sea", "owner", "The sea", "Ein „Meer“", "public", protected=False)
DOCUMENT = {"title": "Ä", "default": "0", "enum": ["b", "a"], "items": {"type": "string"}, "x": 1}
DEFINED = (
    Definition(Kind.RESOURCE_TYPE, "OS::Sea", {"prefix": "sea:"}),
    Definition(Kind.OBJECT, "Port", {"required": ["b", "a"], "properties": {"a": DOCUMENT}}),
    Definition(Kind.TAG, "deep"),
    Definition(Kind.TAG, "Deep"),
    Definition(Kind.PROPERTY, "deep", DOCUMENT),
    Definition(Kind.TAG, "blue"),
)


def timeless(definitions: Sequence[Definition]) -> tuple[Definition, ...]:
    """Give definitions as they were before they were made."""
    return tuple(replace(one, created_at=None, updated_at=None) for one in definitions)


async def names(catalogue: SqlCatalogue, **wanted: Any) -> list[str]:
    """Name the namespaces of a page, in its order."""
    listing = NamespaceListing(**{"viewer": ADMIN} | wanted)
    return [one.namespace.name for one in await catalogue.definitions.page(listing)]


async def tags(catalogue: SqlCatalogue, namespace: str = "Sea") -> list[str]:
    """Name the tags of a namespace."""
    return [one.name for one in await catalogue.definitions.listed(namespace, Kind.TAG)]


async def test_a_namespace_is_given_as_it_was_added(catalogue: SqlCatalogue, url: str) -> None:
    made = await catalogue.definitions.add(Described(SEA, DEFINED))
    assert TIME.fullmatch(made.created_at or "")
    assert made.updated_at == made.created_at
    assert made == replace(SEA, created_at=made.created_at, updated_at=made.updated_at)
    again = await open_catalogue(url)
    found = await again.definitions.describe("Sea", ADMIN)
    await again.close()
    assert found.namespace == made == await catalogue.definitions.get("Sea", ADMIN)
    assert timeless(found.definitions) == DEFINED
    for one in found.definitions:
        assert TIME.fullmatch(one.created_at or "")
        assert one.updated_at == one.created_at
    for kind in Kind:
        assert tuple(await catalogue.definitions.listed("Sea", kind)) == found.of(kind)
    for one in found.definitions:
        assert await catalogue.definitions.find("Sea", one.kind, one.name) == one


async def test_a_name_is_taken_once(catalogue: SqlCatalogue) -> None:
    await catalogue.definitions.add(Described(SEA))
    with pytest.raises(ConflictError, match="namespace=Sea already exists"):
        await catalogue.definitions.add(Described(SEA, DEFINED))
    assert (await catalogue.definitions.describe("Sea", ADMIN)).definitions == ()
    await catalogue.definitions.add(Described(replace(SEA, name="sea")))


async def test_all_is_added_or_nothing(catalogue: SqlCatalogue) -> None:
    twice = (*DEFINED, Definition(Kind.OBJECT, "Port"))
    with pytest.raises(ConflictError, match="name=Port already exists in namespace=Sea"):
        await catalogue.definitions.add(Described(SEA, twice))
    with pytest.raises(VanishedError, match="namespace=Sea was not found"):
        await catalogue.definitions.get("Sea", ADMIN)
    assert await catalogue.definitions.resource_types() == []


async def test_who_sees_a_namespace(catalogue: SqlCatalogue) -> None:
    spaces = catalogue.definitions
    await spaces.add(Described(replace(SEA, name="public")))
    await spaces.add(Described(replace(SEA, name="private", visibility="private")))
    await spaces.add(Described(replace(SEA, name="nobody's", visibility="private", owner=None)))
    seen = {ADMIN: {"public", "private", "nobody's"}, OWNER: {"public", "private"}}
    for viewer in (ADMIN, OWNER, OTHER, NOBODY):
        listed = seen.get(viewer, {"public"})
        assert set(await names(catalogue, viewer=viewer)) == listed
        for name in ("public", "private", "nobody's"):
            if name in listed | {"nobody's"}:
                assert (await spaces.get(name, viewer)).name == name
                assert (await spaces.describe(name, viewer)).namespace.name == name
            else:
                for ask in (spaces.get, spaces.describe):
                    with pytest.raises(VanishedError):
                        await ask(name, viewer)


async def test_namespaces_that_are_asked_for(catalogue: SqlCatalogue) -> None:
    for number in range(4):
        types = [Definition(Kind.RESOURCE_TYPE, f"type {number % 3}", {"prefix": f"{number}"})]
        decoy = [Definition(Kind.TAG, "type 1")]
        visibility = "private" if number == 3 else "public"
        space = replace(SEA, name=f"n{number}", visibility=visibility)
        await catalogue.definitions.add(Described(space, (*types, *decoy)))
    assert await names(catalogue) == ["n3", "n2", "n1", "n0"]
    assert await names(catalogue, descends=False) == ["n0", "n1", "n2", "n3"]
    assert await names(catalogue, visibility="private") == ["n3"]
    assert await names(catalogue, visibility="") == []
    assert await names(catalogue, resource_types=("type 0",)) == ["n3", "n0"]
    assert await names(catalogue, resource_types=("type 1", "type 2", "none")) == ["n2", "n1"]
    assert await names(catalogue, resource_types=()) == []
    assert await names(catalogue, limit=2) == ["n3", "n2"]
    assert await names(catalogue, limit=0) == []
    with pytest.raises(VanishedError):
        await names(catalogue, marker="none")
    with pytest.raises(VanishedError):
        await names(catalogue, marker="n3", viewer=OTHER)
    [last] = await catalogue.definitions.page(NamespaceListing(ADMIN, limit=1))
    assert [(one.name, one.document) for one in last.definitions] == [("type 0", {"prefix": "3"})]


@pytest.mark.parametrize("key", NAMESPACE_SORT_KEYS)
@pytest.mark.parametrize("descends", [False, True])
async def test_pages_of_namespaces(catalogue: SqlCatalogue, key: str, *, descends: bool) -> None:
    await catalogue.definitions.load(Described(replace(SEA, name="a")), Existing.SKIP)
    for name, other in (("B", "x"), ("ä", None), ("c", "x"), ("b", "X"), ("Z", None)):
        await catalogue.definitions.add(
            Described(
                Namespace(
                    name,
                    other,
                    other,
                    other,
                    visibility="private" if other else "public",
                    protected=bool(other),
                )
            )
        )
    everything = await names(catalogue, sort_key=key, descends=descends)
    assert sorted(everything) == ["B", "Z", "a", "b", "c", "ä"]
    backwards = await names(catalogue, sort_key=key, descends=not descends)
    assert everything == backwards[::-1]
    walked: list[str] = []
    while page := await names(
        catalogue, sort_key=key, descends=descends, limit=2, marker=walked[-1] if walked else None
    ):
        walked += page
    assert walked == everything
    if key == "namespace" and not descends:
        assert everything == ["B", "Z", "a", "b", "c", "ä"]


async def test_a_namespace_that_changes(catalogue: SqlCatalogue) -> None:
    made = await catalogue.definitions.add(Described(SEA, DEFINED))
    wanted = Namespace("Ocean", "other", None, "d", "private", protected=True)
    changed = await catalogue.definitions.change("Sea", wanted)
    assert changed.created_at == made.created_at
    assert changed.updated_at not in (None, made.updated_at)
    assert changed == replace(wanted, created_at=made.created_at, updated_at=changed.updated_at)
    found = await catalogue.definitions.describe("Ocean", ADMIN)
    assert found.namespace == changed
    assert timeless(found.definitions) == DEFINED
    await catalogue.definitions.add(Described(SEA))
    with pytest.raises(ConflictError, match="same name of Ocean"):
        await catalogue.definitions.change("Sea", wanted)
    with pytest.raises(VanishedError):
        await catalogue.definitions.change("Lake", wanted)


async def test_a_namespace_that_goes(catalogue: SqlCatalogue) -> None:
    await catalogue.definitions.add(Described(replace(SEA, protected=True), DEFINED))
    with pytest.raises(ForbiddenError, match="namespace Sea is protected"):
        await catalogue.definitions.remove("Sea")
    await catalogue.definitions.change("Sea", SEA)
    await catalogue.definitions.remove("Sea")
    with pytest.raises(VanishedError):
        await catalogue.definitions.remove("Sea")
    await catalogue.definitions.add(Described(SEA))
    assert (await catalogue.definitions.describe("Sea", ADMIN)).definitions == ()
    assert [one.name for one in await catalogue.definitions.resource_types()] == ["OS::Sea"]


async def test_definitions_that_are_added(catalogue: SqlCatalogue) -> None:
    await catalogue.definitions.add(Described(SEA, DEFINED))
    [made] = await catalogue.definitions.define("Sea", [Definition(Kind.TAG, "wide", {})])
    assert TIME.fullmatch(made.created_at or "")
    assert made.updated_at == made.created_at
    assert await tags(catalogue) == ["deep", "Deep", "blue", "wide"]
    both = [Definition(Kind.TAG, "new"), Definition(Kind.TAG, "blue")]
    with pytest.raises(ConflictError, match="name=blue already exists in namespace=Sea"):
        await catalogue.definitions.define("Sea", both)
    assert await tags(catalogue) == ["deep", "Deep", "blue", "wide"]
    await catalogue.definitions.define("Sea", both, replace=True)
    assert await tags(catalogue) == ["new", "blue"]
    await catalogue.definitions.define("Sea", [], replace=True)
    assert await tags(catalogue) == ["new", "blue"]
    assert len((await catalogue.definitions.describe("Sea", ADMIN)).definitions) == 5
    with pytest.raises(VanishedError):
        await catalogue.definitions.define("Lake", both)


async def test_a_definition_that_changes(catalogue: SqlCatalogue) -> None:
    await catalogue.definitions.add(Described(SEA, DEFINED))
    before = await catalogue.definitions.find("Sea", Kind.PROPERTY, "deep")
    wanted = Definition(Kind.PROPERTY, "depth", {"title": "Depth"})
    changed = await catalogue.definitions.redefine("Sea", "deep", wanted)
    assert changed.created_at == before.created_at
    assert changed.updated_at not in (None, before.updated_at)
    assert timeless([changed]) == (wanted,)
    assert await catalogue.definitions.find("Sea", Kind.PROPERTY, "depth") == changed
    with pytest.raises(VanishedError, match="property deep"):
        await catalogue.definitions.redefine("Sea", "deep", wanted)
    with pytest.raises(VanishedError, match="namespace=Lake"):
        await catalogue.definitions.redefine("Lake", "depth", wanted)
    with pytest.raises(ConflictError, match="name=blue"):
        await catalogue.definitions.redefine("Sea", "deep", Definition(Kind.TAG, "blue"))
    assert await tags(catalogue) == ["deep", "Deep", "blue"]


@pytest.mark.parametrize("kind", Kind)
async def test_definitions_that_go(catalogue: SqlCatalogue, kind: Kind) -> None:
    spaces = catalogue.definitions
    more = [Definition(kind, "more")]
    await spaces.add(Described(replace(SEA, protected=True), (*DEFINED, *more)))
    with pytest.raises(ForbiddenError, match="more is protected"):
        await spaces.undefine("Sea", kind, "more")
    with pytest.raises(ForbiddenError, match="namespace Sea is protected"):
        await spaces.clear("Sea", kind)
    with pytest.raises(VanishedError, match="none"):
        await spaces.undefine("Sea", kind, "none")
    with pytest.raises(VanishedError, match="none"):
        await spaces.find("Sea", kind, "none")
    assert len((await spaces.describe("Sea", ADMIN)).definitions) == len(DEFINED) + 1
    await spaces.change("Sea", SEA)
    await spaces.undefine("Sea", kind, "more")
    assert timeless((await spaces.describe("Sea", ADMIN)).definitions) == DEFINED
    await spaces.clear("Sea", kind)
    left = tuple(one for one in DEFINED if one.kind is not kind)
    assert timeless((await spaces.describe("Sea", ADMIN)).definitions) == left
    assert await spaces.listed("Sea", kind) == []
    for ask in (spaces.clear, spaces.listed):
        with pytest.raises(VanishedError, match="namespace=Lake"):
            await ask("Lake", kind)
    with pytest.raises(VanishedError, match="namespace=Lake"):
        await spaces.undefine("Lake", kind, "more")


NEW = (
    Definition(Kind.OBJECT, "Port", {"description": "new"}),
    Definition(Kind.TAG, "new"),
    Definition(Kind.RESOURCE_TYPE, "OS::Sea", {"prefix": "new:"}),
)


@pytest.mark.parametrize("existing", Existing)
async def test_what_is_loaded_over_what_is_there(
    catalogue: SqlCatalogue, existing: Existing
) -> None:
    spaces = catalogue.definitions
    old = replace(SEA, protected=True)
    assert await spaces.load(Described(old, DEFINED), existing)
    first = await spaces.describe("Sea", ADMIN)
    assert timeless(first.definitions) == DEFINED
    assert first.namespace.updated_at is None
    assert {one.updated_at for one in first.definitions} == {None}
    assert [one.updated_at for one in await spaces.resource_types()] == [None]

    changed = replace(old, display_name="New", owner="new")
    assert await spaces.load(Described(changed, NEW), existing) is (existing is not Existing.SKIP)
    found = await spaces.describe("Sea", ADMIN)
    updates = existing in (Existing.UPDATE, Existing.REPLACE)
    assert found.namespace.display_name == ("New" if updates else "The sea")
    assert (found.namespace.updated_at is not None) is (existing is Existing.UPDATE)
    by_name = {one.name: one for one in DEFINED if one.kind is not Kind.PROPERTY}
    if existing is Existing.REPLACE:
        by_name = {}
    if existing is not Existing.SKIP:
        by_name |= {one.name: one for one in NEW if updates or one.name not in by_name}
    kept = [one for one in found.definitions if one.kind is not Kind.PROPERTY]
    assert {one.name: one for one in timeless(kept)} == by_name
    updated = {one.name for one in found.definitions if one.updated_at is not None}
    assert updated == ({"Port", "OS::Sea"} if existing is Existing.UPDATE else set())
    assert [one.name for one in await spaces.resource_types()] == ["OS::Sea"]


async def test_one_of_many_writers_has_a_name(catalogue: SqlCatalogue) -> None:
    await catalogue.definitions.add(Described(SEA))

    async def tell(number: int) -> bool:
        tag = Definition(Kind.TAG, "tag", {"number": number})
        try:
            await catalogue.definitions.define("Sea", [tag])
        except ConflictError:
            return False
        return True

    assert sum(await asyncio.gather(*map(tell, range(16)))) == 1


async def test_namespaces_that_share_a_resource_type_at_once(catalogue: SqlCatalogue) -> None:
    made = Definition(Kind.RESOURCE_TYPE, "OS::Shared")

    async def add(number: int) -> None:
        await catalogue.definitions.add(Described(replace(SEA, name=f"n{number}"), (made,)))

    await asyncio.gather(*map(add, range(16)))
    assert [one.name for one in await catalogue.definitions.resource_types()] == ["OS::Shared"]
    assert len(await names(catalogue, resource_types=("OS::Shared",))) == 16


@pytest.mark.parametrize("text", ["\0", "a\0b", "\ud800"])
async def test_texts_that_no_database_holds(catalogue: SqlCatalogue, text: str) -> None:
    for wrong in (
        Described(replace(SEA, name=text)),
        Described(replace(SEA, description=text)),
        Described(SEA, (Definition(Kind.TAG, text),)),
        Described(SEA, (Definition(Kind.OBJECT, "o", {"properties": {"p": {"enum": [text]}}}),)),
        Described(SEA, (Definition(Kind.OBJECT, "o", {"properties": {text: {}}}),)),
    ):
        with pytest.raises(RefusedError):
            await catalogue.definitions.add(wrong)
    assert await names(catalogue) == []
