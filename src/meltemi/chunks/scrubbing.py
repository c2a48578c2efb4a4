"""Scrubbing: reading every pack, and holding every blob against its name."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import select, update

from meltemi.chunks.fetching import record_damage, record_frame, unpacked
from meltemi.chunks.footers import places_of
from meltemi.chunks.index.collection import PackRow, pack_rows
from meltemi.chunks.index.schema import State, facts, packs
from meltemi.chunks.pack import pack_object
from meltemi.chunks.store import Store
from meltemi.errors import DamageError, MissingError

_ROUND: Final = facts.c.name == "scrub"


@dataclass
class Scrubbed:
    """What was read, in packs and bytes, and a line for each thing that is wrong."""

    packs: int = 0
    bytes: int = 0
    problems: list[str] = field(default_factory=list)


def scrub(
    store: Store,
    *,
    rate: int | None = None,
    sleep: Callable[[float], None] = time.sleep,
    tell: Callable[[int, int], None] = lambda _done, _all: None,
) -> Scrubbed:
    """Read what has not been read in this round; one that was interrupted is gone on with.

    `rate` is how many bytes a second are read at most. Who comes to the end of a round ends it: the
    next scrub reads everything anew. `tell` hears how many bytes have been read, and how many there
    are to read.
    """
    done = Scrubbed()
    with store.database.reading() as connection:
        current = connection.scalar(select(facts.c.value).where(_ROUND)) or 1
    begun = time.monotonic()
    rows = [
        row
        for row in pack_rows(store.database)
        if row.scrubbed != current and row.state in (State.LIVE, State.RETIRING)
    ]
    total = sum(row.size for row in rows)
    for row in rows:
        tell(done.bytes, total)
        if rate is not None:
            sleep(max(0.0, begun + done.bytes / rate - time.monotonic()))
        found = len(done.problems)
        _scrub_pack(store, row, done)
        if len(done.problems) > found:
            # Should this scrub be interrupted, the one that goes on with it tells of it, too.
            continue
        with store.database.exclusive() as connection:
            change = update(packs).where(packs.c.number == row.number)
            connection.execute(change.values(scrubbed=current))
    with store.database.exclusive() as connection:
        ended = update(facts).where(_ROUND, facts.c.value == current)
        connection.execute(ended.values(value=current + 1))
    return done


def _scrub_pack(store: Store, row: PackRow, done: Scrubbed) -> None:
    try:
        places = places_of(store.backend, row.id, whole_header=True)
        size = store.backend.size(pack_object(row.id)) or 0
        data = memoryview(store.backend.read(pack_object(row.id), 0, size))
    except MissingError as error:
        states = {other.number: other.state for other in pack_rows(store.database)}
        if states.get(row.number) in (State.LIVE, State.RETIRING):
            done.problems.append(str(error))
        return  # otherwise it was collected meanwhile
    except DamageError as error:
        record_frame(store.backend, row.id)
        done.problems.append(str(error))
        return
    if len(data) < size:
        done.problems.append(f"pack {row.id}: only {len(data)} of its {size} bytes can be read")
        return
    done.packs += 1
    done.bytes += len(data)
    damaged = [
        place.blob
        for place in places
        if unpacked(place, data[place.offset : place.offset + place.stored]) is None
    ]
    if damaged:
        record_damage(store.backend, store.blobs, row.id, damaged)
    done.problems += [f"pack {row.id}: blob {blob.hex()} is damaged" for blob in damaged]
