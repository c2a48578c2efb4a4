"""What every library must do: the contract of `meltemi.libraries.base.Library`, as tests.

Subclass `LibraryConformance` in a test module and give it a fixture `library`, a library that can
be written; it may hold other images. Override `new_image` where images need more than a name.
"""

import pytest

from meltemi.errors import ConflictError, ForbiddenError, VanishedError
from meltemi.libraries.base import Changes, Library
from meltemi.libraries.finding import Sought, find
from tests.libraries.conformance_data import DataConformance
from tests.libraries.conformance_metadata import MetadataConformance
from tests.libraries.handling import DATA, content, listed

ODD_NAMES = ["in:a,b", 'a "quoted, name', "2024-01-01T00:00:00Z", "Μελτέμι & co"]


class LibraryConformance(DataConformance, MetadataConformance):
    """Hold one implementation to the contract."""

    # Listing

    async def test_a_list_has_every_image_once_ascending(self, library: Library) -> None:
        made = [
            await library.create(self.new_image(os_hidden=number % 3 == 0)) for number in range(30)
        ]
        made.append(await self.active(library, b"data", os_hidden=True))
        found = await listed(library)
        ids = [image.id for image in found]
        assert ids == sorted(set(ids))
        mine = {image.id for image in made}
        expected = sorted(made, key=lambda image: image.id)
        assert [image for image in found if image.id in mine] == expected

    async def test_a_listed_image_is_the_one_that_is_shown(self, library: Library) -> None:
        image = await self.active(library, b"data", properties={"k": "v"}, tags=frozenset({"t"}))
        assert image in await listed(library)

    # Finding

    @pytest.mark.parametrize("name", ODD_NAMES)
    async def test_what_is_found_is_what_a_list_has_of_it(
        self, library: Library, name: str
    ) -> None:
        named = await library.create(self.new_image(name=name))
        hidden = await library.create(self.new_image(name=name, os_hidden=True))
        address = {"meltemi_source": f"http://host:9292/{named.id}"}
        marked = await library.create(self.new_image(os_hidden=True, properties=address))
        other = await library.create(self.new_image(properties={"meltemi_source": "other"}))
        for sought, expected in (
            (Sought(ids=frozenset({hidden.id, other.id, 'no", id', ""})), {hidden.id, other.id}),
            (Sought(names=frozenset({(name, named.owner)})), {named.id}),
            (Sought(names=frozenset({(name, "another project")})), set()),
            (Sought(properties=frozenset(address.items())), {marked.id}),
            (Sought(frozenset({other.id}), properties=frozenset(address.items())), None),
            (Sought(), set()),
        ):
            found = await find(library, sought)
            assert found == [image for image in await listed(library) if sought.fits(image)]
            mine = {image.id for image in found} & {named.id, hidden.id, marked.id, other.id}
            assert mine == (expected if expected is not None else {other.id, marked.id})

    # Deleting

    @pytest.mark.parametrize("filled", [False, True])
    async def test_a_deleted_image_is_gone_and_its_id_burnt(
        self, library: Library, filled: bool
    ) -> None:
        image = await (self.active(library) if filled else library.create(self.new_image()))
        await library.delete(image.id)
        with pytest.raises(VanishedError):
            await library.show(image.id)
        with pytest.raises(VanishedError):
            await library.delete(image.id)
        with pytest.raises(VanishedError):
            await library.update(image.id, Changes({"name": "x"}))
        assert image.id not in {other.id for other in await listed(library)}
        with pytest.raises(ConflictError):
            await library.create(self.new_image(id=image.id))

    async def test_a_protected_image_is_not_deleted(self, library: Library) -> None:
        image = await self.active(library, protected=True)
        with pytest.raises(ForbiddenError):
            await library.delete(image.id)
        assert await library.show(image.id) == image
        assert await content(library, image.id) == DATA
        await library.update(image.id, Changes({"protected": False}))
        await library.delete(image.id)

    # Itself

    async def test_it_says_who_it_is(self, library: Library) -> None:
        assert library.name
        assert library.identity
        assert library.identity == library.identity.strip()
