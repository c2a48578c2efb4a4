"""What the state does not have yet, in parts: nothing lost, nothing before its history."""

from operator import attrgetter

from hypothesis import given
from hypothesis import strategies as st

from meltemi.daemon.dirt import Dirt
from meltemi.daemon.state.records import Change
from meltemi.model.placement import Observed, Place

CHANGED, REMOVED = attrgetter("changed"), attrgetter("removed")
PLACES = st.builds(Place, st.just("s"), st.sampled_from("abcdef"), st.sampled_from("tu"))


def change(place: Place, at: int) -> Change:
    return Change(float(at), place, "route", wanted=True, observed=Observed.READY, name="image")


@given(
    changed=st.sets(PLACES),
    removed=st.sets(PLACES),
    told=st.lists(PLACES, max_size=30),
    most=st.integers(1, 5),
)
def test_parts_are_the_whole_and_a_place_comes_with_the_last_of_its_changes(
    changed: set[Place], removed: set[Place], told: list[Place], most: int
) -> None:
    dirt = Dirt(changed, removed - changed, [change(place, at) for at, place in enumerate(told)])
    parts = dirt.parted(most)
    assert parts
    assert [one for part in parts for one in part.history] == dirt.history
    for places, those_of in ((dirt.changed, CHANGED), (dirt.removed, REMOVED)):
        assert sum(len(those_of(part)) for part in parts) == len(places)
        assert set().union(*map(those_of, parts)) == places
    for number, part in enumerate(parts):
        assert len(part.history) <= most
        assert len(part.changed | part.removed) <= most
        later = {one.place for after in parts[number + 1 :] for one in after.history}
        assert not (part.changed | part.removed) & later
