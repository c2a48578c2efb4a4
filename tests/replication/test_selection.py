"""Which images a selection carries, what it refuses, and that nothing can make it hang."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meltemi.errors import UsageError
from meltemi.model.image import Image
from meltemi.model.route import Rules, Selection
from meltemi.replication.selection import Selector
from meltemi.replication.where import parse_time

NOW: Final = datetime(2024, 5, 1, 12, tzinfo=UTC)
DEBIAN: Final = Image(
    id="7a1b8f0e-5f5b-4b1d-9b2f-0d6f3f0f9d11",
    name="debian-12",
    status="active",
    visibility="public",
    owner="ops",
    size=2 * 2**30,
    disk_format="qcow2",
    container_format="bare",
    min_disk=4,
    tags=frozenset({"golden", "lts"}),
    properties={"os_distro": "debian", "hw_disk_bus": "scsi"},
    created_at="2024-04-01T12:00:00Z",
    updated_at="2024-04-02T12:00:00Z",
)
BARE: Final = Image(id="0", visibility="private")
DOC: Final = Path(__file__).parents[2] / "docs" / "selection.md"


def reason(image: Image = DEBIAN, **selection: Any) -> str | None:
    return Selector(Selection(**selection), now=NOW).rejects(image)


def test_an_empty_selection_carries_everything() -> None:
    assert reason() is None
    assert reason(BARE) is None


@pytest.mark.parametrize(
    ("passing", "failing"),
    [
        ({"names": ("x", "debian-1?")}, {"names": ("debian", "Debian-*", "ebian-12")}),
        ({"ids": (DEBIAN.id,)}, {"ids": ("7*",)}),
        ({"visibilities": ("private", "public")}, {"visibilities": ("private",)}),
        ({"owners": ("ops",)}, {"owners": ("op",)}),
        ({"tags": ("wip", "lts")}, {"tags": ("wip", "l*")}),
        ({"properties": {"os_distro": ("deb*",)}}, {"properties": {"os_version": ("*",)}}),
        ({"disk_formats": ("qcow2",)}, {"disk_formats": ("raw",)}),
        ({"container_formats": ("bare",)}, {"container_formats": ("ova",)}),
        ({"statuses": ("active",)}, {"statuses": ("queued",)}),
        ({"min_size": 2 * 2**30}, {"min_size": 2 * 2**30 + 1}),
        ({"max_size": 2 * 2**30}, {"max_size": 2 * 2**30 - 1}),
        ({"min_age": timedelta(days=30)}, {"min_age": timedelta(days=30, seconds=1)}),
        ({"max_age": timedelta(days=30)}, {"max_age": timedelta(days=29)}),
    ],
)
def test_each_test_of_a_rule(passing: dict[str, Any], failing: dict[str, Any]) -> None:
    assert reason(match=(Rules(**passing),)) is None
    assert reason(match=(Rules(**failing),)) == "no rule matches"
    assert reason(exclude=(Rules(**failing),)) is None
    assert str(reason(exclude=(Rules(**passing),))).startswith("excluded by ")


def test_tests_of_a_rule_join_by_and_rules_by_or() -> None:
    named, tagged = Rules(names=("debian-*",)), Rules(tags=("wip",))
    both = replace(named, tags=("wip",))
    assert reason(match=(named, tagged)) is None
    assert reason(match=(both,)) == "no rule matches"
    assert reason(match=(both, both)) == "no rule matches"


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        (Rules(tags=("wip", "lts")), "excluded by tag 'wip' or 'lts'"),
        (
            Rules(names=("deb*",), properties={"os_distro": ("*",)}, max_size=2**40),
            "excluded by name 'deb*', property os_distro '*', max_size 1.0 TiB",
        ),
        (Rules(min_age=timedelta(days=7)), "excluded by min_age 1w"),
        (Rules(), "excluded by a rule without tests"),
    ],
)
def test_an_exclusion_says_by_what(rules: Rules, words: str) -> None:
    assert reason(exclude=(Rules(tags=("no",)), rules)) == words


def test_what_an_image_does_not_have_fails_the_test() -> None:
    for rules in (
        Rules(min_size=0),
        Rules(max_age=timedelta(days=9)),
        Rules(owners=("x",)),
        Rules(names=("?*",)),
    ):
        assert reason(BARE, match=(rules,)) == "no rule matches"
    assert reason(BARE, match=(Rules(names=("*",)),)) is None
    assert reason(BARE, match=(Rules(properties={"os": ()}),)) is None


@given(
    st.lists(st.text("ab*?[]!-", max_size=5), min_size=1, max_size=3), st.text("abB*[", max_size=5)
)
def test_globs_are_those_of_the_shell(globs: list[str], name: str) -> None:
    expected = any(fnmatchcase(name, glob) for glob in globs)
    found = reason(replace(DEBIAN, name=name), match=(Rules(names=tuple(globs)),))
    assert (found is None) == expected


def test_where_comes_last() -> None:
    assert reason(where="image.size > 5") is None
    assert reason(where="image.size < 5") == "where is false"
    assert reason(where="true", exclude=(Rules(tags=("lts",)),)) == "excluded by tag 'lts'"


def test_every_attribute_reaches_the_expression() -> None:
    full = replace(DEBIAN, virtual_size=3, min_ram=7, protected=True, os_hidden=True)
    expression = """
        image.id.startsWith('7a1b') && image.name == 'debian-12' && image.status == 'active'
        && image.visibility == 'public' && image.owner == 'ops' && image.size == 2147483648
        && image.virtual_size == 3 && image.checksum == null && image.disk_format == 'qcow2'
        && image.container_format == 'bare' && image.min_disk == 4 && image.min_ram == 7
        && image.protected && image.hidden && image.tags == ['golden', 'lts']
        && image.properties == {'os_distro': 'debian', 'hw_disk_bus': 'scsi'}
        && image.created_at == timestamp('2024-04-01T12:00:00Z')
        && image.updated_at < now && image.age == duration('720h')
    """
    assert reason(full, where=expression) is None


@pytest.mark.parametrize(
    "expression",
    [
        "image['size'] == 2147483648",
        "[image].all(x, x.size == 2147483648)",
        "image // it is\n.size > 1",
        "image.name != 'image.nothing' // image.nothing",
        "image.name != r'\\' && image.name != \"it's image.nothing\"",
        "image.name != '''image.nothing ' '''",
        "size(image) == 19",
    ],
)
def test_expressions_that_use_the_image_in_other_ways(expression: str) -> None:
    assert reason(where=expression) is None


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("image.properties.os_version == '12'", "there is no 'os_version'; ask has() first"),
        ("image.properties.os_distro", "it gives 'debian', not true or false"),
        ("100 / image.min_ram > 1", "division by zero"),
        ("image.tags[5] == 'x'", "index out of bounds"),
        ("image.virtual_size < 5", "No such overload"),
        ("image.properties[image.name + '\\ud7ff'] == ''", "there is no"),
    ],
)
def test_an_expression_that_fails_on_an_image(expression: str, problem: str) -> None:
    found = reason(where=expression)
    assert found is not None
    assert found.startswith("where failed: ")
    assert problem in found


def test_a_name_that_is_no_unicode_fails_without_harm() -> None:
    found = reason(replace(DEBIAN, name="\ud800"), where="image.name == 'x'")
    assert str(found).startswith("where failed: ")


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("", "mismatched input '<EOF>', at line 1, column 1"),
        ("image.size > 3 and true", "mismatched input 'and', at line 1, column 16"),
        ("image.size > 3 &&\n image.nmae == ''", "did you mean name?, at line 2, column 8"),
        ("image.os_distro == ''", "other keys are in image.properties, at line 1, column 7"),
        ("true || imgae.size > 3", "unknown variable 'imgae'; did you mean image?"),
        ("true || self == 3", "unknown variable 'self'; there are image, now"),
        ("true || image.name.startWith('a')", "did you mean startsWith?, at line 1, column 20"),
        ("__import__('os') == 0", "unknown function '__import__'"),
        ("image.tags.exists(t, t != '') && t == 1", "Undefined variable or function: 't'"),
        ("image.size", "it gives 1073741824, not true or false"),
        ("image.size < '5'", "No such overload"),
        ("image.age > duration('2d')", "duration"),
        ("image.name.matches('(')", "unclosed group"),
        ("image.name == '\ud800'", "surrogates not allowed"),
        ("true" + " && true" * 200, "longer than 1000 characters"),
        ("(" * 300 + "true" + ")" * 300, "nested too deeply, at line 1, column 97"),
        ("['a']" + ".map(x, x + x)" * 40 + " == []", "more than 3 loops"),
        ("[1].all(a, " * 4 + "true" + ")" * 4, "more than 3 loops"),
        ("[1,2,3,4,5,6,7,8].all(a, [1].all(b, true)) && " + r"'é'.matches(r'\w{100}')", "too slow"),
        (r"image.name.matches(r'((\w{50}){50}){50}')", "exceeds size limit"),
    ],
)
def test_expressions_that_are_refused(expression: str, problem: str) -> None:
    with pytest.raises(UsageError, match=r"^where: ") as caught:
        reason(where=expression)
    assert problem in str(caught.value)
    assert len(str(caught.value)) < 450


@pytest.mark.parametrize(
    "expression",
    [
        "!" * 995 + "true",
        "1" + "+1" * 490 + " > 0",
        "image.properties" + ".a" * 480,
        "image.properties" + "['a']" * 190,
        "'a'.matches('(a|aa)+$') && 'a'.matches('(.*)*(.*)*(.*)*b')",
        "[" + "[1]," * 240 + "[1]] != []",
    ],
)
def test_the_largest_expressions_end(expression: str) -> None:
    reason(where=expression)


@settings(deadline=None)
@given(st.text(max_size=30) | st.text("image.size<>&|()'\"[]?: 1a", max_size=30))
def test_any_text_is_an_expression_or_refused(text: str) -> None:
    try:
        selector = Selector(Selection(where=text), now=NOW)
    except UsageError:
        return
    selector.rejects(DEBIAN)


class PanicException(BaseException):
    """Named as the class that a panic of the evaluator arrives in."""


def failing_with(error: BaseException) -> Callable[[object], object]:
    def execute(_: object) -> object:
        raise error

    return execute


def test_a_panic_is_the_expressions_fault_and_an_interrupt_is_not() -> None:
    selector = Selector(Selection(where="image.size > 5"), now=NOW)
    assert selector._where is not None
    program: Any = type("Program", (), {})()
    selector._where._expression.program = program
    program.execute = failing_with(PanicException("index out of range"))
    assert selector.rejects(DEBIAN) == "where failed: index out of range"
    program.execute = failing_with(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        selector.rejects(DEBIAN)


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2024-04-01T12:00:00Z", datetime(2024, 4, 1, 12, tzinfo=UTC)),
        ("2024-04-01T12:00:00", datetime(2024, 4, 1, 12, tzinfo=UTC)),
        ("2024-04-01T12:00:00.123456+00:00", datetime(2024, 4, 1, 12, 0, 0, 123456, UTC)),
        ("yesterday", None),
        ("", None),
        (None, None),
    ],
)
def test_times(text: str | None, time: datetime | None) -> None:
    assert parse_time(text) == time


def table(heading: str) -> list[list[str]]:
    section = DOC.read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (`.*) \|$", section, re.MULTILINE)
    return [[cell.strip("`") for cell in row.split(" | ")] for row in rows]


def test_the_globs_of_the_documentation() -> None:
    rows = table("Globs")
    assert len(rows) == 5
    for glob, passes, fails in rows:
        rules = Rules(names=(glob,))
        assert reason(replace(DEBIAN, name=passes), match=(rules,)) is None
        assert reason(replace(DEBIAN, name=fails), match=(rules,)) is not None


def test_the_expressions_of_the_documentation() -> None:
    rows = [row for row in table("Expressions") if row[-1] in ("true", "false")]
    assert len(rows) == 14
    for expression, holds in rows:
        assert reason(where=expression) == (None if holds == "true" else "where is false")
