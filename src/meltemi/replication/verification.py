"""Holding what a target stored against what its source has."""

import asyncio
from collections.abc import AsyncGenerator

from meltemi.libraries.base import Library
from meltemi.model.image import Hashes, Image
from meltemi.replication.reading import Block, Reading, start_hash


async def is_same_data(
    reading: Reading, source_data: AsyncGenerator[Block], target: Library, stored: Image
) -> bool:
    """Say whether a target stored the source's data, by their records or by reading.

    Where the records cannot be compared and the source has not been read in this run, it is read
    now, out of `source_data`: a size says nothing of what an image holds.
    """
    recorded = reading.image.hashes
    if stored.size != reading.image.size:
        return False
    verdict = _compare(reading.computed, recorded, stored.hashes)
    if verdict is None and reading.computed is None:
        async for _ in source_data:
            pass
        verdict = _compare(reading.computed, recorded, stored.hashes)
    if verdict is None:
        verdict = await read_back(reading.computed or recorded, target, stored.id)
    return verdict


def _compare(computed: Hashes | None, recorded: Hashes, stored: Hashes) -> bool | None:
    verdict = computed.agree(stored) if computed is not None else None
    return recorded.agree(stored) if verdict is None else verdict


async def read_back(expected: Hashes, target: Library, image_id: str) -> bool:
    """Say whether a target's data has a hash, where it recorded none that can be compared."""
    state = start_hash(expected)
    async for piece in target.read(image_id):
        await asyncio.to_thread(state.update, piece)
    return state.hexdigest() == (expected.value or expected.checksum)
