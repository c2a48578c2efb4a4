"""Ask of each image whether a route carries it."""

import re
from collections.abc import Callable, Iterable
from datetime import datetime
from fnmatch import translate

from meltemi.model.image import Image
from meltemi.model.route import Rules, Selection
from meltemi.model.units import format_duration, format_size
from meltemi.replication.where import Where, age

Test = Callable[[Image], bool]


class Selector:
    """A compiled selection; raise UsageError where its `where` cannot work on any image.

    `now` is an aware time, from which the ages of images are taken.
    """

    def __init__(self, selection: Selection, *, now: datetime) -> None:
        self._match = [_compile(rules, now) for rules in selection.match]
        self._exclude = [
            (_compile(rules, now), f"excluded by {_describe(rules)}") for rules in selection.exclude
        ]
        self._where = Where(selection.where, now) if selection.where is not None else None

    def rejects(self, image: Image) -> str | None:
        """Say for a person why the image is not carried; None where it is."""
        if self._match and not any(_passes(tests, image) for tests in self._match):
            return "no rule matches"
        if (reason := self.excludes(image)) is not None:
            return reason
        return self._where.rejects(image) if self._where else None

    def excludes(self, image: Image) -> str | None:
        """Name for a person the rule that leaves the image out, whatever else may want it."""
        return next((why for tests, why in self._exclude if _passes(tests, image)), None)


def _passes(tests: Iterable[Test], image: Image) -> bool:
    return all(test(image) for test in tests)


def _compile(rules: Rules, now: datetime) -> list[Test]:
    tests: list[Test] = []
    for attribute, values in (
        ("id", rules.ids),
        ("visibility", rules.visibilities),
        ("owner", rules.owners),
        ("disk_format", rules.disk_formats),
        ("container_format", rules.container_formats),
        ("status", rules.statuses),
    ):
        if values:
            tests.append(_one_of(attribute, values))
    if tags := frozenset(rules.tags):
        tests.append(lambda image: not tags.isdisjoint(image.tags))
    if rules.names:
        name = _globs(rules.names)
        tests.append(lambda image: name(image.name or ""))
    tests += [_property(key, globs) for key, globs in rules.properties.items() if globs]
    if rules.min_size is not None or rules.max_size is not None:
        tests.append(_sized(rules.min_size, rules.max_size))
    if rules.min_age is not None or rules.max_age is not None:
        tests.append(_aged(rules, now))
    return tests


def _one_of(attribute: str, values: Iterable[str]) -> Test:
    accepted = frozenset(values)
    return lambda image: getattr(image, attribute) in accepted


def _globs(globs: Iterable[str]) -> Callable[[str], bool]:
    pattern = re.compile("|".join(translate(glob) for glob in globs))
    return lambda text: pattern.match(text) is not None


def _property(key: str, globs: Iterable[str]) -> Test:
    passes = _globs(globs)
    return lambda image: key in image.properties and passes(image.properties[key])


def _sized(least: int | None, most: int | None) -> Test:
    return lambda image: (
        image.size is not None
        and (least is None or image.size >= least)
        and (most is None or image.size <= most)
    )


def _aged(rules: Rules, now: datetime) -> Test:
    def test(image: Image) -> bool:
        known = age(image, now)
        return (
            known is not None
            and (rules.min_age is None or known >= rules.min_age)
            and (rules.max_age is None or known <= rules.max_age)
        )

    return test


def _describe(rules: Rules) -> str:
    lists = {
        "id": rules.ids,
        "name": rules.names,
        "visibility": rules.visibilities,
        "owner": rules.owners,
        "tag": rules.tags,
        **{f"property {key}": globs for key, globs in rules.properties.items()},
        "disk_format": rules.disk_formats,
        "container_format": rules.container_formats,
        "status": rules.statuses,
    }
    parts = [f"{word} {' or '.join(map(repr, values))}" for word, values in lists.items() if values]
    sizes = {"min_size": rules.min_size, "max_size": rules.max_size}
    parts += [f"{word} {format_size(size)}" for word, size in sizes.items() if size is not None]
    ages = {"min_age": rules.min_age, "max_age": rules.max_age}
    parts += [f"{word} {format_duration(span)}" for word, span in ages.items() if span is not None]
    return ", ".join(parts) or "a rule without tests"
