"""Placements counted as they change, held against counting them all."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from meltemi.daemon.census import Census, Way
from meltemi.model.placement import Observed, Place, Placement

ROUTES, LIBRARIES, NOW = ("r", "q"), ("t", "u"), 100.0


@st.composite
def placements(draw: st.DrawFn) -> Placement:
    return Placement(
        Place("s", draw(st.sampled_from("abc")), draw(st.sampled_from(LIBRARIES))),
        draw(st.sampled_from(ROUTES)),
        wanted=True,
        observed=draw(st.sampled_from(list(Observed))),
        since=0.0,
        behind=draw(st.none() | st.floats(0, 2 * NOW)),
    )


@given(st.lists(st.tuples(placements(), st.booleans())))
def test_what_is_counted_is_what_is_there(steps: list[tuple[Placement, bool]]) -> None:
    census, there = Census(), dict[Place, Placement]()
    for new, stays in steps:
        census.changed(there.pop(new.place, None), new if stays else None)
        if stays:
            there[new.place] = new
    for way in (Way(route, library) for route in ROUTES for library in LIBRARIES):
        own = [one for one in there.values() if (one.route, one.place.library) == way]
        lags = [NOW - one.behind for one in own if one.behind is not None]
        population = census[way]
        assert +population.observed == Counter(one.observed for one in own)
        assert population.lag(NOW) == max([0.0, *lags])
        assert population.late(NOW, 7.0) == sum(lag > 7.0 for lag in lags)
