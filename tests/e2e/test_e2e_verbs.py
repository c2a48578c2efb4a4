"""The five verbs that operators of glance-replicator know, with its flags."""

import csv
import io
import json
import re

import pytest
import yaml

from tests.e2e.words import livecopy
from tests.support.cli import User
from tests.support.glance import Service, some_data

pytestmark = pytest.mark.services


def test_livecopy_makes_images_appear_in_several_targets(
    user: User, one: Service, two: Service, others: tuple[Service, ...], name: str
) -> None:
    data = some_data()
    image = one.put(f"{name}a", data, os_distro="debian")
    anonymous, old = others
    targets = ["admin:RegionTwo", anonymous.address, old.url]
    words = ["livecopy", "admin:RegionOne", *targets, "--match", f"name={name}*"]
    rows = user.rows(*words)
    assert {(row["Result"], row["ID"], row["To"], row["Bytes"]) for row in rows} == {
        ("done", image, target, len(data)) for target in targets
    }
    for place in (two, anonymous, old):
        assert place.data(image) == data
        replica = place.show(image)
        assert (replica["name"], replica["os_distro"]) == (f"{name}a", "debian")
        assert replica["os_hash_value"] == one.show(image)["os_hash_value"]
    assert user.rows(*words) == []


def test_old_and_new_glance_in_both_directions(
    user: User, anonymous: Service, old: Service, name: str
) -> None:
    places = {"old": old, "anonymous": anonymous}
    for source, target in (places, tuple(places)[::-1]):
        image = places[source].put(
            f"{name}{source}",
            some_data(1),
            visibility="public",
            tags=["x"],
            min_ram=64,
            os_hidden=True,
            hw_disk_bus="scsi",
        )
        pair = (source, target, "--match", f"name={name}{source}")
        assert user.meltemi("compare", *pair, code=1).err.startswith("0 in sync, 1 to do")
        user.meltemi("livecopy", *pair)
        assert user.meltemi("compare", *pair).err.startswith("1 in sync, 0 to do")
        replica = places[target].show(image)
        assert replica["visibility"] == "public"
        assert (replica["tags"], replica["min_ram"]) == (["x"], 64)
        assert replica["os_hidden"] is True
        assert replica["hw_disk_bus"] == "scsi"
        assert places[target].data(image) == some_data(1)


def test_compare_shows_what_differs_and_by_its_exit_code(
    user: User, anonymous: Service, old: Service, name: str
) -> None:
    absent = anonymous.put(f"{name}absent", some_data(2))
    same = anonymous.put(f"{name}same", some_data(3), visibility="public")
    old.put(f"{name}same", some_data(3), visibility="public", id=same)
    pair = ("compare", anonymous.address, old.address, "--match", f"name={name}*")
    rows = user.rows(*pair, code=1)
    assert [(row["Action"], row["ID"]) for row in rows] == [("copy", absent)]
    # One that was copied by other means is in sync, though it bears no mark.
    assert user.rows(*pair, "--exclude", f"id={absent}") == []
    old.change(same, os_version="12")
    anonymous.change(same, os_version="13")
    rows = user.rows(*pair, "--match", f"id={same}", code=1)
    assert [(row["Action"], row["Reason"]) for row in rows] == [("update", "os_version changed")]
    assert not old.has(absent), "compare touches nothing"


def test_size_sums_images_with_data(user: User, anonymous: Service, name: str) -> None:
    for number in range(3):
        anonymous.put(f"{name}{number}", some_data(number, 1000))
    anonymous.put(f"{name}queued", None)
    row = {"Library": anonymous.address, "Images": 3, "Bytes": 3000, "Size": "2.9 KiB"}
    assert user.rows("size", anonymous.address, "--match", f"name={name}*") == [row]


def test_metaonly_changes_metadata_and_sends_nothing(
    user: User, anonymous: Service, old: Service, name: str
) -> None:
    known = anonymous.put(f"{name}known", some_data(4), colour="red")
    pair = livecopy((anonymous, old), name)
    user.meltemi(*pair)
    missing = anonymous.put(f"{name}missing", some_data(5))
    anonymous.change(known, colour="blue")
    anonymous.act(known, "deactivate")
    results = {row["ID"]: row["Result"] for row in user.rows(*pair, "--metaonly")}
    assert results == {known: "done", missing: "left out"}
    assert old.show(known)["colour"] == "blue"
    assert not old.has(missing)


def test_dontreplicate_leaves_properties_behind(
    user: User, anonymous: Service, old: Service, name: str
) -> None:
    image = anonymous.put(f"{name}a", some_data(6), build_host="a", build_log="b", kept="c")
    pair = livecopy((anonymous, old), name)
    user.meltemi(*pair, "--dontreplicate", "build_host build_log")
    replica = old.show(image)
    assert replica["kept"] == "c"
    assert not {"build_host", "build_log"} & replica.keys()


def test_chunksize_is_understood(user: User, anonymous: Service, old: Service, name: str) -> None:
    data = some_data(7, 3_000_001)
    for chunk in ("64k", "2M"):
        image = anonymous.put(f"{name}{chunk}", data)
        pair = ("livecopy", anonymous.address, old.address, "--match", f"name={name}{chunk}")
        user.meltemi(*pair, "--chunksize", chunk)
        assert old.data(image) == data
    assert "64k to 16M" in user.meltemi(*pair, "--chunksize", "17M", code=2).err


