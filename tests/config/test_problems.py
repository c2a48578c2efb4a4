"""Each mistake in a configuration, and the one line that it is reported in."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from meltemi.config.load import load
from meltemi.errors import ConfigurationError

FILE: Final = """\
version: 1
libraries:
  athens: {cloud: prod, region: RegionOne}
  crete: {url: "http://127.0.0.1:9292", insecure: false}
  vault: {path: archive}
defaults:
  transfers: 4
routes:
  golden:
    from: athens
    to: [crete, vault]
    match:
      - {name: "debian-*", min_size: 1k}
      - property: {os_distro: [debian]}
    exclude: {tag: wip}
    where: 'image.size < 10'
    owners: {here: there}
    values: {key: {old: new}}
    grace: 7d
    bwlimit: "08:00,512k"
"""


def problem(folder: Path, text: str | bytes) -> str:
    file = folder / "meltemi.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigurationError) as caught:
        load(file)
    message = str(caught.value)
    assert message.startswith(f"{file}:")
    assert len(message) < 500
    return message.removeprefix(f"{file}:").strip()


def test_the_file_is_sound(tmp_path: Path) -> None:
    (tmp_path / "meltemi.yaml").write_text(FILE)
    assert len(load(tmp_path / "meltemi.yaml").routes) == 1


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("grace: 7d", "grac: 7d", "19: routes.golden.grac: unknown key; did you mean grace?"),
        ("grace: 7d", "xyz: 7d", "19: routes.golden.xyz: unknown key"),
        ("grace: 7d", "<<: {}", "19: routes.golden.<<: unknown key"),
        ("from:", "frm:", "10: routes.golden.frm: unknown key; did you mean from?"),
        ("from:", "x:", "9: routes.golden.from: missing (and 1 more)"),
        ("libraries:", "library:", "2: library: unknown key; did you mean libraries?"),
        ("defaults:", "default:", "6: default: unknown key; did you mean defaults?"),
        ("transfers: 4", "to: 4", "7: defaults.to: unknown key"),
        ("tag: wip", "tga: wip", "15: routes.golden.exclude.tga: unknown key; did you mean tag?"),
        ("{name:", "{nam:", "13: routes.golden.match[0].nam: unknown key; did you mean name?"),
        (
            "insecure:",
            "insecur:",
            "4: libraries.crete.insecur: unknown key; did you mean insecure?",
        ),
        ('"debian-*"', "2024", "13: routes.golden.match[0].name: has to be text; put it in quotes"),
        ("wip", "[a, 5]", "15: routes.golden.exclude.tag[1]: has to be text; put it in quotes"),
        ("wip", "[a, [b]]", "15: routes.golden.exclude.tag[1]: has to be text"),
        ("1k", "x" * 9999, "xxx…"),
        ("wip", "''", "15: routes.golden.exclude.tag: has to be some text"),
        ("wip", "[]", "15: routes.golden.exclude.tag: needs at least one value"),
        ("{tag: wip}", "{}", "15: routes.golden.exclude: a rule needs at least one test"),
        ("{tag: wip}", "wip", "15: routes.golden.exclude: has to be a mapping of keys to values"),
        ("wip", "x, visibility: Public", "has to be 'private', 'shared', 'community' or 'public'"),
        ("1k", "1k, max_size: 1", "13: routes.golden.match[0]: min_size is above max_size"),
        ("1k", "1k, min_age: 2d, max_age: 1d", "[0]: min_age is above max_age"),
        ("1k", "1x", "13: routes.golden.match[0].min_size: '1x' is not a size; use a number"),
        ("1k", "true", "13: routes.golden.match[0].min_size: has to be text or a whole number"),
        ("here: there", "123: x", "17: routes.golden.owners: a key has to be text; put it in"),
        ("here: there", "here: 123", "17: routes.golden.owners.here: has to be text; put it in"),
        ("old: new", "old: true", "18: routes.golden.values.key.old: has to be text; put it in"),
        ("{key: {old: new}}", "5", "18: routes.golden.values: has to be a mapping of keys to"),
        ("grace: 7d", "grace: 7", "19: routes.golden.grace: 7 is not a duration; use numbers"),
        ("grace: 7d", "grace:", "19: routes.golden.grace: has no value; remove it or fill it in"),
        ("grace: 7d", "grace: null", "19: routes.golden.grace: has no value"),
        ("grace: 7d", "grace: 7d\n    grace: 8d", "20: routes.golden.grace: given twice, first on"),
        ("grace: 7d", "grace: !!float 7", "19: routes.golden.grace: the tag"),
        ("grace: 7d", "grace: !!python/name:os.system x", "19: routes.golden.grace: the tag"),
        ("grace: 7d", "\tgrace: 7d", "19: a tab; indent with spaces"),
        ("grace: 7d", "grace: 7d: 8d", "19: mapping values are not allowed here"),
        ("grace: 7d", "? [a]\n    : 7", "19: routes.golden: a key has to be text"),
        ("grace: 7d", "grace: *week", "19: found undefined alias 'week'"),
        ("grace: 7d", "max_delete: -1", "19: routes.golden.max_delete: has to be at least 0"),
        ("grace: 7d", "members: yes", "19: routes.golden.members: has to be true or false"),
        ("grace: 7d", "on_conflict: x", "19: routes.golden.on_conflict: has to be 'skip', 'rep"),
        ("transfers: 4", "transfers: 999", "7: defaults.transfers: has to be at most 256"),
        ("transfers: 4", "transfers: lots", "7: defaults.transfers: has to be a whole number"),
        ("08:00,512k", "8,512k", "20: routes.golden.bwlimit: '8,512k' does not begin with a time"),
        ("image.size", "image.sise", "16: routes.golden.where: an image has no 'sise'; did you"),
        ("[crete, vault]", "vualt", "11: routes.golden.to: there is no library 'vualt'; did you"),
        ("from: athens", "from: x", "10: routes.golden.from: there is no library 'x'"),
        ("[crete, vault]", "[crete, athens]", "11: routes.golden.to: athens is the source as well"),
        ("[crete, vault]", "[crete, crete]", "11: routes.golden.to: crete is listed twice"),
        ("{path: archive}", "{cloud: prod, region: RegionOne}", "to: athens and vault are the"),
        ("[crete, vault]", "[]", "11: routes.golden.to: needs at least one value"),
        ("[crete, vault]", "7", "11: routes.golden.to: has to be text; put it in quotes"),
        ("golden:", "gol den:", "9: routes.gol den: a name is of letters, digits, dots"),
        (
            "{path: archive}",
            "{}",
            "5: libraries.vault: give exactly one of cloud, url and path",
        ),
        ("{path: archive}", "vault", "5: libraries.vault: has to be a mapping of keys to values"),
        ("{path: archive}", "{path: 5}", "5: libraries.vault.path: has to be text; put it in"),
        ("path: archive", "path: s3://bucket/vault", "5: libraries.vault: an archive in a bucket"),
        ("path: archive", "path: x, region: y", "5: libraries.vault: a region goes with a cloud"),
        ("http:", "ftp:", "4: libraries.crete.url: 'ftp://127.0.0.1:9292' is not the URL"),
        ("version: 1", "version: 2", "1: version: this Meltemi reads version 1 only"),
        ("version: 1", "version: true", "1: version: this Meltemi reads version 1 only"),
        ("version: 1", "# no version", "1: version: missing; begin with 'version: 1'"),
    ],
)
def test_one_mistake(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in FILE
    assert message in problem(tmp_path, FILE.replace(old, new, 1))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty; it has to begin with 'version: 1'"),
        ("# nothing\n", "empty; it has to begin with 'version: 1'"),
        ("- version: 1", "1: has to be a mapping that begins with 'version: 1'"),
        ("~", "1: has no value; remove it or fill it in"),
        ("version: 1", "1: libraries: missing"),
        ("version: 1\n---\nversion: 1", "2: expected a single document in the stream"),
        (b"version: 1\n# \xe9t\xe9", "2: not in UTF-8"),
        ("version: 1\n# \x07", "2: a control character, which YAML forbids"),
        ("version: 1\na: [", "2: while parsing a flow"),
        ("[" * 3000, "nested too deeply"),
        ("a: &a [*a]", "1: nested too deeply, or too much of it"),
        ("a: &a [x, x]\n" + "".join(f"{b}: &{b} [*{a}, *{a}]\n" for a, b in zip(
            "abcdefghijklmnopqrs", "bcdefghijklmnopqrst", strict=True)), "nested too deeply, or"),
        (f"a: &a {list(range(400))}\nb: &b [{'*a,' * 400}]\nc: *b", "too much of it"),
        (f"x: {'a' * 2**19}", "larger than 512 KiB"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_configuration(tmp_path: Path, text: str | bytes, message: str) -> None:
    assert message in problem(tmp_path, text)


def test_the_first_problem_stands_for_all(tmp_path: Path) -> None:
    text = FILE.replace("grace: 7d", "x: 1").replace("transfers: 4", "y: 1").replace("1k", "z")
    assert problem(tmp_path, text) == "7: defaults.y: unknown key (and 2 more)"


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot be read: Is a directory$"):
        load(tmp_path)


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, os.strerror(13))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ConfigurationError, match=r"cannot be read: Permission denied$"):
        load(tmp_path / "meltemi.yaml")


def test_an_endless_file_is_not_read_to_its_end() -> None:
    with pytest.raises(ConfigurationError, match="larger than 512 KiB"):
        load(Path("/dev/zero"))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_any_damage_ends_in_a_configuration_error(tmp_path: Path, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(FILE)))
    length = data.draw(st.integers(0, 20))
    noise = data.draw(st.text("{}[]:,-#&*!|>'\"%@` \n\tab1~", max_size=8))
    file = tmp_path / "meltemi.yaml"
    file.write_text(FILE[:place] + noise + FILE[place + length :])
    with suppress(ConfigurationError):
        load(file)
