"""Manifests that somebody else holds are read whole, also where answers are cut off."""

from collections.abc import Sequence

import pytest

from meltemi.chunks import tree
from meltemi.chunks.blob import BlobId
from meltemi.chunks.exchange.delta import Stretch
from meltemi.chunks.exchange.difference import Piece, difference
from meltemi.chunks.exchange.remote import Holder, RemoteTree, Sought, Top
from meltemi.chunks.tree import segments_at
from meltemi.errors import InterruptedTransfer
from tests.chunks.making import Tree, some_entries


class CutOff:
    """Has a manifest, of which no answer gets through that is longer than `largest`."""

    def __init__(self, largest: int) -> None:
        self.made = Tree(some_entries(300))
        self._largest = largest

    async def root(self, holder: Holder, unless: BlobId | None = None) -> Top:
        assert (holder.part, unless) == (None, None)
        return Top(self.made.root_id, self.made.root)

    async def segments(self, holder: Holder, sought: Sequence[Sought]) -> Sequence[bytes]:
        assert holder.part is None
        places = [one.place for one in sought]
        found = [bytes(one) for one in segments_at(self.made.root, self.made.fetch, places)]
        if sum(map(len, found)) > self._largest:
            raise InterruptedTransfer("the connection broke")
        return found


@pytest.fixture(autouse=True)
def _small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let trees grow high on few entries."""
    monkeypatch.setattr(tree, "_LEAST_ENTRIES", 4)
    monkeypatch.setattr(tree, "_AVERAGE_ENTRIES", 8)


async def differing(manifests: CutOff) -> list[Stretch | Piece]:
    source = await RemoteTree.open(manifests, Holder("image"))
    return [one async for one in difference(source, [])]


async def test_segments_are_asked_for_a_few_at_a_time_where_more_do_not_get_through() -> None:
    whole = CutOff(2**30)
    longest = max(map(len, whole.made.blobs.values()))
    assert await differing(CutOff(longest)) == await differing(whole)


async def test_a_segment_that_does_not_get_through_by_itself() -> None:
    with pytest.raises(InterruptedTransfer):
        await differing(CutOff(10))
