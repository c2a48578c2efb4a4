"""What a configuration becomes, and that every example of its documentation loads."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest

from meltemi.config.load import Configuration, load
from meltemi.errors import ConfigurationError
from meltemi.model.address import LibraryAddress
from meltemi.model.route import (
    Allowance,
    Choosing,
    Limits,
    OnConflict,
    OnSourceDeletion,
    Policy,
    Residency,
    Route,
    Rules,
    Selection,
)

DOCS: Final = Path(__file__).parents[2] / "docs"
LIBRARIES: Final = """\
version: 1
libraries:
  athens: {cloud: prod, region: RegionOne}
  crete: {url: "http://127.0.0.1:9292/", cacert: ca.pem, insecure: true}
  vault: {path: archive}
"""
FULL: Final = """
routes:
  golden:
    from: athens
    to: [crete, vault]
    match:
      - name: "debian-*"
        id: [a, b]
        visibility: public
        owner: ops
        tag: golden
        property: {os_distro: [debian, "ubuntu*"], arch: x86_64}
        disk_format: [qcow2, raw]
        container_format: bare
        status: [active, deactivated]
        min_size: 1MiB
        max_size: 4096000
        min_age: 1d
        max_age: 2w
      - tag: lts
    exclude: {tag: wip}
    where: 'image.size < 10000000000'
    owners: {here: there}
    values: {img_signature_certificate_uuid: {old: new}}
    drop: [prop, other]
    visibility: private
    members: true
    metadata_only: true
    replicas: true
    on_conflict: rename
    on_source_deletion: hide
    grace: 7d
    max_delete: 0
    transfers: 3
    bwlimit: "08:00,512k 23:00,off"
"""


def configured(folder: Path, text: str) -> Configuration:
    file = folder / "meltemi.yaml"
    file.write_text(text)
    return load(file)


def test_libraries(tmp_path: Path) -> None:
    assert configured(tmp_path, LIBRARIES).libraries == {
        "athens": LibraryAddress(cloud="prod", region="RegionOne"),
        "crete": LibraryAddress(
            url="http://127.0.0.1:9292", cacert=tmp_path / "ca.pem", insecure=True
        ),
        "vault": LibraryAddress(path=tmp_path / "archive"),
    }


def test_paths_do_not_depend_on_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "meltemi.yaml").write_text(
        "version: 1\nlibraries: {a: {path: ../a}, b: {path: ~/b}, c: {path: /c}}"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/nefeli")
    paths = {name: entry.path for name, entry in load(Path("meltemi.yaml")).libraries.items()}
    assert paths == {"a": tmp_path / "../a", "b": Path("/home/nefeli/b"), "c": Path("/c")}


def test_a_route_with_every_key(tmp_path: Path) -> None:
    route = Route(
        name="golden",
        source="athens",
        targets=("crete", "vault"),
        selection=Selection(
            match=(
                Rules(
                    names=("debian-*",),
                    ids=("a", "b"),
                    visibilities=("public",),
                    owners=("ops",),
                    tags=("golden",),
                    properties={"os_distro": ("debian", "ubuntu*"), "arch": ("x86_64",)},
                    disk_formats=("qcow2", "raw"),
                    container_formats=("bare",),
                    statuses=("active", "deactivated"),
                    min_size=2**20,
                    max_size=4096000,
                    min_age=timedelta(days=1),
                    max_age=timedelta(weeks=2),
                ),
                Rules(tags=("lts",)),
            ),
            exclude=(Rules(tags=("wip",)),),
            where="image.size < 10000000000",
        ),
        policy=Policy(
            owners={"here": "there"},
            values={"img_signature_certificate_uuid": {"old": "new"}},
            drop=frozenset({"prop", "other"}),
            visibility="private",
            members=True,
            metadata_only=True,
            replicas=True,
            on_conflict=OnConflict.RENAME,
            on_source_deletion=OnSourceDeletion.HIDE,
            grace=timedelta(days=7),
            max_delete=0,
        ),
        limits=Limits(transfers=3, bandwidth=((480, 512 * 1024), (1380, None))),
    )
    assert configured(tmp_path, LIBRARIES + FULL).routes == (route,)


CHOOSE: Final = """\
version: 1
libraries:
  athens: {cloud: prod}
  crete: {cloud: prod, region: Crete, zone: eu}
  sparta: {cloud: prod, region: Sparta, zone: eu}
  oslo: {cloud: prod, region: Oslo}
