"""Scrubbing in rounds: one that was interrupted is gone on with, one that ended begins anew."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from meltemi.chunks import scrubbing
from meltemi.chunks.backends.folder import FolderBackend
from meltemi.chunks.index.schema import State
from meltemi.chunks.pack import HEADER_BYTES, pack_object
from meltemi.chunks.scrubbing import scrub
from meltemi.errors import StoreError
from tests.chunks.faults.rig import Hooks, Rig, block


def damage(rig: Rig, data: bytes) -> str:
    """Flip a bit in the pack that has a block; give the pack."""
    pack = rig.pack_of(data)
    path = Path(rig.store.backend.label) / pack_object(pack)
    stored = bytearray(path.read_bytes())
    stored[HEADER_BYTES + 5] ^= 1
    path.write_bytes(stored)
    return pack


def fail() -> None:
    raise StoreError("the cable is out")


def of_pack(pack: str) -> Callable[..., bool]:
    """Say whether an operation is about one pack."""
    return lambda arguments: arguments[0] == pack_object(pack)


def test_what_comes_between_two_scrubs_does_not_spare_the_rest(rig: Rig) -> None:
    rig.put("one", 1)
    assert scrub(rig.store).packs == 1
    pack = damage(rig, block(1))
    rig.put("two", 2)
    done = scrub(rig.store)
    assert done.packs == 2
    assert [pack in problem for problem in done.problems] == [True]


def test_an_interrupted_scrub_is_gone_on_with_and_tells_again_what_was_found(
    rig: Rig, hooks: Hooks
) -> None:
    for number in range(4):
        rig.put(f"image {number}", number)
    bad = damage(rig, block(1))
    hooks.before(FolderBackend, "size", fail, when=of_pack(rig.pack_of(block(2))))
    with pytest.raises(StoreError, match="the cable is out"):
        scrub(rig.store)
    rest = scrub(rig.store)
    assert rest.packs == 3, "the sound pack was read again, or others were not"
    assert [bad in problem for problem in rest.problems] == [True]
    whole = scrub(rig.store)
    assert whole.packs == 4
    assert [bad in problem for problem in whole.problems] == [True]


def test_no_more_than_the_rate_is_read(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock on which nothing takes time but waiting."""
    now = [100.0]
    waited: list[float] = []
    monkeypatch.setattr(scrubbing, "time", SimpleNamespace(monotonic=lambda: now[0]))

    def sleep(seconds: float) -> None:
        now[0] += seconds
        waited.append(seconds)

    for number in range(4):
        rig.put(f"image {number}", number)
    done = scrub(rig.store, rate=1000, sleep=sleep)
    sizes = [row.size for row in rig.rows(State.LIVE)]
    assert (done.packs, done.bytes) == (4, sum(sizes))
    assert waited == pytest.approx([0, *(size / 1000 for size in sizes[:-1])])
