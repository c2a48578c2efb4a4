"""A catalogue against plain dicts: whatever is done in whatever order, everyone sees the same."""

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from random import Random
from typing import Any
from uuid import UUID

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    rule,
    run_state_machine_as_test,
)

from meltemi.catalogue.schema import metadata
from meltemi.catalogue.sql import open_catalogue
from meltemi.errors import MeltemiError, VanishedError
from meltemi.model.image import MEMBER_STATUSES, Hashes, Image, Member
from meltemi.model.listing import SORT_KEYS, Condition, Listing, Operator, Viewer
from meltemi.model.record import Content, Record
from tests.catalogue.plain import Plain

IDS = [str(UUID(int=number)) for number in range(6)]
PROJECTS = ["ana", "bo", "cy"]
VIEWERS = [
    *(Viewer(project) for project in (*PROJECTS, None)),
    *(Viewer(project, is_admin=True) for project in ("ana", None)),
]
STATUSES = ["queued", "saving", "uploading", "importing", "active", "deactivated"]
VISIBILITIES = ["private", "shared", "community", "public"]

ids = st.sampled_from(IDS)
projects = st.sampled_from(PROJECTS)
few = st.sampled_from(["", "a", "B", "é", "\uffee", "\N{PILE OF POO}", 'q"\\'])
documents = st.dictionaries(few, few, max_size=3)
tags = st.frozensets(few, max_size=3)
sizes = st.sampled_from([0, 1, 2**40])
images = st.builds(
    Image,
    id=ids,
    name=st.none() | few,
    status=st.sampled_from(STATUSES),
    visibility=st.sampled_from(VISIBILITIES),
    owner=st.none() | projects,
    size=st.none() | sizes,
    hashes=st.builds(Hashes, st.none() | few, st.none() | few, st.none() | few),
    disk_format=st.none() | few,
    container_format=st.none() | few,
    min_disk=sizes,
    protected=st.booleans(),
    os_hidden=st.booleans(),
    tags=tags,
    properties=documents,
)
contents = st.builds(
    Content, st.sampled_from("uvwxyz"), sizes, st.builds(Hashes, few), st.none() | sizes
)
members = st.builds(Member, projects, st.sampled_from(MEMBER_STATUSES))
operators = st.sampled_from([one for one in Operator if one is not Operator.IN])
conditions = st.one_of(
    st.builds(
        Condition,
        st.sampled_from(["name", "disk_format", "status", "owner"]),
        st.just(Operator.IN),
        st.lists(few | st.sampled_from(STATUSES) | projects, max_size=3).map(tuple),
    ),
    st.builds(Condition, st.sampled_from(["size", "min_disk"]), operators, st.tuples(sizes)),
    st.builds(Condition, st.just("name"), operators, st.tuples(few)),
    st.builds(Condition, st.just("protected"), st.just(Operator.EQ), st.tuples(st.booleans())),
)
orders = st.lists(
    st.tuples(st.sampled_from([key for key in SORT_KEYS if key != "id"]), st.booleans()),
    max_size=3,
    unique_by=lambda pair: pair[0],
)
listings = st.builds(
    Listing,
    viewer=st.sampled_from(VIEWERS),
    conditions=st.just(()) | st.tuples(conditions) | st.tuples(conditions, conditions),
    properties=st.just({}) | documents,
    tags=st.just(frozenset()) | tags,
    visibility=st.none() | st.sampled_from([*VISIBILITIES, "all"]),
    member_status=st.sampled_from([*MEMBER_STATUSES, "all"]),
    hidden=st.booleans(),
    order=st.builds(lambda some, last: (*some, ("id", last)), orders, st.booleans()),
    limit=st.integers(1, 4),
    marker=st.none() | ids,
)


