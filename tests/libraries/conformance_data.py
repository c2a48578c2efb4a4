"""The part of the contract that is about data: sending it and reading it."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, suppress
from uuid import uuid4

import pytest

from meltemi.errors import ConflictError, ImageError, InterruptedTransfer, VanishedError
from meltemi.libraries.base import Library
from tests.libraries.handling import (
    DATA,
    MIB,
    ImageMaker,
    SourceBrokeError,
    broken,
    content,
    hashes_of,
    pieces,
    refilled,
)


class DataConformance(ImageMaker):
    """Hold one implementation to the contract for data."""

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


async def _generator(library: Library, image_id: str) -> AsyncGenerator[bytes, None]:
    async for piece in library.read(image_id):
        yield piece
