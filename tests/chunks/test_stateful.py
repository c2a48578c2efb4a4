"""The store against a plain dict: whatever is done in whatever order, both hold the same.

Uploads overlap each other and everything else; some die, some are given up. Packs are small, so
that a few images fill several, and blobs are looked up as soon as there is one.
"""

import shutil
import tempfile
from contextlib import AbstractContextManager, suppress
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from meltemi.chunks import pack, session, writer
from meltemi.chunks.checking import check
from meltemi.chunks.collector import collect
from meltemi.chunks.cut import BLOCK, Cut
from meltemi.chunks.index.collection import pack_rows
from meltemi.chunks.index.schema import State
from meltemi.chunks.opening import open_store
from meltemi.chunks.pack import HEADER_BYTES, pack_object
from meltemi.chunks.reconcile import reindex
from meltemi.chunks.scrubbing import scrub
from meltemi.chunks.store import Store
from meltemi.chunks.writer import Writer
from meltemi.errors import ConflictError, DamageError, SessionLostError, VanishedError
from tests.chunks.faults.rig import see_nothing_behind

NAMES = [f"image {letter}" for letter in "abcde"]
names = st.sampled_from(NAMES)
noise = st.builds(
    lambda seed, size: Random(seed).randbytes(size),
    st.integers(0, 5),
    st.sampled_from([1, 5_000, BLOCK, 70_000, 150_000]),
)
zeros = st.sampled_from([1, BLOCK, 3 * BLOCK + 5]).map(bytes)
texts = st.sampled_from([b"words ", b"more "]).map(lambda word: word * 4_000)
chances = st.integers(0, 2**16).map(Random)
pieces = st.lists(noise | zeros | texts, max_size=4).map(tuple)
scopes = st.sampled_from([None, "one", "two"])


class Upload:
    """An upload that is under way, and what it is about to bring."""

    def __init__(self, store: Store, cut: Cut, scope: str | None) -> None:
        self._context: AbstractContextManager[Writer] = store.writing(cut=cut, scope=scope)
        self.writer = self._context.__enter__()
        self.session = self.writer._session.number
        self.scope = scope
        self.data = b""
        self.lost = False

    def write(self, data: bytes) -> None:
        """Bring more data."""
        self.data += data
        self.writer.write(data)

    def close(self) -> None:
        """End it, whether it was finished or not."""
        self._context.__exit__(None, None, None)


