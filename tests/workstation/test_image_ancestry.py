"""`meltemi image ancestry`, against a real region."""

from typing import Any

from tests.support.builds import BUILD, GOLDEN, KIB, LATER, MIB
from tests.workstation.conftest import Workstation


def line(station: Workstation, image: str) -> list[dict[str, Any]]:
    return station.rows("ancestry", image)


def test_three_generations(station: Workstation) -> None:
    golden = station.place.put("golden", GOLDEN)
    station.file("build", BUILD)
    station.file("grandchild", LATER)
    child = station.push("build", "--name", "child", "--base", golden)["ID"]
    grandchild = station.push("grandchild", "--name", "grandchild", "--base", child)["ID"]
    rows = line(station, grandchild)
    assert [row["ID"] for row in rows] == [grandchild, child, golden]
    assert [row["Name"] for row in rows] == ["grandchild", "child", "golden"]
    assert {row["Bytes"] for row in rows} == {24 * MIB}
    own = [row["Own"] for row in rows]
    assert 0 < own[0] < 200 * KIB < own[1] < 1000 * KIB < 3 * MIB < own[2] < 9 * MIB


def test_a_parent_that_is_gone(station: Workstation) -> None:
    golden = station.place.put("golden", GOLDEN)
    child = station.place.put("child", BUILD, base_image_ref=golden)
    station.place.delete(golden)
    done = station.image("ancestry", child, "-f", "json")
    [row] = done.rows
    assert row["Own"] > 3 * MIB
    done.about("meltemi: image child", f"its parent {golden} cannot be seen", "404")


def test_parents_that_go_round(station: Workstation) -> None:
    one = station.place.put("one", GOLDEN)
    two = station.place.put("two", BUILD, base_image_ref=one)
    station.place.change(one, base_image_ref=two)
    done = station.image("ancestry", two, "-f", "json")
    assert [row["ID"] for row in done.rows] == [two, one]
    done.about("meltemi: image one", f"its parent {two} descends from it")


def test_an_image_that_waits_for_its_data(station: Workstation) -> None:
    golden = station.place.put("golden", GOLDEN)
    queued = station.place.put("queued", None, base_image_ref=golden)
    rows = line(station, queued)
    assert [row["ID"] for row in rows] == [queued, golden]
    assert (rows[0]["Bytes"], rows[0]["Own"]) == (None, None)
    empty = station.image("ancestry", queued, "-f", "csv", "-c", "own").out.splitlines()
    assert empty[:2] == ["Own", '""']


def test_an_image_that_is_not_there(station: Workstation) -> None:
    assert "image nonsense: 404" in station.image("ancestry", "nonsense", code=3).complaint
