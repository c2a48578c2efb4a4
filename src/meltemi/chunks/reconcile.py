"""Holding the index against what lies in the backend: adopting, dropping, rebuilding."""

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from meltemi.chunks.backends.base import Backend
from meltemi.chunks.blob import BlobId, parse_id
from meltemi.chunks.footers import places_of
from meltemi.chunks.head import Head, object_of
from meltemi.chunks.index.collection import CollectionIndex
from meltemi.chunks.index.schema import State
from meltemi.chunks.marks import Marks
from meltemi.chunks.pack import pack_object
from meltemi.chunks.session import Session, bury_the_dead, lease
from meltemi.chunks.store import Store
from meltemi.errors import DamageError, MissingError, StoreError, UsageError


@dataclass
class Reindexed:
    """What reindexing did, and what it could not read."""

    packs: int = 0
    blobs: int = 0
    images: int = 0
    dropped_packs: list[str] = field(default_factory=list)
    dropped_images: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)


def reindex(store: Store) -> Reindexed:
    """Make the index say what the packs and heads of the backend say; uploads may run."""
    with Session(store.sessions) as session, Marks() as there:
        lease(store.sessions, session.number)
        index = CollectionIndex(store.database, session.number)
        done = Reindexed()
        bury_the_dead(store.sessions)
        settle_orphans(store, index)
        _drop_missing(store, index, done)
        bad = _known_bad(store.backend)
        read = set()
        for pack, size in listed_packs(store.backend):
            session.check()
            try:
                places = places_of(store.backend, pack, whole_header=True)
            except MissingError:
                continue
            except DamageError as error:
                done.damaged.append(str(error))
                places = []
            else:
                read.add(pack)
                there.add(place.blob for place in places)
            index.adopt(pack, size, places, bad.get(pack, set()))
            done.packs += 1
            done.blobs += len(places)
        _unlearn(store, index, read, there)
        for head_id in listed_heads(store.backend):
            try:
                done.images += _adopt_head(store.backend, index, head_id)
            except DamageError as error:
                done.damaged.append(str(error))
        store.indexed()
        return done


def settle_orphans(store: Store, index: CollectionIndex) -> None:
    """Take up what sessions that died were about to bring, where it has come; else forget it.

    What lies in the backend is not deleted for that: the index may be older than its completion.
    """
    backend = store.backend
    for row in index.packs():
        if row.state is State.COMING and row.session is None:
            size = backend.size(pack_object(row.id))
            if size is None:
                index.erase(row.number)
            else:
                _adopt(backend, index, row.id, size, set())
    for head_id in store.heads.orphaned():
        index.settle_head(head_id, there=backend.size(object_of(head_id)) is not None)


def adopt_unknown(store: Store, index: CollectionIndex, *, dry_run: bool) -> None:
    """Take up what lies in the backend and the index has never heard of.

    Raise StoreError where the index tells of what is not there, DamageError for a head that
    cannot be read: then nobody knows what is needed.
    """
    backend = store.backend
    listed = dict(listed_packs(backend))
    rows = index.packs()
    known = {row.id for row in rows}
    for row in rows:
        if row.state in (State.LIVE, State.RETIRING) and row.id not in listed:
            _must_be_there(backend, pack_object(row.id))
    heads = set(listed_heads(backend))
    mine = store.heads.known()
    for head_id in store.heads.named():
        if head_id not in heads and head_id in store.heads.named():
            _must_be_there(backend, object_of(head_id))
    # A list may tell of what has been deleted.
    strangers = [
        pack for pack in listed if pack not in known and backend.size(pack_object(pack)) is not None
    ]
    unknown = [head_id for head_id in heads - mine if backend.size(object_of(head_id)) is not None]
    if dry_run and (strangers or unknown):
        raise StoreError(
            f"{backend.label}: {len(strangers)} packs and {len(unknown)} heads are unknown to the "
            "index, which may be old: rebuild it first (meltemi store reindex)"
        )
    bad = _known_bad(backend) if strangers else {}
    for pack in strangers:
        _adopt(backend, index, pack, listed[pack], bad.get(pack, set()))
    for head_id in unknown:
        _adopt_head(backend, index, head_id)


def _adopt(
    backend: Backend, index: CollectionIndex, pack: str, size: int, bad: set[BlobId]
) -> None:
    """Take up a pack; one that cannot be read is known, at least, and named by who looks."""
    try:
        places = places_of(backend, pack)
    except MissingError:  # deleted a moment ago
        return
    except DamageError:
        places = []
    index.adopt(pack, size, places, bad)


def _adopt_head(backend: Backend, index: CollectionIndex, head_id: str) -> bool:
    """Take up a head; say whether it was there, and still is."""
    try:
        index.adopt_head(read_head(backend, head_id))
    except MissingError:
        return False
    # It may have been removed since it was read.
    there = backend.size(object_of(head_id)) is not None
    index.settle_head(head_id, there=there)
    return there


def read_head(backend: Backend, head_id: str) -> Head:
    """Read a head from its object."""
    name = object_of(head_id)
    size = backend.size(name)
    if size is None:
        raise MissingError(f"{backend.label}: {name} is not there")
    data = backend.read(name, 0, size)
    if len(data) < size:
        raise StoreError(
            f"{backend.label}: {name}: only {len(data)} of {size} bytes came; try again"
        )
    try:
        return Head.decode(head_id, data.decode())
    except (ValueError, json.JSONDecodeError) as error:
        raise DamageError(f"{backend.label}: {name}: {error}") from error


def _drop_missing(store: Store, index: CollectionIndex, done: Reindexed) -> None:
    for row in index.packs():
        there = (State.LIVE, State.RETIRING)
        if row.state in there and store.backend.size(pack_object(row.id)) is None:
            index.drop(row.number)
            done.dropped_packs.append(row.id)
    for head_id, name in store.heads.named().items():
        if store.backend.size(object_of(head_id)) is None:
            index.drop_head(head_id)
            done.dropped_images.append(name)


def _unlearn(store: Store, index: CollectionIndex, read: Collection[str], there: Marks) -> None:
    """Forget what the index tells of packs that were read, and is in none: it would be a hit."""
    for batch in store.blobs.all():
        known = there.known(blob for ids in batch.values() for blob in ids)
        for pack, ids in batch.items():
            if pack in read and (false := [blob for blob in ids if blob not in known]):
                index.unlearn(pack, false)


def _must_be_there(backend: Backend, name: str) -> None:
    if backend.size(name) is None:
        raise StoreError(
            f"{backend.label}: {name}, which the index knows, is not there; nothing was deleted: "
            "restore it, or let the index forget it (meltemi store reindex)"
        )


def listed_packs(backend: Backend) -> Iterator[tuple[str, int]]:
    """Give the ids and lengths of the packs that the backend lists."""
    for name, size in backend.names("packs"):
        pack = name.rpartition("/")[2]
        if name == pack_object(pack):
            yield pack, size


def listed_heads(backend: Backend) -> Iterator[str]:
    """Give the ids of the heads that the backend lists."""
    for name, _ in backend.names("heads"):
        head_id = name.rpartition("/")[2]
        if name == object_of(head_id):
            yield head_id


def _known_bad(backend: Backend) -> dict[str, set[BlobId]]:
    """Read which blobs of which packs were found to be damaged."""
    found: dict[str, set[BlobId]] = {}
    for name, _ in backend.names("bad"):
        pack, _, blob = name.removeprefix("bad/").partition("-")
        try:
            found.setdefault(pack, set()).add(parse_id(blob))
        except UsageError:
            continue
    return found
