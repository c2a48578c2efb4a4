"""Checking a store: whether everything that an image needs lies where it should."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from meltemi.chunks.blob import BlobId
from meltemi.chunks.footers import places_of
from meltemi.chunks.head import object_of
from meltemi.chunks.index.collection import pack_rows
from meltemi.chunks.index.heads import other_name
from meltemi.chunks.index.schema import State
from meltemi.chunks.manifest import FormatError, Segment, decode_root, decode_segment
from meltemi.chunks.marks import Marks
from meltemi.chunks.pack import pack_object
from meltemi.chunks.reconcile import listed_heads, listed_packs, read_head
from meltemi.chunks.store import Store
from meltemi.errors import DamageError, MeltemiError, MissingError

_STANDING: Final = (State.LIVE, State.RETIRING)


@dataclass
class Checked:
    """What was looked at, and a line for each thing that is wrong."""

    images: int = 0
    packs: int = 0
    references: int = 0
    problems: list[str] = field(default_factory=list)


def check(store: Store) -> Checked:
    """Follow every image down to its last chunk, reading manifests and footers only.

    Every image that misses something is named, also where several miss the same.
    """
    with Marks() as sound, Marks() as seen:
        checker = _Checker(store, sound, seen)
        checker.packs()
        checker.blobs()
        checker.heads()
        return checker.done


class _Checker:
    def __init__(self, store: Store, sound: Marks, seen: Marks) -> None:
        self._store = store
        self._sound = sound
        self._seen = seen
        self._whole: set[str] = set()
        self.done = Checked()

    def packs(self) -> None:
        """Hold the index against what the packs say, and remember what can be had."""
        listed = {pack for pack, _ in listed_packs(self._store.backend)}
        rows = {row.id: row for row in pack_rows(self._store.database)}
        for pack in sorted(listed - rows.keys()):
            # What was collected meanwhile is in no list of packs any more, but not there either.
            if self._store.backend.size(pack_object(pack)) is not None:
                self._problem(f"pack {pack} is unknown to the index: meltemi store reindex")
        for pack, row in rows.items():
            if row.state in _STANDING:
                self.done.packs += 1
                for problem in self._pack(pack):
                    self._problem(problem)

    def _pack(self, pack: str) -> Iterator[str]:
        try:
            places = places_of(self._store.backend, pack, whole_header=True)
        except MissingError as error:
            states = {row.id: row.state for row in pack_rows(self._store.database)}
            if states.get(pack) in _STANDING:
                yield f"{error}; the index knows it"
            return  # otherwise it was collected meanwhile
        except DamageError as error:
            yield str(error)
            return
        located = self._store.blobs.locate(place.blob for place in places)
        sound = []
        for place in places:
            known = located.get(place.blob)
            if known is None or known.pack != pack:
                continue
            if known.place != place:
                yield f"pack {pack}: blob {place.blob.hex()}: the index is wrong: reindex"
            elif known.bad:
                yield f"pack {pack}: blob {place.blob.hex()} is known to be damaged"
            else:
                sound.append(place.blob)
        self._sound.add(sound)
        self._whole.add(pack)

    def blobs(self) -> None:
        """See that what the index tells of these packs is there: a put would rely on it."""
        for batch in self._store.blobs.all():
            known = self._sound.known(blob for ids in batch.values() for blob in ids)
            for pack, ids in batch.items():
                false = [blob for blob in ids if pack in self._whole and blob not in known]
                if false and self._is_wrong(pack, false):
                    self._problem(
                        f"pack {pack}: the index tells of {len(false)} blobs that are not there: "
                        "meltemi store reindex"
                    )

    def _is_wrong(self, pack: str, ids: Sequence[BlobId]) -> bool:
        """Look again whether blobs that the index tells of are not there: they may have moved."""
        list(self._pack(pack))
        sound = self._sound.known(ids)
        located = self._store.blobs.locate(blob for blob in ids if blob not in sound)
        return any(at.pack == pack and not at.bad for at in located.values())

    def heads(self) -> None:
        """Follow every image down."""
        backend = self._store.backend
        listed = set(listed_heads(backend))
        for head_id in sorted(listed - self._store.heads.known()):
            if backend.size(object_of(head_id)) is not None:
                self._problem(f"head {head_id} is unknown to the index: meltemi store reindex")
        for head_id, name in self._store.heads.named().items():
            self.done.images += 1
            problems = list(self._head(head_id, name))
            if problems and head_id in self._store.heads.named():
                for problem in problems:
                    self._problem(f"image {name}: {problem}")

    def _head(self, head_id: str, name: str) -> Iterator[str]:
        try:
            there = read_head(self._store.backend, head_id)
            known = self._store.heads.get(name)
        except MeltemiError as error:
            yield str(error)
            return
        if name not in (there.name, other_name(there)) or known != replace(there, name=name):
            yield f"the index tells otherwise than its head, {head_id}: meltemi store reindex"
        try:
            yield from self._below(there.manifest)
        except MeltemiError as error:
            yield str(error)

    def _below(self, root: BlobId) -> Iterator[str]:
        missing = list(self._missing([root]))
        if missing:
            yield from missing
            return
        try:
            top = decode_root(self._store.fetch(root)).top
        except (DamageError, FormatError) as error:
            yield str(error)
            return
        yield from self._segment(top)

    def _segment(self, segment: Segment) -> Iterator[str]:
        chunks = [entry.chunk for entry in segment.entries if entry.chunk is not None]
        yield from self._missing(chunks)
        for length, child in segment.children:
            if self._seen.known([child]):
                continue
            problems = list(self._missing([child]))
            if not problems:
                try:
                    below = decode_segment(self._store.fetch(child), length=length)
                    problems = list(self._segment(below))
                except (DamageError, FormatError) as error:
                    problems = [str(error)]
            yield from problems
            if not problems:
                self._seen.add([child])

    def _missing(self, blobs: Sequence[BlobId]) -> Iterator[str]:
        self.done.references += len(blobs)
        sound = self._sound.known(blobs)
        if lost := [blob for blob in blobs if blob not in sound]:
            # They may have been moved, or have come, since the packs were looked at.
            located = self._store.blobs.locate(lost)
            for pack in {location.pack for location in located.values()}:
                list(self._pack(pack))
            sound |= self._sound.known(lost)
        for blob in blobs:
            if blob not in sound:
                yield f"blob {blob.hex()} cannot be had"

    def _problem(self, line: str) -> None:
        self.done.problems.append(line)
