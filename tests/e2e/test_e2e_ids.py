"""UUIDs that are kept, taken or burnt; names that are taken; kernels and ramdisks."""

import pytest

from tests.e2e.words import Pair, livecopy
from tests.support.cli import User
from tests.support.glance import Service, some_data

pytestmark = pytest.mark.services


def burn(place: Service, image_id: str) -> None:
    """Use an id up: what is deleted can never be created again."""
    place.put("burnt", b"", id=image_id)
    place.delete(image_id)


@pytest.mark.parametrize("direction", ["to the old", "to the new"])
def test_a_burnt_id_is_mapped_and_found_again(
    user: User, others: Pair, name: str, direction: str
) -> None:
    places = others if direction == "to the old" else (others[1], others[0])
    source, target = places
    image = source.put(f"{name}a", some_data(1), visibility="public", colour="red")
    burn(target, image)
    [row] = user.rows(*livecopy(places, name))
    [replica] = target.find(f"{name}a")
    assert replica["id"] != image
    assert row["Detail"] == f"under the id {replica['id']}"
    assert replica["meltemi_source"] == f"{source.url}/{image}"
    assert user.rows(*livecopy(places, name)) == []
    source.change(image, colour="blue")
    user.meltemi(*livecopy(places, name))
    [replica] = target.find(f"{name}a")
    assert replica["colour"] == "blue"
    assert target.data(replica["id"]) == some_data(1)
    assert user.meltemi("compare", *livecopy(places, name)[1:]).err.startswith("1 in sync")


def test_a_taken_id_is_skipped_replaced_or_renamed(user: User, others: Pair, name: str) -> None:
    source, target = others
    images = {
        policy: source.put(f"{name}{policy}", some_data(2))
        for policy in ("skip", "replace", "rename")
    }
    for policy, image in images.items():
        target.put(f"{name}other {policy}", some_data(3), id=image)

    def run(policy: str, code: int = 0) -> list[dict[str, str]]:
        words = ("--match", f"id={images[policy]}", "--on-conflict", policy)
        return user.rows(*livecopy(others, name), *words, code=code)

    [row] = run("skip", code=1)
    assert (row["Result"], row["Action"]) == ("conflict", "")
    assert images["skip"] in row["Detail"]
    assert "--on-conflict" in row["Detail"]
    plan = user.rows(
        *livecopy(others, name, "--match", f"id={images['replace']}"),
        *("--on-conflict", "replace", "--dry-run"),
    )
    assert "under a new id" in plan[0]["Reason"]
    assert [(row["Action"], row["Result"]) for row in run("replace")] == [
        ("copy", "done"),
        ("hide", "done"),
    ]
    [replica] = target.find(f"{name}replace")
    assert target.data(replica["id"]) == some_data(2)
    assert target.show(images["replace"])["os_hidden"] is True
    assert run("replace") == []
    assert [row["Result"] for row in run("rename")] == ["done"]
    replica = target.named(f"{name}rename ({source.address})")
    assert target.data(replica["id"]) == some_data(2)
    assert target.show(images["rename"])["os_hidden"] is False
    assert run("rename") == []
    assert all(target.data(image) == some_data(3) for image in images.values())


def test_a_taken_name_is_skipped_replaced_or_renamed(user: User, others: Pair, name: str) -> None:
    source, target = others
    images, before = {}, {}
    for policy in ("skip", "replace", "rename"):
        images[policy] = source.put(f"{name}{policy}", some_data(4))
        before[policy] = target.put(f"{name}{policy}", some_data(5))

    def run(policy: str, code: int = 0) -> list[dict[str, str]]:
        words = ("--match", f"id={images[policy]}", "--on-conflict", policy)
        return user.rows(*livecopy(others, name), *words, code=code)

    [row] = run("skip", code=1)
    assert before["skip"] in row["Detail"]
    assert not target.has(images["skip"])
    assert {row["Result"] for row in run("replace")} == {"done"}
    assert [image["id"] for image in target.find(f"{name}replace")] == [images["replace"]]
    assert target.show(before["replace"])["os_hidden"] is True
    assert run("replace") == []
    assert {row["Result"] for row in run("rename")} == {"done"}
    assert target.show(images["rename"])["name"] == f"{name}rename ({source.address})"
    assert run("rename") == []
    source.change(images["rename"], colour="red")
    run("rename")
    replica = target.show(images["rename"])
    assert (replica["colour"], replica["name"]) == ("red", f"{name}rename ({source.address})")


def test_an_id_of_another_project_is_a_conflict_whatever_it_holds(
    user: User, one: Service, two: Service, name: str
) -> None:
    image = one.put(f"{name}a", some_data(6))
    two.put(f"{name}a", some_data(6), id=image, owner="somebody")
    words = ("livecopy", "admin:RegionOne", "admin:RegionTwo", "--match", f"name={name}*")
    [row] = user.rows(*words, code=1)
    assert (row["Result"], "somebody" in row["Detail"]) == ("conflict", True)
    assert "meltemi_source" not in two.show(image)


def test_kernel_and_ramdisk_come_first_and_their_new_ids_are_known(
    user: User, others: Pair, name: str
) -> None:
    source, target = others
    kernel = source.put(
        f"boot {name}", some_data(7, 9000), container_format="aki", disk_format="aki"
    )
    ramdisk = source.put(
        f"boot {name}", some_data(8, 9000), container_format="ari", disk_format="ari"
    )
    machine = source.put(f"{name}machine", some_data(9, 10), kernel_id=kernel, ramdisk_id=ramdisk)
    burn(target, kernel)
    done = user.meltemi(*livecopy(others, name), "-f", "json")
    order = [line.split()[1] for line in done.lines if line.startswith("copy ")]
    assert order[-1] == f"{name}machine"
    assert {row["ID"] for row in done.rows} == {kernel, ramdisk, machine}
    replica = target.show(machine)
    assert replica["ramdisk_id"] == ramdisk
    assert replica["kernel_id"] != kernel
    assert target.data(replica["kernel_id"]) == some_data(7, 9000)
    assert user.rows(*livecopy(others, name)) == []
    # An image that comes later finds the kernel that is there.
    second = source.put(f"{name}second", some_data(10, 10), kernel_id=kernel)
    assert [row["ID"] for row in user.rows(*livecopy(others, name))] == [second]
    assert target.show(second)["kernel_id"] == replica["kernel_id"]
    source.change(machine, colour="red")
    user.meltemi(*livecopy(others, name))
    assert target.show(machine)["kernel_id"] == replica["kernel_id"]
    assert target.show(machine)["colour"] == "red"
    source.change(machine, remove=("kernel_id",))
    user.meltemi(*livecopy(others, name))
    assert "kernel_id" not in target.show(machine)
    assert user.rows(*livecopy(others, name)) == []


def test_a_kernel_that_is_gone_is_no_obstacle(user: User, others: Pair, name: str) -> None:
    source, target = others
    missing = "5ca1ab1e-0000-4000-8000-0000000000aa"
    image = source.put(f"{name}a", some_data(11), kernel_id=missing, ramdisk_id="not a uuid")
    user.meltemi(*livecopy(others, name))
    assert target.show(image)["kernel_id"] == missing
    assert user.rows(*livecopy(others, name)) == []