routes:
  chosen:
    from: athens
    to: [crete, sparta, oslo]
    choose:
      projects:
        p: {regions: [crete, oslo], quotas: {crete: 10GiB}}
        "*": {}
      names: {Greece: sparta}
      residency: {zones: eu, match: {property: {data: personal}}}
"""


def test_a_route_on_which_owners_choose(tmp_path: Path) -> None:
    (route,) = configured(tmp_path, CHOOSE).routes
    every = {"crete", "sparta", "oslo"}
    assert route.policy.on_source_deletion is OnSourceDeletion.DELETE
    assert route.choosing == Choosing(
        names={**{name: name for name in every}, "greece": "sparta"},
        projects={
            "p": Allowance(frozenset({"crete", "oslo"}), {"crete": 10 * 2**30}),
            "*": Allowance(frozenset(every)),
        },
        residency=(
            Residency(
                (Rules(properties={"data": ("personal",)}),),
                frozenset({"crete", "sparta"}),
                "not allowed outside eu",
            ),
        ),
    )


OWNED: Final = CHOOSE.replace("region: Oslo", "region: Oslo, account: owner")
KEYS: Final = "daemon: {keys: keys}\n"


def test_a_library_on_which_owners_have_accounts(tmp_path: Path) -> None:
    known = configured(tmp_path, OWNED + KEYS)
    assert known.daemon.keys == tmp_path / "keys"
    assert known.routes[0].choosing is not None
    assert known.routes[0].choosing.owned == {"oslo"}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (OWNED, "daemon.keys: missing; oslo takes credentials"),
        (
            OWNED.replace("from: athens", "from: oslo").replace("oslo]", "athens]") + KEYS,
            "routes.chosen.from: oslo has account: owner, and can be but a target",
        ),
        (
            OWNED + "  all: {from: athens, to: oslo}\n" + KEYS,
            "routes.all.to: oslo has account: owner, and wants choose",
        ),
        (
            OWNED.replace("{cloud: prod, region: Oslo", "{path: vault") + KEYS,
            "libraries.oslo: account goes with a cloud only",
        ),
    ],
)
def test_what_cannot_be_with_accounts_of_owners(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(problem)):
        configured(tmp_path, text)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("Greece: sparta", "Greece: mars", "names.Greece: mars is none of the targets"),
        ("crete: 10GiB", "athens: 1GiB", "projects.p: athens is none of the targets"),
        ("Greece: sparta", "CRETE: sparta", "names.CRETE: it means another target already"),
        ("zones: eu", "zones: mars", "residency: no library is in the zone 'mars'"),
        ("    choose:", "    relay: crete\n    choose:", "cannot get along with relay"),
        ("    choose:", "    on_source_deletion: keep\n    choose:", "keep would leave"),
        ("routes:", "defaults: {on_source_deletion: keep}\nroutes:", "keep would leave"),
    ],
)
def test_what_owners_cannot_choose_is_refused(
    tmp_path: Path, old: str, new: str, problem: str
) -> None:
    with pytest.raises(ConfigurationError, match=r"routes.chosen.choose: .*" + re.escape(problem)):
        configured(tmp_path, CHOOSE.replace(old, new))


def test_a_route_takes_what_it_does_not_say_from_the_defaults(tmp_path: Path) -> None:
    first, second = configured(
        tmp_path,
        f"""{LIBRARIES}
defaults:
  exclude: {{tag: wip}}
  drop: junk
  on_conflict: replace
  bwlimit: 1M
  members: true
routes:
  plain: {{from: athens, to: crete}}
  own: {{from: athens, to: crete, exclude: [], drop: [], members: false, bwlimit: off}}
