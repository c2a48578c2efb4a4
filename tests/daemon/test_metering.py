"""What usage comes to: folded at once, bit by bit, and by a rule that knows no ledger."""

import asyncio
import shutil
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from lab import Postgres
from meltemi.daemon.api import documents
from meltemi.daemon.metering import Amount, Entry, Ledger, until
from meltemi.daemon.state.records import Change
from meltemi.daemon.state.state import State, open_state
from meltemi.daemon.state.usage import Asked
from meltemi.model.placement import Observed, Place

START = datetime(2026, 11, 26, 22, tzinfo=UTC).timestamp()
HOUR = 3600.0
DAY = 24 * HOUR
END = START + 10 * DAY

Drawn = tuple[int, str, Observed, str | None, int, int, float]
Figures = dict[tuple[str, str, str], tuple[int, int]]


def change(
    hours: float, observed: Observed, *, size: int = 10, moved: int = 0, owner: str | None = "p"
) -> Change:
    return Change(
        START + hours * HOUR,
        Place("s", "image", "t"),
        "route",
        wanted=True,
        observed=observed,
        owner=owner,
        size=size,
        moved=moved,
    )


def folded(changes: Sequence[Change], moment: float = END) -> Figures:
    """Fold a whole history at once."""
    ledger = Ledger()
    ledger.take(changes)
    later = until(ledger.balances, moment)
    none = Amount()
    found = {
        entry: (
            ledger.amounts.get(entry, none).moved,
            ledger.amounts.get(entry, none).stored + later.get(entry, none).stored,
        )
        for entry in ledger.amounts.keys() | later.keys()
    }
    return {(*entry,): figures for entry, figures in found.items() if any(figures)}


def byte_hours(changes: Sequence[Change], hours: float) -> dict[str, float]:
    found = folded(changes, START + hours * HOUR)
    return {day: stored / 3_600_000 for (day, *_), (_, stored) in found.items() if stored}


def test_what_is_ready_is_stored_by_day() -> None:
    changes = [
        change(0, Observed.QUEUED),
        change(0.25, Observed.COPYING),
        change(0.5, Observed.VERIFYING, moved=7),
        change(1, Observed.READY, moved=2),
    ]
    assert byte_hours(changes, 1) == {}
    assert byte_hours(changes, 30) == {"2026-11-26": 10, "2026-11-27": 240, "2026-11-28": 40}
    moved = {day: moved for (day, *_), (moved, _) in folded(changes).items() if moved}
    assert moved == {"2026-11-26": 9}


@pytest.mark.parametrize(
    ("observed", "stored"),
    [
        ((Observed.READY, Observed.STALE), True),
        ((Observed.READY, Observed.STALE, Observed.QUEUED), True),
        ((Observed.READY, Observed.STALE, Observed.FAILED), True),
        ((Observed.READY, Observed.STALE, Observed.QUEUED, Observed.STALE), True),
        ((Observed.READY, Observed.CONFLICT), True),
        ((Observed.READY, Observed.QUEUED), False),
        ((Observed.READY, Observed.QUEUED, Observed.FAILED), False),
        ((Observed.READY, Observed.STALE, Observed.QUEUED, Observed.COPYING), False),
        ((Observed.READY, Observed.ABSENT), False),
        ((Observed.FAILED,), False),
        ((Observed.CONFLICT,), False),
    ],
)
def test_when_an_image_is_stored(observed: Sequence[Observed], *, stored: bool) -> None:
    changes = [change(0, one) for one in observed]
    assert byte_hours(changes, 1) == ({"2026-11-26": 10} if stored else {})


def test_who_has_an_image_now_is_charged_from_now_on() -> None:
    changes = [
        change(0, Observed.READY),
        change(1, Observed.STALE, owner="q", size=30),
        change(2, Observed.READY, owner=None),
    ]
    stored = {
        key: stored // 3_600_000 for key, (_, stored) in folded(changes, START + 2.5 * HOUR).items()
    }
    assert stored == {
        ("2026-11-26", "p", "t"): 10,
        ("2026-11-26", "q", "t"): 30,
        ("2026-11-27", "", "t"): 5,
    }


def test_a_clock_that_is_set_back_counts_nothing_twice() -> None:
    changes = [
        change(2, Observed.READY),
        change(1, Observed.STALE),
        change(1.5, Observed.READY),
    ]
    assert byte_hours(changes, 3) == {"2026-11-27": 10}


HISTORIES = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.sampled_from(["t", "u"]),
        st.sampled_from(list(Observed)),
        st.sampled_from(["p", "q", None]),
        st.integers(0, 2**50),
        st.integers(0, 2**40),
        st.floats(-2 * HOUR, 2 * DAY, allow_nan=False),
    ),
    max_size=40,
)


def history(
    drawn: Sequence[Drawn],
) -> list[Change]:
    at, changes = START, list[Change]()
    for image, library, observed, owner, size, moved, later in drawn:
        at += later
        changes.append(
            Change(
                at,
                Place("s", str(image), library),
                "route",
                wanted=True,
                observed=observed,
                owner=owner,
                size=size,
                moved=moved,
                id=len(changes) + 1,
            )
        )
    return changes


