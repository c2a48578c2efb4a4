"""What a replica says of its origin: it reads back, bound to its image; nonsense is nothing."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from meltemi.model.image import Hashes, Image, Member
from meltemi.model.provenance import (
    REPLICATED_AT,
    SOURCE,
    SOURCE_HASH,
    WRITTEN,
    Provenance,
    Written,
    describe_hash,
    read_provenance,
    short,
    timestamp,
)

DIGESTS = st.text("0123456789abcdef", min_size=12, max_size=12)
TIMES = st.datetimes(
    datetime(1970, 1, 2),  # noqa: DTZ001 - hypothesis adds the zone
    datetime(2999, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
).map(lambda moment: moment.replace(microsecond=0))
MARKS = st.builds(
    Provenance,
    library=st.text(min_size=1),
    source_id=st.text().filter(lambda text: "/" not in text),
    source_hash=st.text(),
    written=st.builds(
        Written,
        st.dictionaries(st.text(), DIGESTS),
        st.frozensets(DIGESTS),
        st.frozensets(DIGESTS),
    ),
    at=st.text(),
    gone_since=st.none() | TIMES,
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


@given(MARKS, st.text())
def test_a_mark_reads_back_on_its_own_image(mark: Provenance, image_id: str) -> None:
    assert read_provenance(Image(image_id, properties=mark.properties(image_id))) == mark


@given(MARKS, st.text(), st.text())
def test_a_mark_means_nothing_on_another_image(mark: Provenance, one: str, other: str) -> None:
    read = read_provenance(Image(other, properties=mark.properties(one)))
    assert (read == mark) if one == other else (read is None)


def test_a_mark_is_four_properties() -> None:
    mark = Provenance("https://image", "1", "sha512:0", Written.of({"name": "x"}))
    assert set(mark.properties("2")) == {SOURCE, SOURCE_HASH, REPLICATED_AT, WRITTEN}


@given(
    st.dictionaries(
        st.sampled_from([SOURCE, SOURCE_HASH, REPLICATED_AT, WRITTEN]), st.text(), max_size=4
    )
)
@example({SOURCE: "a/b", WRITTEN: "[" * 100_000})
@example({SOURCE: "a/b", WRITTEN: "1" * 5000})
@example({SOURCE: "a/b", WRITTEN: "NaN"})
@example({SOURCE: "a/b", WRITTEN: '"id"'})
@example({SOURCE: "/", WRITTEN: "{}"})
def test_nonsense_is_no_mark(properties: dict[str, str]) -> None:
    assert read_provenance(Image("x", properties=properties)) is None


@given(
    st.fixed_dictionaries(
        {}, optional={"attributes": JSON, "tags": JSON, "members": JSON, "gone": JSON}
    )
)
@example({"attributes": {}, "tags": [], "members": [1, "a", None]})
@example({"attributes": {}, "tags": [1, "a"]})
@example({"attributes": {}, "tags": [[]]})
@example({"attributes": {}, "tags": [], "gone": "2026-01-01T00:00:00"})
@example({"attributes": {}, "tags": [], "gone": "9999-12-31T23:59:59-23:59"})
@example({"attributes": {}, "tags": [], "gone": "0001-01-01T00:00:00+23:59"})
@example({"attributes": {"a": [1]}, "tags": "abc"})
@example({"attributes": [[None, None]], "tags": []})
def test_a_mark_made_by_hand_never_breaks_anything(body: dict[str, Any]) -> None:
    text = json.dumps({**body, "id": short("x")})
    image = Image("x", properties={SOURCE: "library/source", WRITTEN: text})
    mark = read_provenance(image)
    if mark is None:
        return
    again = read_provenance(replace(image, properties=mark.properties("x")))
    assert again is not None
    assert replace(again, gone_since=None) == replace(mark, gone_since=None)
    assert mark.gone_since is None or mark.gone_since.tzinfo is not None


@given(st.permutations(["a", "b", "c", "d"]))
def test_what_was_written_does_not_depend_on_order(names: list[str]) -> None:
    attributes = {name: name * 2 for name in names}
    members = tuple(Member(name) for name in names)
    written = Written.of({**attributes, "tags": frozenset(names)}, members)
    expected = Written.of(
        {"a": "aa", "b": "bb", "c": "cc", "d": "dd", "tags": frozenset("abcd")},
        tuple(map(Member, "dcba")),
    )
    assert written == expected


@pytest.mark.parametrize(
    ("one", "other"), [(True, 1), (True, "True"), (1, "1"), (None, "null"), ("", None)]
)
def test_values_of_different_types_differ(one: object, other: object) -> None:
    assert short(one) != short(other)


@pytest.mark.parametrize(
    ("hashes", "text"),
    [
        (Hashes("1", "sha512", "2"), "sha512:2"),
        (Hashes("1"), "md5:1"),
        (Hashes(), "computed:pending"),
    ],
)
def test_hashes_as_text(hashes: Hashes, text: str) -> None:
    assert describe_hash(hashes) == text


def test_times_are_written_in_utc() -> None:
    moment = datetime.fromisoformat("2026-01-01T01:00:00.5+02:00")
    assert timestamp(moment) == "2025-12-31T23:00:00Z"