class CatalogueMachine(RuleBasedStateMachine):
    """Does to a catalogue and to dicts what hypothesis thinks of."""

    url: str

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.real = self.runner.run(open_catalogue(self.url))
        with self.real._database.writing() as connection:
            for table in reversed(metadata.sorted_tables):
                connection.execute(table.delete())
        self.plain = Plain()

    def teardown(self) -> None:
        """See that everybody sees the same, and let go of the database."""
        try:
            for image in IDS:
                for viewer in VIEWERS:
                    self.look(image, viewer)
        finally:
            self.runner.run(self.real.close())
            self.runner.close()
            super().teardown()

    @rule(image=images)
    def add(self, image: Image) -> None:
        self._same(self.real.add(Record(image)), self.plain.add(Record(image)))

    @rule(image=images, age=st.sampled_from([0, 0, 0, 1]))
    def change(self, image: Image, age: int) -> None:
        held = self.plain.images.get(image.id, Record(image))
        record = replace(held, image=image, version=held.version - age)
        self._same(self.real.change(record), self.plain.change(record))

    @rule(
        image=ids,
        expected=st.lists(st.sampled_from(STATUSES), min_size=3, unique=True),
        status=st.sampled_from(STATUSES),
        content=st.none() | contents,
    )
    def move(self, image: str, expected: list[str], status: str, content: Content | None) -> None:
        if status == "queued":
            content = None
        self._same(
            self.real.move(image, expected=expected, status=status, content=content),
            self.plain.move(image, expected, status, content),
        )

    @rule(image=ids)
    def remove(self, image: str) -> None:
        self._same(self.real.remove(image), self.plain.remove(image))

    @rule(source=ids, image=images)
    def clone(self, source: str, image: Image) -> None:
        record = Record(image)
        self._same(self.real.clone(source, record), self.plain.clone(source, record))

    @rule(source=ids, image=ids)
    def share(self, source: str, image: str) -> None:
        self._same(self.real.share(image, source), self.plain.share(image, source))

    @rule(content=contents)
    def forget(self, content: Content) -> None:
        self._same(self.real.forget(content.id), self.plain.forget(content.id))

    @rule(image=ids, member=members)
    def offer(self, image: str, member: Member) -> None:
        self._same(self.real.offer(image, member), self.plain.offer(image, member))

    @rule(image=ids, member=members)
    def answer(self, image: str, member: Member) -> None:
        self._same(self.real.answer(image, member), self.plain.answer(image, member))

    @rule(image=ids, project=projects)
    def withdraw(self, image: str, project: str) -> None:
        self._same(self.real.withdraw(image, project), self.plain.withdraw(image, project))

    @rule(listing=listings)
    def list_all_pages(self, listing: Listing) -> None:
        expected = self.plain.listed(listing)
        if not isinstance(expected, list):
            self._same(self.real.page(listing), expected)
            return
        while page := self.runner.run(self.real.page(listing)):
            assert list(page) == [self.plain.images[name] for name in expected[: listing.limit]]
            expected = expected[listing.limit :]
            listing = replace(listing, marker=page[-1].image.id)
        assert expected == []

    @rule(seed=st.integers(0, 2**16))
    def list_plainly(self, seed: int) -> None:
        """List as most do: what is asked of everything leaves nothing to see."""
        chance = Random(seed)
        viewer = chance.choice(VIEWERS)
        key = chance.choice(SORT_KEYS)
        order = ((key, chance.random() < 0.5), ("id", chance.random() < 0.5))
        self.list_all_pages(Listing(viewer, order=order, limit=chance.randrange(1, 4)))

    @rule(image=ids, viewer=st.sampled_from(VIEWERS))
    def look(self, image: str, viewer: Viewer) -> None:
        visible = image in self.plain.images and self.plain.sees(viewer, image)
        expected = self.plain.images[image] if visible else VanishedError
        self._same(self.real.get(image, viewer), expected, learn=False)

    @rule(image=ids, project=projects)
    def look_at_the_rest(self, image: str, project: str) -> None:
        offers = self.plain.offers.get(image)
        expected = VanishedError if offers is None else [offers[name] for name in sorted(offers)]
        self._same(self.real.members(image), expected)
        self._same(self.real.loose(), self.plain.loose())
        self._same(self.real.known([*"uvwxyz"]), frozenset(self.plain.contents))
        for one in (project, None):
            self._same(self.real.usage(one), self.plain.usage(one))

    def _same(
        self, call: Coroutine[Any, Any, object], expected: object, *, learn: bool = True
    ) -> None:
        """See that a call gives, or raises, what is expected; take over the times it gives."""
        found: object
        try:
            found = self.runner.run(call)
        except MeltemiError as error:
            found = type(error)
        if learn and isinstance(found, Record) and isinstance(expected, Record):
            times = {key: getattr(found.image, key) for key in ("created_at", "updated_at")}
            if expected.image.created_at is not None:
                assert times["created_at"] == expected.image.created_at
                assert times["updated_at"] >= expected.image.updated_at
            expected = replace(expected, image=replace(expected.image, **times))
            self.plain.images[expected.image.id] = expected
        assert found == expected


def test_a_catalogue_shows_what_dicts_do(url: str) -> None:
    run_state_machine_as_test(
        type("Machine", (CatalogueMachine,), {"url": url}),
        settings=settings(
            max_examples=30,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
