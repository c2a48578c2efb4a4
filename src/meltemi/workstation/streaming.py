"""Downloading an image as a whole into a draft."""

from contextlib import aclosing
from typing import Final

from meltemi.errors import CorruptionError
from meltemi.libraries.base import Library
from meltemi.model.image import Image
from meltemi.replication.limits import Bandwidth
from meltemi.replication.reading import Block, Reading, start_hash
from meltemi.threads import in_thread
from meltemi.workstation.draft import Draft
from meltemi.workstation.steps import Telling, hash_all

_BLOCK: Final = 2**20


async def download(library: Library, image: Image, draft: Draft, telling: Telling) -> int:
    """Bring an image; what the draft has of its beginning is hashed, and not fetched again.

    The last block is written once all data has the hash on record: CorruptionError says that it
    has another. Give how many bytes came.
    """
    size = image.size or 0
    # The last byte is always read, since what comes of reading is verified.
    begin = at = min(draft.size, max(size - 1, 0))
    await in_thread(draft.resize, at)
    state = start_hash(image.hashes)
    if begin:
        with telling(f"read what is here of {image.label}", begin) as tell:
            await hash_all(state, draft.pieces(), lambda done: tell(done, begin))
    with telling(f"fetch {image.label}", size - begin) as tell:
        try:
            reading = Reading(library, image, Bandwidth(), _BLOCK)
            async with aclosing(reading.blocks(begin, state)) as blocks:
                async for block in blocks:
                    await in_thread(_write, draft, at, block)
                    at += block.size
                    tell(at - begin, size - begin)
        except CorruptionError:
            await in_thread(draft.discard)
            raise
    await in_thread(draft.resize, size)
    await in_thread(draft.complete)
    return at - begin


def _write(draft: Draft, at: int, block: Block) -> None:
    for piece in block.pieces:
        draft.write(at, piece)
        at += len(piece)
