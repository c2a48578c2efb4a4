"""Reading from the packs themselves what they hold."""

from typing import Final

from meltemi.chunks.backends.base import Backend
from meltemi.chunks.pack import (
    HEADER_BYTES,
    PackFormatError,
    Place,
    header_of,
    pack_object,
    read_footer,
)
from meltemi.errors import DamageError, MissingError, StoreError

_TAIL: Final = 128 * 2**10
"""Bytes that are read at first: the footer of a pack of chunks of average size fits in."""


def places_of(backend: Backend, pack: str, *, whole_header: bool = False) -> list[Place]:
    """Give what a pack holds; raise DamageError where it cannot be known, MissingError if gone."""
    name = pack_object(pack)
    size = backend.size(name)
    if size is None:
        raise MissingError(f"{backend.label}: pack {pack} is not there")
    wanted = min(size, _TAIL)
    where = f"{backend.label}: pack {pack}"
    try:
        while True:
            tail = _read(backend, pack, size - wanted, wanted)
            found = read_footer(pack, tail, size)
            if not isinstance(found, int):
                break
            wanted = found
    except PackFormatError as error:
        raise DamageError(f"{where}: {error}") from error
    if whole_header and _read(backend, pack, 0, HEADER_BYTES) != header_of(pack):
        raise DamageError(f"{where}: its header is not its own")
    return found


def _read(backend: Backend, pack: str, offset: int, length: int) -> bytes:
    data = backend.read(pack_object(pack), offset, length)
    if len(data) < length:
        raise StoreError(
            f"{backend.label}: pack {pack}: only {len(data)} of {length} bytes came; try again"
        )
    return data