def test_every_format_says_the_same(
    user: User, anonymous: Service, old: Service, name: str
) -> None:
    image = anonymous.put(f"{name}a,b", some_data(8))
    compare = ("compare", anonymous.address, old.address, "--match", f"name={name}*")
    columns = ("-c", "ID", "-c", "name", "-c", "Bytes")

    def printed(form: str) -> str:
        return user.meltemi(*compare, "-f", form, *columns, code=1).out

    row = {"ID": image, "Name": f"{name}a,b", "Bytes": 5000}
    assert json.loads(printed("json")) == [row]
    assert yaml.safe_load(printed("yaml")) == [row]
    texts = {key: str(value) for key, value in row.items()}
    assert list(csv.DictReader(io.StringIO(printed("csv")))) == [texts]
    assert printed("value") == f"{image} {name}a,b 5000\n"
    table = printed("table")
    assert all(text in table for text in [*texts, *texts.values()])
    assert "no column 'Colour'" in user.meltemi(*compare, "-c", "Colour", code=2).complaint


def test_data_goes_to_stdout_and_progress_to_stderr(
    user: User, anonymous: Service, old: Service, name: str
) -> None:
    image = anonymous.put(f"{name}a", some_data(9))
    done = user.meltemi(*livecopy((anonymous, old), name, "-f", "value", "-c", "id"))
    assert done.out == f"{image}\n"
    first, last = done.err.splitlines()
    assert first == "1 action, 4.9 KiB to send"
    assert last.startswith(f"copy {name}a ({image}) -> {old.address}: done, 4.9 KiB in ")


def test_a_hostile_name_cannot_forge_lines(
    user: User, anonymous: Service, old: Service, name: str
) -> None:
    evil = f"{name}a\x1b[2J\r\nmeltemi: all is well [bold]x[/bold]"
    image = anonymous.put(evil, some_data(14))
    words = livecopy((anonymous, old), name)
    for done in (user.meltemi(*words, "--dry-run"), user.meltemi(*words, "-v")):
        assert "\x1b" not in done.out + done.err
        assert "\r" not in done.out + done.err
        assert not [line for line in done.lines if line.startswith("meltemi: all is well")]
        assert "[bold]x[/bold]" in done.out
    assert old.show(image)["name"] == evil


def test_every_option_is_a_variable(
    user: User, anonymous: Service, old: Service, name: str
) -> None:
    image = anonymous.put(f"{name}a", some_data(10), build_host="x")
    rows = user.meltemi(
        *("livecopy", anonymous.address, old.address),
        env={
            "MELTEMI_MATCH": f"name={name}*",
            "MELTEMI_DONTREPLICATE": "build_host",
            "MELTEMI_VISIBILITY": "community",
            "MELTEMI_FORMAT": "json",
            "MELTEMI_DRY_RUN": "no",
        },
    ).rows
    assert [row["Result"] for row in rows] == ["done"]
    assert old.show(image)["visibility"] == "community"
    assert "build_host" not in old.show(image)


def test_a_dry_run_touches_nothing(user: User, anonymous: Service, old: Service, name: str) -> None:
    image = anonymous.put(f"{name}a", some_data(11))
    rows = user.rows(*livecopy((anonymous, old), name, "--dry-run"))
    assert [row["Action"] for row in rows] == ["copy"]
    assert not old.has(image)


def test_a_target_that_fails_does_not_keep_the_others_waiting(
    user: User, anonymous: Service, old: Service, name: str
) -> None:
    image = anonymous.put(f"{name}a", some_data(12))
    nobody = "127.0.0.1:1"
    done = user.meltemi(
        *("livecopy", anonymous.address, nobody, old.address, "--match", f"name={name}*"),
        *("-f", "json"),
        code=6,
    )
    results = {row["To"]: row["Result"] for row in done.rows}
    assert results == {old.address: "done", nobody: "failed"}
    assert old.data(image) == some_data(12)


def test_a_library_is_not_copied_onto_itself(user: User, anonymous: Service) -> None:
    for target in (anonymous.address, anonymous.url):
        assert user.meltemi("livecopy", anonymous.address, target, code=2).complaint


def test_a_terminal_gets_live_bars(user: User, anonymous: Service, old: Service, name: str) -> None:
    image = anonymous.put(f"{name}a", some_data(13, 4_000_000))
    words = livecopy((anonymous, old), name)
    seen = user.watch(*words, "--bwlimit", "2M", "--chunksize", "64k", "-f", "value")
    assert f"{name}a -> {old.address}" in seen
    assert "in total" in seen
    assert re.search(r"\d\.\d/\d\.\d MiB", seen), "bytes"
    assert re.search(r"\d [kM]B/s", seen), "speed"
    assert re.search(r"0:00:0\d", seen), "time left"
    assert old.data(image) == some_data(13, 4_000_000)


def test_completion_for_every_shell(user: User) -> None:
    for shell in ("bash", "zsh", "fish"):
        assert "_MELTEMI_COMPLETE" in user.meltemi("completion", shell).out
    offered = user.meltemi(
        env={"_MELTEMI_COMPLETE": "bash_complete", "COMP_WORDS": "meltemi livecopy --on-c"}
        | {"COMP_CWORD": "2"}
    )
    assert "--on-conflict" in offered.out
