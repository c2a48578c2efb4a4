"""Getting verified blobs out of packs, neighbours in one read."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple

from meltemi.chunks.backends.base import Backend
from meltemi.chunks.blob import BlobId, Buffer, has_name
from meltemi.chunks.coding import decode
from meltemi.chunks.footers import places_of
from meltemi.chunks.index.blobs import Blobs, Location
from meltemi.chunks.pack import Place, pack_object
from meltemi.errors import DamageError, MeltemiError, MissingError, StoreError

GAP: Final = 2 * 2**20
"""Bytes that are rather read in vain than asked around."""

LARGEST_READ: Final = 12 * 2**20
"""Bytes that one read of neighbours spans at most."""

_LARGEST: Final = 2**21
"""Bytes that no blob has."""

_ATTEMPTS: Final = 3


class Stretch(NamedTuple):
    """Neighbouring blobs of one pack, to be read at once."""

    pack: str
    places: Sequence[Place]

    @property
    def begin(self) -> int:
        """Give the place of its first byte in the pack."""
        return self.places[0].offset

    @property
    def end(self) -> int:
        """Give the place behind its last byte."""
        return self.places[-1].offset + self.places[-1].stored


def stretches(locations: Iterable[Location]) -> list[Stretch]:
    """Order places by packs and gather neighbours."""
    found: list[Stretch] = []
    for location in sorted(locations, key=lambda at: (at.pack, at.place.offset)):
        place = location.place
        if found and found[-1].pack == location.pack:
            last = found[-1]
            near = place.offset - last.end <= GAP
            if near and place.offset + place.stored - last.begin <= LARGEST_READ:
                found[-1] = Stretch(last.pack, [*last.places, place])
                continue
        found.append(Stretch(location.pack, [place]))
    return found


class Fetcher:
    """Reads blobs by their names, each held against its name."""

    def __init__(self, backend: Backend, index: Blobs, pool: ThreadPoolExecutor) -> None:
        self._backend = backend
        self._index = index
        self._pool = pool

    def fetch(self, blob: BlobId) -> bytes:
        """Give one blob."""
        return bytes(self.fetch_all([blob])[blob])

    def fetch_all(self, wanted: Iterable[BlobId]) -> dict[BlobId, Buffer]:
        """Give blobs, verified; raise DamageError for one that is missing or damaged.

        A collector may move blobs to other packs meanwhile; then they are looked up again.
        """
        missing = set(wanted)
        found: dict[BlobId, Buffer] = {}
        for attempt in range(_ATTEMPTS):
            located = self._index.locate(missing)
            if lost := missing - located.keys():
                raise DamageError(
                    f"{self._backend.label}: blob {min(lost).hex()} is in no pack that the index "
                    "knows: rebuild the index (meltemi store reindex), or put the same data again"
                )
            for pack, place, _ in located.values():
                if not _is_plausible(place):
                    self._explain(pack, [place])
            moved: MissingError | None = None
            reads = [
                self._pool.submit(self._read, stretch) for stretch in stretches(located.values())
            ]
            for read in reads:
                try:
                    found.update(read.result())
                except MissingError as error:
                    moved = error
            missing -= found.keys()
            if not missing:
                break
            if attempt + 1 == _ATTEMPTS and moved is not None:
                raise DamageError(
                    f"{moved}; the index knows {len(missing)} blobs there: restore it, or rebuild "
                    "the index (meltemi store reindex) and put the same data again"
                ) from moved
        return found

    def _read(self, stretch: Stretch) -> dict[BlobId, Buffer]:
        name = pack_object(stretch.pack)
        try:
            data = memoryview(self._backend.read(name, stretch.begin, stretch.end - stretch.begin))
        except DamageError:  # of one of them, perhaps
            return self._explain(stretch.pack, stretch.places)
        # A view of a blob would keep everything that was read in vain, too.
        sparse = 2 * sum(place.stored for place in stretch.places) < len(data)
        found: dict[BlobId, Buffer] = {}
        damaged: list[Place] = []
        for place in stretch.places:
            begin = place.offset - stretch.begin
            blob = unpacked(place, data[begin : begin + place.stored])
            if blob is None:
                damaged.append(place)
            else:
                found[place.blob] = bytes(blob) if sparse else blob
        if damaged:
            found.update(self._explain(stretch.pack, damaged))
        return found

    def _explain(self, pack: str, damaged: Sequence[Place]) -> dict[BlobId, Buffer]:
        """Say whether the pack or the index is wrong, and remember it of the pack.

        Give the blobs where it was the reading that went wrong.
        """
        where = f"{self._backend.label}: pack {pack}"
        true = set(places_of(self._backend, pack))
        if wrong := [place for place in damaged if place not in true]:
            raise DamageError(
                f"{where}: blob {wrong[0].blob.hex()} is not where the index says: "
                "rebuild the index (meltemi store reindex)"
            )
        found: dict[BlobId, Buffer] = {}
        names = []
        for place in damaged:
            try:
                stored = self._backend.read(pack_object(pack), place.offset, place.stored)
            except DamageError:
                names.append(place.blob)
                continue
            if len(stored) < place.stored:
                raise StoreError(
                    f"{where}: only {len(stored)} bytes of {place.stored} can be read at "
                    f"{place.offset}, though its footer is there; try again"
                )
            blob = unpacked(place, stored)
            if blob is None:
                names.append(place.blob)
            else:
                found[place.blob] = blob
        if not names:
            return found
        damage = f"{where}: blob {names[0].hex()} is damaged; putting the same data again heals it"
        try:
            record_damage(self._backend, self._index, pack, names)
        except MeltemiError as error:
            # It is named all the same, also on a disk that is full.
            raise DamageError(f"{damage}; that could not be noted: {error}") from error
        raise DamageError(damage)


def _is_plausible(place: Place) -> bool:
    """Say whether a blob can be there: what a damaged index tells must not take all memory."""
    bounds: tuple[tuple[object, int], ...] = (
        (place.offset, 2**40),
        (place.stored, _LARGEST),
        (place.length, _LARGEST),
    )
    return all(isinstance(n, int) and 0 <= n <= most for n, most in bounds)


def unpacked(place: Place, stored: Buffer) -> Buffer | None:
    """Give a blob from its stored bytes, or None where they are not what was stored."""
    try:
        blob = decode(place.coding, stored, place.length)
    except ValueError:
        return None
    return blob if has_name(blob, place.blob) else None


def record_damage(backend: Backend, index: Blobs, pack: str, damaged: Sequence[BlobId]) -> None:
    """Remember damaged blobs, in the index and beside the packs."""
    index.mark_bad(pack, damaged)
    for blob in damaged:
        _remember(backend, f"{pack}-{blob.hex()}")


def record_frame(backend: Backend, pack: str) -> None:
    """Remember that what stands around a pack's blobs is damaged."""
    _remember(backend, f"{pack}-frame")


def known_damage(backend: Backend) -> Iterator[tuple[str, str]]:
    """Give the packs in which damage was found, and the objects that say so."""
    for name, _ in backend.names("bad"):
        yield name.removeprefix("bad/").partition("-")[0], name


def _remember(backend: Backend, damage: str) -> None:
    name = f"bad/{damage}"
    if backend.size(name) is None:
        backend.write(name, b"")
