"""Reading many small stretches of data at once: their chunks in few reads, in bounded memory."""

from collections.abc import Iterator, Sequence
from typing import Final

from meltemi.chunks.fetching import Fetcher
from meltemi.chunks.manifest import Entry, FormatError
from meltemi.chunks.reader import ZEROS, pieces_of
from meltemi.errors import DamageError

_TOGETHER: Final = 128
"""Stretches that are read at once: of each, two chunks may be needed but for little of them."""


def gather(fetcher: Fetcher, stretches: Sequence[Sequence[Entry]]) -> Iterator[bytes]:
    """Give the data of stretches, each told by its entries, in their order.

    The chunks of many are read together, neighbours in one read. Raise DamageError where one
    cannot be had as it was stored.
    """
    for begin in range(0, len(stretches), _TOGETHER):
        group = stretches[begin : begin + _TOGETHER]
        wanted = {entry.chunk for entries in group for entry in entries if entry.chunk is not None}
        chunks = fetcher.fetch_all(wanted)
        for entries in group:
            if len(entries) == 1 and entries[0].chunk is None and entries[0].length <= len(ZEROS):
                yield ZEROS[: entries[0].length]  # most of a disk is zeros: none is copied
                continue
            try:
                yield b"".join(pieces_of(entries, chunks))
            except FormatError as error:
                raise DamageError(f"a manifest: {error}") from error
