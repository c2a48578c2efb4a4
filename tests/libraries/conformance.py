"""What every library must do: the contract of `meltemi.libraries.base.Library`, as tests.

Subclass `LibraryConformance` in a test module and give it a fixture `library`, a library that can
be written; it may hold other images. Override `new_image` where images need more than a name.
"""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, suppress
from dataclasses import replace
from random import Random
from typing import Any
from uuid import UUID, uuid4

import pytest

from meltemi.errors import (
    ConflictError,
    ForbiddenError,
    ImageError,
    InterruptedTransfer,
    RefusedError,
    VanishedError,
)
from meltemi.libraries.base import Changes, Library
from meltemi.model.image import Hashes, Image, Member

MIB = 1 << 20
DATA = Random(5).randbytes(3 * MIB + 17)

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


class SourceBrokeError(Exception):
    """Comes out of a data iterator, and out of nothing else."""


async def pieces(data: bytes, size: int = 65536) -> AsyncIterator[bytes]:
    """Give data in pieces of `size` bytes."""
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def broken(data: bytes, error: Exception) -> AsyncIterator[bytes]:
    """Give data, and then an error."""
    async for piece in pieces(data):
        yield piece
    raise error


async def content(library: Library, image_id: str, offset: int = 0) -> bytes:
    """Read an image's data from `offset` to its end."""
    return b"".join([piece async for piece in library.read(image_id, offset)])


async def listed(library: Library) -> list[Image]:
    """Give all images of a library in the order it lists them."""
    return [image async for page in library.list_images() for image in page]


async def refilled(library: Library, image_id: str, data: bytes) -> None:
    """Fill an image whose last upload was cut off; a server may need a while to notice that."""
    for _ in range(200):
        image = await library.show(image_id)
        assert not image.has_data
        if image.status == "queued":
            assert (image.size, image.hashes) == (None, Hashes())
            with suppress(ConflictError):
                await library.upload(image_id, len(data), pieces(data))
                return
        await asyncio.sleep(0.05)
    pytest.fail(f"image {image_id} cannot be filled again")


def hashes_of(data: bytes, algorithm: str | None) -> Hashes:
    """Compute what a library must have recorded."""
    assert algorithm is not None
    checksum = hashlib.md5(data, usedforsecurity=False).hexdigest()
    return Hashes(checksum, algorithm, hashlib.new(algorithm, data).hexdigest())


