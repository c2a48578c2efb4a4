"""Garbage collection: what no head leads to goes, while uploads run (docs/chunk-store.md)."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from meltemi.chunks.blob import BlobId, Buffer
from meltemi.chunks.fetching import Stretch, known_damage, record_damage, stretches, unpacked
from meltemi.chunks.footers import places_of
from meltemi.chunks.head import object_of
from meltemi.chunks.index.blobs import Location
from meltemi.chunks.index.collection import CollectionIndex, PackRow
from meltemi.chunks.index.schema import State
from meltemi.chunks.marks import Marks, mark_head
from meltemi.chunks.pack import FULL, HEADER_BYTES, Place, footer_bytes, pack_object
from meltemi.chunks.packing import Packer
from meltemi.chunks.reconcile import adopt_unknown, settle_orphans
from meltemi.chunks.session import Session, bury_the_dead, lease
from meltemi.chunks.store import Store
from meltemi.errors import DamageError, MissingError, StoreError

_SLACK: Final = 1.05
"""Times the living bytes that may be stored before packs are rewritten."""

_ATTEMPTS: Final = 3
"""Times that it is looked whether a pack can go, while others publish images."""

_ROUND: Final = 2 * FULL
"""Bytes that are moved at once: enough to fill packs, few enough to hold the list of them."""


@dataclass
class Collected:
    """What a collection found and did, or would do; sizes in bytes."""

    images: int = 0
    live: int = 0
    stored: int = 0
    dead_packs: int = 0
    rewritten_packs: int = 0
    freed: int = 0
    waiting: int = 0
    damaged: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Yield:
    """A pack: the bytes of blobs that something needs, and what could go without the others."""

    row: PackRow
    live: int
    dead: int


def collect(store: Store, *, dry_run: bool = False) -> Collected:
    """Delete what nothing needs; give what was done. With `dry_run`, only say what would be.

    Raise BusyError where another collector is at work, DamageError where it cannot be known what
    an image needs, StoreError where the index tells of packs that are not there.
    """
    with Session(store.sessions) as session, Marks() as marks:
        lease(store.sessions, session.number)
        return _Collector(store, session, marks, dry_run=dry_run).run()


class _Collector:
    def __init__(self, store: Store, session: Session, marks: Marks, *, dry_run: bool) -> None:
        self._store = store
        self._session = session
        self._marks = marks
        self._dry_run = dry_run
        self._index = CollectionIndex(store.database, session.number)
        self._published = -1
        self._marked: set[str] = set()
        self._scarred: set[str] = set()
        self._done = Collected()

    def run(self) -> Collected:
        if not self._dry_run:
            bury_the_dead(self._store.sessions)
            settle_orphans(self._store, self._index)
        adopt_unknown(self._store, self._index, dry_run=self._dry_run)
        self._mark()
        self._doubt()
        self._scarred = {pack for pack, _ in known_damage(self._store.backend)}
        yields = self._yields()
        self._done.live = sum(part.live for part in yields)
        self._done.stored = sum(part.row.size for part in yields)
        dead = [part for part in yields if not part.live]
        poor = _poor([part for part in yields if part.live], self._scarred)
        self._done.dead_packs, self._done.rewritten_packs = len(dead), len(poor)
        if self._dry_run:
            self._foretell([*dead, *poor])
            return self._done
        if dead:
            self._index.retire([part.row.number for part in dead])
        # What is dead makes room before anything is written.
        self._delete()
        for group in _rounds(poor):
            self._rewrite(group)
            self._delete()
        return self._done

    def _mark(self) -> None:
        """Mark what the heads need that are not marked yet."""
        published = self._index.published()
        for head in self._store.heads.all(coming=True, but=self._marked):
            mark_head(head, self._store.fetcher, self._marks)
            self._marked.add(head.id)
        self._published = published
        self._done.images = len(self._marked)

    def _doubt(self) -> None:
        """Raise DamageError where the index says of a pack that it may go, and something needs it.

        No collector ever left it like that.
        """
        for row in self._index.packs():
            if row.state is not State.GONE:
                continue
            with suppress(MissingError, DamageError):
                if self._needed(row, places_of(self._store.backend, row.id))[0]:
                    raise StoreError(
                        f"{self._store.database.label}: the index is damaged: pack {row.id} is to "
                        "go, but images need it; nothing was deleted: name a new index and "
                        "rebuild it (meltemi store reindex)"
                    )

    def _yields(self) -> list[_Yield]:
        """Say of each pack that nobody is writing how much of it something needs."""
        busy = self._living() | {self._session.number}
        found = []
        for row in self._index.packs():
            if row.state is not State.LIVE or row.session in busy:
                continue
            self._session.check()
            places, damage = self._places(row)
            if damage:
                # It may hold what only it could tell of.
                if self._lacking():
                    self._done.damaged.append(damage)
                    continue
                self._scarred.add(row.id)
            home, bad = self._needed(row, places)
            if not bad:
                live = sum(place.stored for place in home)
                kept = HEADER_BYTES + live + footer_bytes(len(home)) if home else 0
                found.append(_Yield(row, live, row.size - kept))
        return found

    def _foretell(self, going: Sequence[_Yield]) -> None:
        """Say what would be freed, and what would wait for a session that may rely on it."""
        sessions = self._living()
        self._done.waiting = len(going) if sessions else 0
        self._done.freed = 0 if sessions else sum(part.dead for part in going)
        for row in self._index.packs():
            if row.state is not State.RETIRING or self._needed(row, self._places(row)[0])[0]:
                continue
            if any(number <= (row.noted or 0) for number in sessions):
                self._done.waiting += 1
            else:
                self._done.freed += row.size

    def _living(self) -> set[int]:
        """Give the other sessions that live; those that seem dead are not waited for to see it."""
        living = self._index.living_sessions()
        return living - self._store.sessions.silent().keys() if self._dry_run else living

    def _places(self, row: PackRow) -> tuple[Sequence[Place], str]:
        """Give what a pack holds; where its footer is damaged, what the index knows, and why."""
        try:
            return places_of(self._store.backend, row.id), ""
        except DamageError as error:
            return self._index.inhabitants(row.number), str(error)

    def _lacking(self) -> bool:
        """Say whether images need something that is nowhere, as far as the index knows."""
        locate = self._store.blobs.locate
        return any(len(locate(batch)) < len(batch) for batch in self._marks)

    def _needed(self, row: PackRow, places: Sequence[Place]) -> tuple[list[Place], bool]:
        """Give what is needed of a pack and nowhere else; say whether some of it is damaged."""
        marked = self._marks.known(place.blob for place in places)
        at_home = self._index.at_home(row.number, list(marked))
        if away := marked - at_home.keys():
            at_home |= dict.fromkeys(self._see_elsewhere(row, away), False)
        return [place for place in places if place.blob in at_home], any(at_home.values())

    def _see_elsewhere(self, row: PackRow, away: set[BlobId]) -> set[BlobId]:
        """See that what images need of a pack, and the index knows elsewhere, really is there.

        Give what is damaged there: this copy heals it when the pack is rewritten.
        """
        located = self._store.blobs.locate(away)
        there: set[BlobId] = set()
        for pack in {location.pack for location in located.values()}:
            try:
                there.update(place.blob for place in places_of(self._store.backend, pack))
            except DamageError:  # then nobody knows better than the index
                there.update(blob for blob, known in located.items() if known.pack == pack)
        if lost := away - (located.keys() & there):
            raise StoreError(
                f"{self._store.database.label}: the index is damaged: blob {min(lost).hex()}, "
                f"which images need, is in pack {row.id}, and the index does not say so; nothing "
                "was deleted for that: rebuild it (meltemi store reindex)"
            )
        if healing := {blob for blob, known in located.items() if known.bad}:
            self._scarred.add(row.id)
        return healing

    def _rewrite(self, rows: Sequence[PackRow]) -> None:
        """Move what is needed of some packs to new ones, and retire them."""
        new: dict[str, list[Place]] = {}
        number = self._session.number
        packer = Packer(
            self._store.backend, self._store.blobs, number, self._store.crowd, new.__setitem__
        )
        try:
            going = []
            moved: set[BlobId] = set()
            for row in rows:
                places, bad = self._needed(row, self._places(row)[0])
                if not bad and self._move(row, places, packer, moved):
                    going.append(row.number)
            packer.flush()
            # What was published since the marks were made is looked at before a pack goes.
            self._index.retire(going, new.items())
            self._done.freed -= packer.stored
        finally:
            packer.close()

    def _move(
        self, row: PackRow, places: Sequence[Place], packer: Packer, moved: set[BlobId]
    ) -> bool:
        """Copy blobs to new packs as they are; False where one of them is damaged."""
        self._session.check()
        for stretch in stretches(Location(row.id, place, bad=False) for place in places):
            for place, stored in self._read(stretch):
                if place.blob in moved:  # of several copies that heal the same, one is enough
                    continue
                if unpacked(place, stored) is None:
                    record_damage(self._store.backend, self._store.blobs, row.id, [place.blob])
                    self._done.damaged.append(f"pack {row.id}: blob {place.blob.hex()}")
                    return False
                packer.add(place.blob, place.coding, stored, place.length)
                moved.add(place.blob)
        return True

    def _read(self, stretch: Stretch) -> Iterator[tuple[Place, Buffer]]:
        """Give blobs as they are stored; nothing of one that cannot be read."""
        backend, length = self._store.backend, stretch.end - stretch.begin
        try:
            data = memoryview(backend.read(pack_object(stretch.pack), stretch.begin, length))
        except DamageError:
            if len(stretch.places) == 1:
                yield stretch.places[0], b""
                return
            for place in stretch.places:  # it may be of what lies between them
                yield from self._read(Stretch(stretch.pack, [place]))
            return
        if len(data) < length:
            raise StoreError(
                f"{backend.label}: pack {stretch.pack}: only {len(data)} bytes of {length} can be "
                f"read at {stretch.begin}; try again"
            )
        for place in stretch.places:
            begin = place.offset - stretch.begin
            yield place, data[begin : begin + place.stored]

    def _delete(self) -> None:
        self._dismiss()
        self._sweep()

    def _dismiss(self) -> None:
        """Let go of the retiring packs that nothing needs and no session may rely on."""
        self._done.waiting = 0
        for row in self._index.packs():
            if row.state is not State.RETIRING:
                continue
            self._session.check()
            gone = None
            for attempt in range(_ATTEMPTS):
                if self._index.published() != self._published:
                    self._mark()
                elif attempt:
                    break
                if (gone := self._dismiss_one(row)) is not None:
                    break
            self._done.freed += row.size if gone else 0
            self._done.waiting += gone is None

    def _dismiss_one(self, row: PackRow) -> bool | None:
        """Say whether a pack went; None where that cannot be decided yet."""
        places: list[Place] | None
        try:
            places = places_of(self._store.backend, row.id)
        except (DamageError, MissingError):
            places = None
            known = self._index.inhabitants(row.number)
            needed = bool(self._marks.known(place.blob for place in known))
        else:
            needed = bool(self._needed(row, places)[0])
        if needed:
            self._index.revive(row.number)
            return False
        return self._index.dismiss(row.number, places, self._published) or None

    def _sweep(self) -> None:
        """Delete the objects of what is gone, and what broken writes left behind."""
        backend = self._store.backend
        rows = self._index.packs()
        for row in rows:
            if row.state is State.GONE and self._index.condemned(row.number):
                backend.delete(pack_object(row.id))
                self._index.erase(row.number)
        for head_id in self._store.heads.withdrawn():
            self._session.check()
            backend.delete(object_of(head_id))
            self._store.heads.erase(head_id)
        known = {row.id for row in rows if row.state is not State.GONE}
        for pack, name in list(known_damage(backend)):
            if pack not in known and backend.size(pack_object(pack)) is None:
                backend.delete(name)
        backend.tidy()


def _rounds(poor: Iterable[_Yield]) -> Iterator[Sequence[PackRow]]:
    """Part the packs to rewrite into those that are rewritten at once."""
    group: list[PackRow] = []
    size = 0
    for part in poor:
        group.append(part.row)
        size += part.live
        if size >= _ROUND:
            yield group
            group, size = [], 0
    if group:
        yield group


def _poor(yields: Sequence[_Yield], scarred: Collection[str]) -> list[_Yield]:
    """Choose the packs to rewrite: those with the most dead bytes, until little is left.

    And those that are damaged where nothing needs it.
    """
    chosen = [part for part in yields if part.row.id in scarred]
    stored = sum(part.row.size for part in yields) - sum(part.dead for part in chosen)
    live = sum(part.row.size - part.dead for part in yields)
    others = [part for part in yields if part.row.id not in scarred]
    for part in sorted(others, key=lambda part: part.dead / max(part.row.size, 1), reverse=True):
        if stored <= _SLACK * live or not part.dead:
            break
        chosen.append(part)
        stored -= part.dead
    return chosen