@given(HISTORIES)
def test_a_fold_comes_to_what_each_image_does(
    drawn: list[Drawn],
) -> None:
    """Follow each image by itself, by the hour's thousandth of it, where the clock goes on."""
    changes = history([(*one[:6], abs(one[6])) for one in drawn])
    end = (changes[-1].at if changes else START) + DAY
    by_place: dict[Place, list[Change]] = defaultdict(list)
    for one in changes:
        by_place[one.place].append(one)
    expected: dict[tuple[str, str, str], list[int]] = defaultdict(lambda: [0, 0])
    for place, own in by_place.items():
        there, before = False, None
        for one, following in zip(own, [*own[1:], None], strict=True):
            match one.observed:
                case Observed.READY | Observed.STALE:
                    there = True
                case Observed.ABSENT | Observed.COPYING | Observed.VERIFYING:
                    there = False
                case Observed.QUEUED:
                    there = there and before is not Observed.READY
            if one.size == 0:
                there = False
            before = one.observed
            start, stop = int(one.at * 1000), int((following.at if following else end) * 1000)
            day = day_of(start)
            expected[day, one.owner or "", place.library][0] += one.moved
            while there and start < stop:
                midnight = min((start // 86_400_000 + 1) * 86_400_000, stop)
                at_place = expected[day_of(start), one.owner or "", place.library]
                at_place[1] += one.size * (midnight - start)
                start = midnight
    found = {key: tuple(figures) for key, figures in expected.items() if any(figures)}
    assert folded(changes, end) == found


@given(st.floats(0, END))
def test_moments_are_told_as_they_are_metered(moment: float) -> None:
    told = datetime.fromisoformat(documents.moment(moment) or "")
    assert round(told.timestamp() * 1000) == int(moment * 1000)


def day_of(moment: int) -> str:
    return datetime.fromtimestamp(moment // 1000, UTC).date().isoformat()


@asynccontextmanager
async def leading(url: str) -> AsyncIterator[State]:
    state = await open_state(url)
    try:
        await state.lead("one", 600, lambda _: False)
        yield state
    finally:
        await state.close()


async def kept(state: State, moment: float = END) -> Figures:
    rows = await state.usage.read(Asked(), moment)
    return {(*entry,): (one.moved, one.stored) for entry, one in rows if one.moved or one.stored}


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the file of an empty state."""
    file = tmp_path_factory.mktemp("state") / "empty.sqlite"

    async def make() -> None:
        await (await open_state(f"sqlite:///{file}")).close()

    asyncio.run(make())
    return file


@settings(max_examples=30, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(HISTORIES, st.lists(st.integers(0, 40), max_size=6), st.data())
async def test_what_is_kept_is_what_the_history_says(
    empty: Path,
    drawn: list[Drawn],
    cuts: list[int],
    data: st.DataObject,
) -> None:
    """Meter as it comes, a few changes at once, and forget what has been metered."""
    changes = history(drawn)
    moment = data.draw(st.floats(START - DAY, END))
    shutil.copy(empty, used := empty.with_name("used.sqlite"))
    async with leading(f"sqlite:///{used}") as state:
        start = 0
        for cut in [*sorted(cuts), len(changes)]:
            await state.save("one", [], history=changes[start:cut])
            start = max(start, cut)
            if data.draw(st.booleans()):
                assert not await state.usage.meter("one")
            if data.draw(st.booleans()):
                await state.forget("one", END + 1000 * DAY)
            assert await kept(state, moment) == folded(changes[:start], moment)


async def test_postgresql_keeps_the_same(postgres: Postgres, tmp_path: Path) -> None:
    postgres.create_database(tmp_path.name)
    changes = history(
        [
            (n % 3, "tu"[n % 2], [*Observed][n % 8], "pq"[n % 2], 2**50 + n, n, HOUR)
            for n in range(100)
        ]
    )
    async with leading(f"{postgres.url}/{tmp_path.name}") as state:
        await state.save("one", [], history=changes[:50])
        assert not await state.usage.meter("one")
        await state.forget("one", END)
        await state.save("one", [], history=changes[50:])
        assert await kept(state) == folded(changes)
        await state.usage.meter("one")
        assert await kept(state) == folded(changes)
        day = "2026-11-27"
        whole = await state.usage.read(Asked(), END)
        for asked in (
            Asked(day, day, "p", "t"),
            Asked(first=day),
            Asked(last=day, owner="q"),
            Asked(project="p", owner="q"),
            Asked(project=""),
            Asked(library="u"),
        ):
            rows = await state.usage.read(asked, END)
            assert rows == [one for one in whole if asked.has(one[0])]
        rows = await state.usage.read(Asked(day, day, "p", "t"), END)
        assert [entry for entry, _ in rows] == [Entry(day, "p", "t")]


async def test_history_is_kept_until_it_is_metered(tmp_path: Path) -> None:
    async with leading(f"sqlite:///{tmp_path}/state.sqlite") as state:
        history = [change(0, Observed.QUEUED), change(0, Observed.READY, moved=3)]
        await state.save("one", [], history=history)
        await state.forget("one", END)
        assert len(await state.changes(most=10)) == 2
        await state.usage.meter("one")
        await state.forget("one", END)
        [last] = await state.changes(most=10)
        assert (await kept(state))["2026-11-26", "p", "t"] == (3, 10 * 2 * 3_600_000)
        await state.save("one", [], history=[change(1, Observed.ABSENT)])
        assert [one.id > last.id for one in await state.changes(after=last.id, most=10)] == [True]
        assert (await kept(state))["2026-11-26", "p", "t"] == (3, 10 * 3_600_000)