class LibraryConformance:
    """Hold one implementation to the contract."""

    def new_image(self, **attributes: Any) -> Image:
        """Give an image with a fresh id that the library under test would accept."""
        image = Image(
            id=str(uuid4()),
            name="conformance",
            disk_format="raw",
            container_format="bare",
        )
        return replace(image, **attributes)

    async def active(self, library: Library, data: bytes = DATA, **attributes: Any) -> Image:
        """Put an image with data into the library."""
        image = await library.create(self.new_image(**attributes))
        await library.upload(image.id, len(data), pieces(data))
        return await library.show(image.id)

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

    # Sending data

    async def test_an_image_with_its_data_is_active(self, library: Library) -> None:
        image = await self.active(library)
        assert (image.status, image.size) == ("active", len(DATA))
        assert image.hashes == hashes_of(DATA, image.hashes.algorithm)
        assert await content(library, image.id) == DATA

    async def test_upload_leaves_the_metadata_alone(self, library: Library) -> None:
        attributes = {"tags": frozenset({"a"}), "properties": {"k": "v"}, "min_ram": 7}
        image = await self.active(library, b"some", **attributes)
        assert (image.name, image.tags, image.min_ram) == ("conformance", frozenset({"a"}), 7)
        assert image.properties["k"] == "v"

    async def test_data_may_be_empty(self, library: Library) -> None:
        image = await self.active(library, b"")
        assert (image.status, image.size) == ("active", 0)
        assert await content(library, image.id) == b""

    @pytest.mark.parametrize("size", [1, 4095, MIB - 1, MIB, MIB + 1, len(DATA)])
    async def test_data_may_come_in_any_pieces(self, library: Library, size: int) -> None:
        data = DATA[: min(len(DATA), 3000 * size)]
        image = await library.create(self.new_image())
        await library.upload(image.id, len(data), pieces(data, size))
        assert await content(library, image.id) == data

    async def test_pieces_may_be_empty(self, library: Library) -> None:
        async def gappy() -> AsyncIterator[bytes]:
            for piece in (b"", b"one", b"", b"", b"two", b""):
                yield piece

        image = await library.create(self.new_image())
        await library.upload(image.id, 6, gappy())
        assert await content(library, image.id) == b"onetwo"

    async def test_an_active_image_takes_no_data(self, library: Library) -> None:
        image = await self.active(library)
        with pytest.raises(ConflictError):
            await library.upload(image.id, 5, pieces(b"other"))
        assert await library.show(image.id) == image
        assert await content(library, image.id) == DATA

    async def test_an_image_that_is_not_there_takes_no_data(self, library: Library) -> None:
        with pytest.raises(VanishedError):
            await library.upload(str(uuid4()), 5, pieces(b"other"))

    @pytest.mark.parametrize("before", [0, 10, MIB, len(DATA)])
    async def test_an_error_out_of_the_data_goes_through(
        self, library: Library, before: int
    ) -> None:
        image = await library.create(self.new_image())
        error = SourceBrokeError("the source broke")
        with pytest.raises(SourceBrokeError) as caught:
            await library.upload(image.id, len(DATA), broken(DATA[:before], error))
        assert caught.value is error
        await self._fillable(library, image.id)

    async def test_an_error_of_meltemi_goes_through(self, library: Library) -> None:
        image = await library.create(self.new_image())
        error = InterruptedTransfer("the source broke")
        with pytest.raises(InterruptedTransfer) as caught:
            await library.upload(image.id, len(DATA), broken(DATA[:MIB], error))
        assert caught.value is error
        await self._fillable(library, image.id)

    async def test_a_cancelled_upload_leaves_the_image_queued(self, library: Library) -> None:
        image = await library.create(self.new_image())
        under_way = asyncio.Event()

        async def endless() -> AsyncIterator[bytes]:
            yield DATA[:MIB]
            under_way.set()
            await asyncio.Event().wait()

        task = asyncio.create_task(library.upload(image.id, len(DATA), endless()))
        await under_way.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await self._fillable(library, image.id)

    @pytest.mark.parametrize("sent", [0, 1, MIB, len(DATA) - 1])
    async def test_too_little_data_makes_no_image(self, library: Library, sent: int) -> None:
        image = await library.create(self.new_image())
        with pytest.raises(ImageError):
            await library.upload(image.id, len(DATA), pieces(DATA[:sent]))
        await self._fillable(library, image.id)

    @pytest.mark.parametrize("announced", [0, 1, MIB, len(DATA) - 1])
    async def test_too_much_data_makes_no_image(self, library: Library, announced: int) -> None:
        image = await library.create(self.new_image())
        with pytest.raises(ImageError):
            await library.upload(image.id, announced, pieces(DATA))
        await self._fillable(library, image.id)

    async def test_one_at_a_time_sends_data(self, library: Library) -> None:
        data = DATA * 6
        image = await library.create(self.new_image())
        under_way, go = asyncio.Event(), asyncio.Event()

        async def slow() -> AsyncIterator[bytes]:
            async for piece in pieces(data[:-1], MIB):
                yield piece
            under_way.set()
            await go.wait()
            yield data[-1:]

        first = asyncio.create_task(library.upload(image.id, len(data), slow()))
        await under_way.wait()
        with pytest.raises(ConflictError):
            await library.upload(image.id, 5, pieces(b"other"))
        go.set()
        await first
        assert await content(library, image.id) == data

    async def test_images_are_sent_side_by_side(self, library: Library) -> None:
        datas = [DATA[start:] for start in range(5)]
        images = await asyncio.gather(*(self.active(library, data) for data in datas))
        for image, data in zip(images, datas, strict=True):
            assert await content(library, image.id) == data

    async def _fillable(self, library: Library, image_id: str) -> None:
        await refilled(library, image_id, DATA)
        image = await library.show(image_id)
        assert image.hashes == hashes_of(DATA, image.hashes.algorithm)
        assert await content(library, image_id) == DATA

    # Reading

    @pytest.mark.parametrize("offset", [0, 1, MIB, 2 * MIB + 5, len(DATA) - 1])
    async def test_data_is_read_from_an_offset(self, library: Library, offset: int) -> None:
        image = await self.active(library)
        assert await content(library, image.id, offset) == DATA[offset:]

    async def test_reading_may_stop_anywhere(self, library: Library) -> None:
        image = await self.active(library)
        async with aclosing(_generator(library, image.id)) as data:
            assert DATA.startswith(await anext(data))
        assert await content(library, image.id) == DATA

    async def test_an_image_is_read_by_many(self, library: Library) -> None:
        image = await self.active(library)
        found = await asyncio.gather(*(content(library, image.id) for _ in range(4)))
        assert found == [DATA] * 4

    async def test_what_is_not_there_cannot_be_read(self, library: Library) -> None:
        gone = str(uuid4())
        with pytest.raises(VanishedError):
            await library.show(gone)
        with pytest.raises(VanishedError):
            await content(library, gone)

    async def test_a_queued_image_has_no_data(self, library: Library) -> None:
        image = await library.create(self.new_image())
        with suppress(ImageError):
            assert await content(library, image.id) == b""

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


async def _projects(library: Library, image_id: str) -> Sequence[str]:
    return [member.id for member in await library.list_members(image_id)]


async def _generator(library: Library, image_id: str) -> AsyncGenerator[bytes, None]:
    async for piece in library.read(image_id):
        yield piece
