"""Reading by a manifest that is wrong in itself, though every blob of it has its name."""

from collections.abc import Iterable

import pytest

from meltemi.chunks.blob import BlobId, Buffer, chunk_id
from meltemi.chunks.fetching import Fetcher
from meltemi.chunks.manifest import Entry
from meltemi.chunks.reader import Reader
from meltemi.errors import DamageError
from tests.chunks.making import KIB, Tree, noise

CHUNK = noise(1, 10 * KIB)


class Given(Fetcher):
    """Gives blobs from memory."""

    def __init__(self, blobs: dict[BlobId, bytes]) -> None:
        self._blobs = blobs

    def fetch_all(self, wanted: Iterable[BlobId]) -> dict[BlobId, Buffer]:
        """Give blobs."""
        return {blob: self._blobs[blob] for blob in wanted}


def opened(*entries: Entry) -> Reader:
    """Open what consists of some entries."""
    made = Tree(entries)
    return Reader("image x", made.root_id, Given({**made.blobs, chunk_id(CHUNK): CHUNK}))


def test_an_entry_ends_where_its_chunk_ends() -> None:
    reader = opened(Entry(10 * KIB, chunk_id(CHUNK)), Entry(9 * KIB, chunk_id(CHUNK), KIB))
    assert b"".join(reader.read()) == CHUNK + CHUNK[KIB:]


@pytest.mark.parametrize(
    "entry",
    [Entry(10 * KIB + 1, chunk_id(CHUNK)), Entry(9 * KIB + 1, chunk_id(CHUNK), KIB)],
)
def test_an_entry_that_is_longer_than_its_chunk_is_damage(entry: Entry) -> None:
    """Else less data would come than there is, and nobody would say so."""
    with pytest.raises(DamageError, match="image x: an entry is longer than its chunk"):
        list(opened(entry).read())


def test_batches_are_as_large_as_is_asked_for_each() -> None:
    """They hold what `read` gives; zeros take no memory and do not count."""
    reader = opened(*[Entry(10 * KIB, chunk_id(CHUNK)), Entry(64 * KIB, None)] * 6)
    most = iter([9 * KIB, 20 * KIB, 1, 100 * KIB, 0, 0])
    batches = list(reader.batches(KIB, reader.size, lambda: next(most)))
    data = [b"".join(batch) for batch in batches]
    assert b"".join(data) == b"".join(reader.read(KIB))
    assert [len(one) - one.count(0) for one in data] == [
        sum(map(bool, CHUNK[KIB:])),
        *(n * sum(map(bool, CHUNK)) for n in (2, 1, 2)),
    ]
