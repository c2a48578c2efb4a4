"""Hearts that beat in threads, and transactions of which there is one at a time."""

from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread

import pytest
from sqlalchemy import text

from meltemi import databases
from meltemi.chunks import session as module
from meltemi.chunks.index.database import Database
from meltemi.chunks.index.sessions import Sessions
from meltemi.chunks.session import Session
from meltemi.errors import SessionLostError, StoreError, UnreachableError
from tests.chunks.faults.rig import Rig


def beats(rig: Rig, session: Session) -> int:
    """Say how often a heart has beaten, as far as the index knows."""
    with rig.store.database.reading() as connection:
        query = text("SELECT beats FROM sessions WHERE number = :number")
        return int(connection.scalar(query, {"number": session.number}) or 0)


def until(true: Callable[[], object]) -> None:
    """Wait for something that is to happen; how long that takes is the machine's affair."""
    while not true():
        Event().wait(0.01)


@pytest.fixture
def quick(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> Rig:
    """Let hearts beat quickly."""
    monkeypatch.setattr(module, "BEAT_SECONDS", 0.01)
    return rig


def test_a_heart_beats_until_its_session_is_closed(quick: Rig) -> None:
    with Session(quick.store.sessions) as session:
        until(lambda: beats(quick, session) > 2)
        session.check()
    assert not session._heart.is_alive()
    assert quick.store.sessions.count() == 0


def test_a_heart_that_beats_in_vain_is_noticed(quick: Rig) -> None:
    with Session(quick.store.sessions) as session:
        with quick.sql() as connection:
            connection.exec_driver_sql("DELETE FROM sessions")
        session._heart.join()
        with pytest.raises(SessionLostError, match="taken for dead"):
            session.check()


def test_a_beat_that_does_not_get_through_is_not_the_end(
    quick: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = [UnreachableError("no index"), StoreError("no index either")]
    beat = Sessions.beat

    def failing(sessions: Sessions, number: int) -> None:
        if failures:
            raise failures.pop()
        beat(sessions, number)

    monkeypatch.setattr(Sessions, "beat", failing)
    with Session(quick.store.sessions) as session:
        until(lambda: beats(quick, session))
        session.check()


def test_a_transaction_begins_when_no_other_one_is_under_way(
    rig: Rig, index: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it reads first can then be no news when it writes."""
    if index.startswith("sqlite"):
        monkeypatch.setattr(databases, "_BUSY_SECONDS", 0)
        impatient = Database(index)
        with rig.sql(), pytest.raises(StoreError, match="locked"), impatient.exclusive():
            pytest.fail("there were two")
        with impatient.exclusive():
            pass
        impatient.close()
        return
    begun = Event()

    def begin() -> None:
        with rig.store.database.exclusive():
            begun.set()

    second = Thread(target=begin)
    waiting = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")

    def waits() -> object:
        with rig.store.database.reading() as connection:
            return begun.is_set() or connection.scalar(waiting)

    with rig.sql():
        second.start()
        until(waits)
        assert not begun.is_set()
    second.join()
    assert begun.is_set()


def test_what_is_committed_is_on_the_disk(tmp_path: Path) -> None:
    """A power cut cannot be made here: with these settings SQLite promises to survive it."""
    database = Database(f"sqlite:///{tmp_path / 'index.sqlite'}")
    with database.exclusive() as connection:
        full = 2
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == full
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
    database.close()
