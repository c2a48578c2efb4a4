"""The part of the contract that is about metadata: setting, changing and sharing."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest

from meltemi.errors import ConflictError, ForbiddenError, RefusedError, VanishedError
from meltemi.libraries.base import Changes, Library
from meltemi.model.image import Hashes, Member
from tests.libraries.handling import ImageMaker, content, pieces

TEXTS = {
    "plain": "Debian 13",
    "spaces": "  two  spaces\taround ",
    "quotes": '"it\'s" \\ {[<&%s%00>]}',
    "slashes": "../../etc/passwd",
    "newlines": "first\r\nsecond",
    "greek": "Μελτέμι",
    "right to left": "\u202e\u0645\u0631\u062d\u0628\u0627",
    "combining": "e\u0301 is not é",
    "separators": "a\u2028b\u2029c\ufeff",
    "long": "ü" * 255,
}


class MetadataConformance(ImageMaker):
    """Hold one implementation to the contract for metadata."""

    # Creating

    async def test_a_new_image_is_queued(self, library: Library) -> None:
        image = await library.create(self.new_image())
        assert image.status == "queued"
        assert not image.has_data
        assert image.size is None
        assert image.hashes == Hashes()
        assert await library.show(image.id) == image

    async def test_a_new_image_keeps_its_attributes(self, library: Library) -> None:
        wanted = self.new_image(
            disk_format="qcow2",
            min_disk=3,
            min_ram=512,
            protected=True,
            os_hidden=True,
            tags=frozenset({"blue", "αβγ"}),
            properties={"os_distro": "debian", "empty": "", "a:b": "ключ"},
        )
        image = await library.create(wanted)
        kept = replace(
            wanted,
            visibility=image.visibility,
            owner=image.owner,
            created_at=image.created_at,
            updated_at=image.updated_at,
        )
        assert replace(image, properties=dict(image.properties)) == kept

    async def test_a_new_image_has_times(self, library: Library) -> None:
        image = await library.create(self.new_image())
        assert image.created_at
        assert image.updated_at

    async def test_what_the_data_decides_is_not_set_by_create(self, library: Library) -> None:
        wrong = Hashes("0" * 32, "sha512", "0" * 128)
        image = await library.create(self.new_image(status="active", size=5, hashes=wrong))
        assert (image.status, image.size, image.hashes) == ("queued", None, Hashes())

    async def test_an_empty_id_is_chosen_by_the_library(self, library: Library) -> None:
        image = await library.create(self.new_image(id=""))
        assert str(UUID(image.id)) == image.id
        assert await library.show(image.id) == image

    async def test_an_id_in_use_is_taken(self, library: Library) -> None:
        first = await library.create(self.new_image())
        with pytest.raises(ConflictError):
            await library.create(self.new_image(id=first.id, name="second"))
        assert await library.show(first.id) == first

    @pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
    async def test_texts_stay_as_they_are(self, library: Library, text: str) -> None:
        wanted = self.new_image(name=text, tags=frozenset({text}), properties={"text": text})
        image = await library.create(wanted)
        assert (image.name, image.tags) == (text, frozenset({text}))
        assert image.properties["text"] == text
        image = await library.update(image.id, Changes({"name": "", "other": text}))
        assert (image.name, image.properties["other"]) == ("", text)

    @pytest.mark.parametrize("text", ["\U0001f300", "\U00020000"])
    async def test_texts_beyond_the_first_plane_stay_or_are_refused(
        self, library: Library, text: str
    ) -> None:
        with suppress(RefusedError):  # as Glance does, for MySQL's sake
            assert (await library.create(self.new_image(name=text))).name == text

    # Changing

    async def test_attributes_are_set(self, library: Library) -> None:
        image = await self.active(library, b"data", properties={"keep": "1", "change": "2"})
        changes: dict[str, Any] = {
            "name": "renamed",
            "min_disk": 9,
            "min_ram": 1024,
            "os_hidden": True,
            "visibility": "shared",
            "change": "3",
            "add": "4",
        }
        after = await library.update(image.id, Changes(changes))
        expected = replace(
            image,
            name="renamed",
            min_disk=9,
            min_ram=1024,
            os_hidden=True,
            visibility="shared",
            properties={**image.properties, "change": "3", "add": "4"},
            updated_at=after.updated_at,
        )
        assert replace(after, properties=dict(after.properties)) == expected
        assert await library.show(image.id) == after
        assert await content(library, image.id) == b"data"

    async def test_properties_are_removed(self, library: Library) -> None:
        image = await library.create(self.new_image(properties={"keep": "1", "remove": "2"}))
        changes = Changes({"add": "3"}, frozenset({"remove"}))
        after = await library.update(image.id, changes)
        assert "remove" not in after.properties
        assert after.properties["keep"] == "1"
        assert after.properties["add"] == "3"
        assert await library.show(image.id) == after

    @pytest.mark.parametrize("key", ["a/b", "a~b", "~1", "hw:mem size", "ключ"])
    async def test_names_of_properties_stay_as_they_are(self, library: Library, key: str) -> None:
        image = await library.create(self.new_image())
        image = await library.update(image.id, Changes({key: "one"}))
        assert image.properties[key] == "one"
        image = await library.update(image.id, Changes({key: "two"}))
        assert image.properties[key] == "two"
        image = await library.update(image.id, Changes({}, frozenset({key})))
        assert key not in image.properties

    async def test_tags_are_replaced(self, library: Library) -> None:
        image = await library.create(self.new_image(tags=frozenset({"a", "b"})))
        image = await library.update(image.id, Changes({"tags": frozenset({"b", "c"})}))
        assert image.tags == {"b", "c"}
        image = await library.update(image.id, Changes({"tags": frozenset()}))
        assert image.tags == frozenset()

    async def test_no_changes_change_nothing(self, library: Library) -> None:
        image = await library.create(self.new_image(properties={"k": "v"}))
        after = await library.update(image.id, Changes({}))
        assert replace(after, updated_at=image.updated_at) == image

    async def test_an_image_is_deactivated_and_reactivated(self, library: Library) -> None:
        image = await self.active(library, b"data")
        after = await library.update(image.id, Changes({"status": "deactivated", "k": "v"}))
        assert (after.status, after.has_data, after.properties["k"]) == ("deactivated", True, "v")
        assert after.hashes == image.hashes
        after = await library.update(image.id, Changes({"status": "active"}))
        assert after.status == "active"
        assert await content(library, image.id) == b"data"

    async def test_a_queued_image_is_not_deactivated(self, library: Library) -> None:
        image = await library.create(self.new_image())
        with pytest.raises((ConflictError, ForbiddenError)):
            await library.update(image.id, Changes({"status": "deactivated"}))
        assert (await library.show(image.id)).status == "queued"

    async def test_what_is_not_there_is_not_changed(self, library: Library) -> None:
        with pytest.raises(VanishedError):
            await library.update(str(uuid4()), Changes({"name": "x"}))

    # Members

    async def test_members_come_and_go(self, library: Library) -> None:
        image = await library.create(self.new_image(visibility="shared"))
        projects = sorted(uuid4().hex for _ in range(3))
        for project in reversed(projects):
            await library.add_member(image.id, Member(project))
        assert await _projects(library, image.id) == projects
        await library.remove_member(image.id, projects[1])
        await library.remove_member(image.id, projects[1])
        assert await _projects(library, image.id) == [projects[0], projects[2]]

    async def test_a_shared_image_may_have_no_members(self, library: Library) -> None:
        image = await library.create(self.new_image(visibility="shared"))
        assert await library.list_members(image.id) == ()

    async def test_members_outlive_data_and_changes(self, library: Library) -> None:
        image = await library.create(self.new_image(visibility="shared"))
        project = uuid4().hex
        await library.add_member(image.id, Member(project))
        await library.upload(image.id, 4, pieces(b"data"))
        await library.update(image.id, Changes({"name": "other"}))
        assert await _projects(library, image.id) == [project]

    async def test_only_a_shared_image_has_members(self, library: Library) -> None:
        image = await library.create(self.new_image(visibility="private"))
        with pytest.raises(ForbiddenError):
            await library.add_member(image.id, Member(uuid4().hex))

    async def test_what_is_not_there_has_no_members(self, library: Library) -> None:
        gone = str(uuid4())
        with pytest.raises(VanishedError):
            await library.list_members(gone)
        with pytest.raises(VanishedError):
            await library.add_member(gone, Member("project"))


async def _projects(library: Library, image_id: str) -> Sequence[str]:
    return [member.id for member in await library.list_members(image_id)]