class StoreMachine(RuleBasedStateMachine):
    """Does to a store and to a dict what hypothesis thinks of."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = pytest.MonkeyPatch()
        # No heart beats on its own: who is to die does, however long it may take.
        self.patches.setattr(session, "BEAT_SECONDS", 10.0**6)
        self.patches.setattr(pack, "FULL", 150_000)
        self.patches.setattr(writer, "PIECE", 1)
        self.patches.setattr(writer, "_BATCH", 1)
        self.folder = Path(tempfile.mkdtemp(prefix="meltemi-stateful-"))
        self.store = open_store(str(self.folder / "store"), create=True)
        self.truth: dict[str, bytes] = {}
        self.scopes: dict[str, str | None] = {}
        self.uploads: list[Upload] = []
        self.fresh = count()

    def teardown(self) -> None:
        """Give up what is under way; then nothing that nobody needs may be left."""
        try:
            for upload in self.uploads:
                upload.close()
            collect(self.store)
            done = collect(self.store)
            see_nothing_behind(self.store)
            self.hold_the_same()
            stored = sum(row.size for row in pack_rows(self.store.database))
            assert stored <= 1.1 * done.live + 4096
        finally:
            self.store.close()
            shutil.rmtree(self.folder)
            self.patches.undo()
            super().teardown()

    @rule(name=names, parts=pieces, cut=st.sampled_from(Cut), scope=scopes)
    def put(self, name: str, parts: tuple[bytes, ...], cut: Cut, scope: str | None) -> None:
        with self.store.writing(cut=cut, scope=scope) as upload:
            for part in parts:
                upload.write(part)
            self._finish(upload, name, b"".join(parts), scope)

    @rule(cut=st.sampled_from(Cut), parts=pieces, scope=scopes)
    @precondition(lambda self: len(self.uploads) < 3)
    def begin(self, cut: Cut, parts: tuple[bytes, ...], scope: str | None) -> None:
        self.uploads.append(Upload(self.store, cut, scope))
        self._bring(self.uploads[-1], parts)

    @rule(chance=chances, parts=pieces)
    @precondition(lambda self: self.uploads)
    def go_on(self, chance: Random, parts: tuple[bytes, ...]) -> None:
        self._bring(chance.choice(self.uploads), parts)

    @rule(chance=chances, name=names)
    @precondition(lambda self: self.uploads)
    def finish(self, chance: Random, name: str) -> None:
        upload = self._leave(chance)
        if upload.lost:
            with pytest.raises(SessionLostError):
                upload.writer.finish(name)
        else:
            self._finish(upload.writer, name, upload.data, upload.scope)
        upload.close()

    @rule(chance=chances)
    @precondition(lambda self: self.uploads)
    def give_up(self, chance: Random) -> None:
        self._leave(chance).close()

    @rule(chance=chances)
    @precondition(lambda self: self.uploads)
    def die(self, chance: Random) -> None:
        upload = chance.choice(self.uploads)
        self.store.sessions.bury({upload.session: 0})
        upload.lost = True

    @rule(name=names)
    def remove(self, name: str) -> None:
        if name in self.truth:
            self.store.remove(name)
            del self.truth[name]
        else:
            with pytest.raises(VanishedError):
                self.store.remove(name)

    @rule(name=names, chance=chances)
    def read_a_range(self, name: str, chance: Random) -> None:
        if name not in self.truth:
            with pytest.raises(VanishedError):
                self.store.head(name)
            return
        data = self.truth[name]
        offset, length = chance.randrange(len(data) + 10), chance.randrange(100_000)
        found = self.store.reader(self.store.head(name)).read(offset, length)
        assert b"".join(found) == data[offset : offset + length]

    @rule()
    def collect(self) -> None:
        told = collect(self.store, dry_run=True)
        done = collect(self.store)
        assert done.damaged == []
        assert (done.images, done.live, done.stored) == (told.images, told.live, told.stored)
        self._see_sound()

    @rule()
    def reindex(self) -> None:
        done = reindex(self.store)
        assert (done.damaged, done.dropped_packs, done.dropped_images) == ([], [], [])
        self._see_sound()

    @rule()
    @precondition(lambda self: not self.uploads)
    def lose_the_index(self) -> None:
        self.store.close()
        for path in (self.folder / "store").glob("index.sqlite*"):
            path.unlink()
        self.store = open_store(str(self.folder / "store"))
        done = reindex(self.store)
        assert (done.images, done.damaged) == (len(self.truth), [])
        self._see_sound()

    @rule(chance=chances)
    @precondition(lambda self: not self.uploads)
    def flip_a_bit(self, chance: Random) -> None:
        """Damage one blob: it is named, never served, and healed by whoever brings it again."""
        rows = [row for row in pack_rows(self.store.database) if row.state is not State.GONE]
        if not rows:
            return
        row = chance.choice(rows)
        path = self.folder / "store" / pack_object(row.id)
        data = bytearray(path.read_bytes())
        footer = 42 * int.from_bytes(data[-44:-40], "little") + 44
        data[chance.randrange(HEADER_BYTES, len(data) - footer)] ^= 1 << chance.randrange(8)
        path.write_bytes(data)
        for name, wanted in self.truth.items():
            with suppress(DamageError):
                assert self._read(name) == wanted
        problems = scrub(self.store).problems
        assert any(f"pack {row.id}: blob" in problem for problem in problems)
        for name in list(self.truth):
            scope = self.scopes[name]
            with self.store.writing(cut=Cut[self._cut(name)], scope=scope) as again:
                again.write(self.truth[name])
                again.finish(f"again {next(self.fresh)}")
        for head in self.store.heads.all():
            if head.name not in self.truth:
                self.store.remove(head.name)
        collect(self.store)
        collect(self.store)
        self._see_sound()
        assert list(self.store.backend.names("bad")) == []
        assert scrub(self.store).problems == []

    @invariant()
    def hold_the_same(self) -> None:
        """See that what was acknowledged is there, and nothing else."""
        assert {head.name for head in self.store.heads.all()} == set(self.truth)
        for name, data in self.truth.items():
            assert self._read(name) == data

    def _read(self, name: str) -> bytes:
        return b"".join(self.store.reader(self.store.head(name)).read())

    def _cut(self, name: str) -> str:
        label = self.store.head(name).cut
        return next(cut.name for cut in Cut if cut.label == label)

    def _bring(self, upload: Upload, parts: tuple[bytes, ...]) -> None:
        for part in parts:
            try:
                upload.write(part)
            except SessionLostError:
                assert upload.lost

    def _finish(self, upload: Writer, name: str, data: bytes, scope: str | None) -> None:
        if name in self.truth:
            with pytest.raises(ConflictError):
                upload.finish(name)
        else:
            assert upload.finish(name).head.size == len(data)
            self.truth[name], self.scopes[name] = data, scope

    def _leave(self, chance: Random) -> Upload:
        return self.uploads.pop(chance.randrange(len(self.uploads)))

    def _see_sound(self) -> None:
        assert check(self.store).problems == []


StoreMachine.TestCase.settings = settings(
    max_examples=25,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
test_a_store_holds_what_a_dict_does: Any = StoreMachine.TestCase
