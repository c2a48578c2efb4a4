"""What owners choose: reading it, and telling them what became of it."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from meltemi.model.choosing import (
    LONGEST_STATUS,
    MOST_NAMES,
    REGIONS,
    share,
    status_text,
    wishes,
)
from meltemi.model.image import STATUS, Image, state_digest

NAMES = st.text(st.characters(blacklist_characters=",", codec="utf-8"), min_size=1, max_size=20)
SIZES = st.lists(st.tuples(st.integers(0, 100), st.integers(0, 5)), max_size=20)


def asked(text: str) -> tuple[str, ...]:
    return wishes(Image("1", properties={REGIONS: text}))


def test_commas_blanks_case_and_duplicates() -> None:
    assert asked(" Crete ,,sparta, \t,CRETE,North  Side,") == ("Crete", "sparta", "North Side")
    assert asked("") == asked(" , ") == wishes(Image("1")) == ()


def test_no_more_is_read_than_anybody_needs() -> None:
    names = [f"region-{number}" for number in range(MOST_NAMES)]
    assert asked(",".join(names)) == tuple(names)
    *known, rest = asked(",".join([*names, *["beyond"] * 100_000]))
    assert known == names
    assert rest.startswith("beyond,beyond,")
    assert len(rest) < 300
    assert len(asked("x" * 100_000)[0]) < 300


@given(st.lists(NAMES, max_size=50))
def test_each_name_is_asked_for_once(names: list[str]) -> None:
    found = asked(",".join(names))
    lower = [name.lower() for name in found]
    assert len(set(lower)) == len(lower)
    assert set(lower) == {" ".join(name.split()).lower() for name in names} - {""}


@given(st.lists(st.tuples(NAMES, st.sampled_from(["ready", "unknown region"])), max_size=2000))
def test_a_status_fits_and_is_plain(answers: list[tuple[str, str]]) -> None:
    text = status_text(answers)
    assert len(text) <= LONGEST_STATUS
    assert text.isascii()
    assert text.isprintable()
    told = [part for part in text.split("; ") if ": " in part]
    missing = len(answers) - len(told)
    assert text.endswith(f"and {missing} more") or not missing


def test_a_status_tells_as_much_as_there_is_room_for() -> None:
    assert status_text([("crete", "ready"), ("mars", "unknown region")]) == (
        "crete: ready; mars: unknown region"
    )
    assert status_text([]) == ""
    long = status_text([(f"region-{number}", "unknown region") for number in range(1000)])
    assert long.startswith("region-0: unknown region; region-1: unknown region; ")
    assert long.endswith("; and 991 more")
    assert status_text([("x" * 300, "ready"), ("ü; a: ready\n", "no")]) == (
        f"{'x' * 37}...: ready; ???a??ready?: no"
    )


@given(SIZES, st.integers(0, 300), st.integers(0, 300), st.randoms())
def test_a_quota_is_never_exceeded_and_its_order_is_of_the_images(
    sizes: list[tuple[int, int]], quota: int, taken: int, random: Random
) -> None:
    images = [
        Image(f"{number:02}", size=size, created_at=f"2026-01-0{day + 1}T00:00:00Z")
        for number, (size, day) in enumerate(sizes)
    ]
    fitting, others = share(quota, taken, images)
    used = sum(image.size or 0 for image in fitting)
    assert not used or taken + used <= quota
    assert all(taken + used + (image.size or 0) > quota for image in others)
    assert sorted([*fitting, *others], key=lambda image: image.id) == images
    shuffled = list(images)
    random.shuffle(shuffled)
    assert share(quota, taken, shuffled) == (fitting, others)


def test_of_two_that_fit_only_alone_the_older_one_comes() -> None:
    new, old = (Image(name, size=6, created_at=at) for name, at in (("a", "2026"), ("b", "2025")))
    assert share(10, 0, [new, old]) == ([old], [new])


def test_what_an_owner_is_told_is_no_change_of_an_image() -> None:
    bare, told = Image("1"), Image("1", properties={STATUS: "crete: ready"})
    assert state_digest(bare) == state_digest(told)
    assert state_digest(bare) != state_digest(Image("1", properties={REGIONS: "crete"}))
