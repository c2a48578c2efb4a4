"""A clock that jumps: no heart that beats is taken for one that does not."""

from types import SimpleNamespace

import pytest

from meltemi.chunks import session
from meltemi.chunks.cut import Cut
from meltemi.chunks.index import sessions
from meltemi.errors import SessionLostError
from tests.chunks.faults.rig import Rig, blocks

DAY = 24 * 3600.0


class Clock:
    """A clock that the test sets, and what happens while somebody waits."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0
        self.beating: list[int] = []
        self.waited = 0
        self.rig: Rig | None = None

    def time(self) -> float:
        """Give the time, such as it is."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let the hearts that beat do so, if that is long enough."""
        assert seconds >= 2 * session.BEAT_SECONDS, "a heart may beat right after the first look"
        self.waited += 1
        assert self.rig is not None
        for number in self.beating:
            self.rig.store.sessions.beat(number)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, rig: Rig) -> Clock:
    """Give the clock of all who use the store."""
    made = Clock()
    made.rig = rig
    monkeypatch.setattr(sessions, "time", SimpleNamespace(time=made.time))
    monkeypatch.setattr(session, "time", SimpleNamespace(sleep=made.sleep))
    return made


@pytest.mark.parametrize("jump", [3 * DAY, -3 * DAY, 16 * 60, -1.0])
def test_a_jump_during_a_put(jump: float, rig: Rig, clock: Clock) -> None:
    rig.put("old", 1, 2, 3)
    with rig.store.writing(cut=Cut.FIXED) as writer:
        writer.write(blocks(1, 2, 4))
        clock.beating = [writer._session.number]
        rig.remove("old")
        clock.now += jump
        rig.collect()
        assert clock.waited
        clock.now -= jump
        rig.collect()
        rig.finish(writer, "new", blocks(1, 2, 4))
        clock.beating = []
    rig.see_clean()


@pytest.mark.parametrize("jump", [3 * DAY, -3 * DAY])
def test_a_heart_that_has_stopped_is_found_whatever_the_clock_says(
    jump: float, rig: Rig, clock: Clock
) -> None:
    rig.put("old", 1, 2, 3)
    with rig.store.writing(cut=Cut.FIXED) as writer:
        writer.write(blocks(1, 2, 4))
        rig.remove("old")
        clock.now += jump
        rig.collect()
        assert clock.waited == 1
        assert rig.store.sessions.count() == 0
        with pytest.raises(SessionLostError, match="put again"):
            writer.finish("new")
    rig.see_clean()


def test_nobody_is_watched_as_long_as_the_clock_is_right(rig: Rig, clock: Clock) -> None:
    with rig.store.writing(cut=Cut.FIXED) as writer:
        clock.now += 14 * 60
        rig.collect()
        writer.write(blocks(1))
        rig.finish(writer, "new", blocks(1))
    assert clock.waited == 0
    rig.see_clean()
