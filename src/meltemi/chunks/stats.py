"""What a store holds, in figures."""

from dataclasses import dataclass

from sqlalchemy import func, select

from meltemi.chunks.index.collection import pack_rows
from meltemi.chunks.index.schema import State, blobs
from meltemi.chunks.store import Store


@dataclass(frozen=True, slots=True)
class Stats:
    """Figures of a store; sizes in bytes.

    `data` is what its images amount to, `distinct` what is left of that when every blob counts
    once, `stored` what the packs take up.
    """

    images: int
    data: int
    blobs: int
    distinct: int
    packs: int
    stored: int
    sessions: int


def stats(store: Store) -> Stats:
    """Count."""
    heads = store.heads.all()
    rows = [row for row in pack_rows(store.database) if row.state in (State.LIVE, State.RETIRING)]
    with store.database.reading() as connection:
        count, distinct = connection.execute(
            select(func.count(), func.coalesce(func.sum(blobs.c.length), 0))
        ).one()
    return Stats(
        images=len(heads),
        data=sum(head.size for head in heads),
        blobs=int(count),
        distinct=int(distinct),
        packs=len(rows),
        stored=sum(row.size for row in rows),
        sessions=store.sessions.count(),
    )