""",
    ).routes
    assert first == Route(
        name="plain",
        source="athens",
        targets=("crete",),
        selection=Selection(exclude=(Rules(tags=("wip",)),)),
        policy=Policy(drop=frozenset({"junk"}), on_conflict=OnConflict.REPLACE, members=True),
        limits=Limits(bandwidth=((0, 2**20),)),
    )
    assert second == Route(
        name="own",
        source="athens",
        targets=("crete",),
        policy=Policy(on_conflict=OnConflict.REPLACE),
    )


def test_words_that_look_like_something_else_stay_words(tmp_path: Path) -> None:
    rule = "{name: 1.10, tag: [no, 2024-01-01, 007, 1e3, 0x10, 12:30:00, =, '5'], id: !!str yes}"
    text = f"{LIBRARIES}routes: {{r: {{from: athens, to: crete, match: {rule}}}}}"
    (rules,) = configured(tmp_path, text).routes[0].selection.match
    assert rules.names == ("1.10",)
    assert rules.tags == ("no", "2024-01-01", "007", "1e3", "0x10", "12:30:00", "=", "5")
    assert rules.ids == ("yes",)


def test_aliases_stand_for_what_they_name(tmp_path: Path) -> None:
    text = f"""{LIBRARIES}
routes:
  one: {{from: athens, to: crete, match: &golden {{tag: golden}}}}
  two: {{from: athens, to: vault, match: *golden}}
"""
    one, two = configured(tmp_path, text).routes
    assert one.selection == two.selection


def test_a_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    assert configured(tmp_path, f"\ufeff{LIBRARIES}").routes == ()


def examples(page: str) -> list[str]:
    return re.findall(r"^```yaml\n(.*?)^```", (DOCS / page).read_text(), re.DOTALL | re.MULTILINE)


EXAMPLES: Final = [*examples("configuration.md"), *examples("selection.md"), *examples("owners.md")]


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_examples_of_the_documentation(tmp_path: Path, example: str) -> None:
    if not example.startswith("version:"):
        keys = "".join(f"    {line}\n" for line in example.splitlines())
        example = f"{LIBRARIES}routes:\n  example:\n    from: athens\n    to: vault\n{keys}"
    assert configured(tmp_path, example).libraries


def test_the_documentation_has_examples() -> None:
    assert len(EXAMPLES) == 9


def test_the_documentation_names_every_key() -> None:
    from meltemi.config import schema  # noqa: PLC0415 - slow to import

    pages = "".join((DOCS / page).read_text() for page in ("configuration.md", "selection.md"))
    entries = (
        schema.FileEntry,
        schema.LinkEntry,
        schema.DaemonEntry,
        schema.TokenEntry,
        schema.WebhookEntry,
        schema.LibraryEntry,
        schema.RouteEntry,
    )
    choosing = schema.ChooseEntry, schema.AllowanceEntry, schema.ResidencyEntry
    for entry in (*entries, *choosing, schema.RuleEntry):
        for name, field in entry.model_fields.items():
            assert re.search(rf"^\| [^|]*`{field.alias or name}`", pages, re.MULTILINE), name


def test_the_address_of_a_bus_is_never_shown(tmp_path: Path) -> None:
    text = "version: 1\nlibraries:\n  a:\n    url: http://host\n    notifications: {{{}}}\n"
    there = "rabbit://me:hunter2@host:5672/"
    configuration = configured(tmp_path, text.format(f'transport_url: "{there}"'))
    assert configuration.buses == {"a": there}
    assert "hunter2" not in repr(configuration)
    for wrong in ('transport_url: "kafka://me:hunter2@host"', f'transport_url: ["{there}"]'):
        with pytest.raises(ConfigurationError) as caught:
            configured(tmp_path, text.format(wrong))
        assert "transport_url" in str(caught.value)
        assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("keys", ["", "secret_file: a, secret_env: B"])
def test_a_webhook_has_one_secret(tmp_path: Path, keys: str) -> None:
    text = f"version: 1\ndaemon:\n  webhook: {{{keys}}}\nlibraries:\n  a: {{url: http://host}}\n"
    with pytest.raises(ConfigurationError, match="secret_file or secret_env"):
        configured(tmp_path, text)


def test_the_error_of_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nowhere.yaml: cannot be read: No such file"):
        load(tmp_path / "nowhere.yaml")
