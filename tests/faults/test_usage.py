"""What is wrong in files and arguments is said in one line, before anything is touched."""

from pathlib import Path

import pytest

from tests.support.cli import meltemi, succeed
from tests.support.glance import Service

FILE = """\
version: 1
libraries:
  here:
    url: http://127.0.0.1:9
  there:
    path: ./archive
routes:
  all:
    from: here
    to: [there]
    {line}
"""


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("on_conflikt: skip", "on_conflikt"),
        ("members: perhaps", "members"),
        ("on_conflict: maybe", "on_conflict"),
        ("max_delete: -1", "max_delete"),
        ("grace: soon", "grace"),
        ("bwlimit: plenty", "bwlimit"),
        ("where: size >", "where"),
        ("where: no_such_thing == 1", "where"),
        ("match: [{nam: x}]", "nam"),
        ("members: true\n    members: true", "members"),
    ],
)
def test_a_wrong_key_is_named_with_its_line(tmp_path: Path, line: str, wrong: str) -> None:
    file = tmp_path / "meltemi.yaml"
    file.write_text(FILE.format(line=line))
    at = 11 + line.count("\n")
    for verb in ("plan", "sync"):
        done = meltemi(verb, file)
        assert done.code == 2, done.err
        assert wrong in done.complaint
        assert f"{file}:{at}" in done.complaint or f"line {at}" in done.complaint
    assert not (tmp_path / "archive").exists()


@pytest.mark.parametrize(
    "text", ["", "[]", "version: 2", "version: one", "version: 1\n\tx: 1", "a: &a [*a]", "\0"]
)
def test_a_file_that_is_no_configuration(tmp_path: Path, text: str) -> None:
    file = tmp_path / "meltemi.yaml"
    file.write_text(text)
    done = meltemi("plan", file)
    assert done.code == 2, done.err
    assert str(file) in done.complaint


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere.yaml", tmp_path):
        done = meltemi("plan", path)
        assert done.code == 2, done.err
        assert str(path) in done.complaint


@pytest.mark.parametrize(
    "words",
    [
        ["--where", "size >"],
        ["--where", "nothing_of_the_kind == 1"],
        ["--where", "__import__('os')"],
        ["--where", "size"],
        ["--match", "nonsense"],
        ["--match", "colour=red"],
        ["--match", "min_size=many"],
        ["--exclude", "status=tired"],
        ["--match", "min_age=1x"],
    ],
)
def test_a_selection_that_does_not_parse(
    source: Service, target: Service, words: list[str]
) -> None:
    image = source.put("good", b"good")
    done = meltemi("livecopy", source, target, *words)
    assert done.code == 2, (done.code, done.err)
    errors = [line for line in done.lines if "rror" in line or line.startswith("meltemi:")]
    assert len(errors) == 1, done.err
    assert not target.has(image)


def test_a_condition_that_fails_for_one_image(source: Service, target: Service) -> None:
    """It is no reason to take the image along, nor to end the run without a word."""
    source.put("good", b"good", size_class="7")
    source.put("bad", b"bad", size_class="large")
    done = meltemi("livecopy", source, target, "--where", "int(image.properties.size_class) > 5")
    assert done.code == 1, done.err
    assert "bad" in done.out
    assert "where failed" in done.out
    assert "bad" not in [image["name"] for image in target.images()]


@pytest.mark.parametrize(
    "words",
    [
        ["livecopy", "127.0.0.1:9"],
        ["livecopy", "127.0.0.1:9", "127.0.0.1:9"],
        ["livecopy", "ftp://127.0.0.1:9", "127.0.0.1:9"],
        ["livecopy", "http://user:word@127.0.0.1:9", "127.0.0.1:9"],
        ["size", ""],
        ["size", "127.0.0.1:9", "--timeout", "soon"],
        ["size", "127.0.0.1:9", "-c", "Colour"],
        ["size", "127.0.0.1:9", "-f", "xml"],
        ["livecopy", "127.0.0.1:9", "127.0.0.1:10", "--bwlimit", "fast"],
        ["livecopy", "127.0.0.1:9", "127.0.0.1:10", "--map-owner", "a"],
        ["livecopy", "127.0.0.1:9", "127.0.0.1:10", "--transfers", "0"],
        ["explode"],
        ["apply", "nowhere.plan"],
    ],
    ids=" ".join,
)
def test_arguments_that_make_no_sense(words: list[str]) -> None:
    done = meltemi(*words)
    assert done.code == 2, (done.code, done.err)
    assert done.err
    assert "word@" not in done.err


def test_a_saved_plan_that_was_altered(source: Service, target: Service, tmp_path: Path) -> None:
    image = source.put("good", b"good")
    file, plan = tmp_path / "meltemi.yaml", tmp_path / "saved.plan"
    file.write_text(
        f"version: 1\nlibraries:\n  a: {{url: {source}}}\n  b: {{url: {target}}}\n"
        "routes:\n  r: {from: a, to: b}\n"
    )
    succeed("plan", file, "--out", plan)
    whole = plan.read_text()
    for text in (whole[: len(whole) // 2], "", "[]\n", whole.replace('"copy"', '"explode"')):
        plan.write_text(text)
        done = meltemi("apply", plan)
        assert done.code == 2, (done.code, done.err)
        assert str(plan) in done.complaint
        assert not target.has(image)
    plan.write_text(whole)
    source.change(image, colour="red")
    done = meltemi("apply", plan)
    assert done.code == 4, done.err
    assert "plan again" in done.about(image)
    assert not target.has(image)
