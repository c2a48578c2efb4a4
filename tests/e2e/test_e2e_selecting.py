"""Selections on real listings."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.support.cli import User
from tests.support.glance import Service, some_data

pytestmark = pytest.mark.services


@pytest.fixture
def shelf(anonymous: Service, name: str) -> dict[str, str]:
    """Put images of many kinds there; give their short names by their ids."""
    made = {
        "public": anonymous.put(
            f"{name}public", some_data(1, 2000), visibility="public", tags=["golden", "lts"]
        ),
        "distro": anonymous.put(f"{name}distro", some_data(2, 4000), os_distro="debian-12"),
        "wip": anonymous.put(f"{name}wip", some_data(3, 6000), tags=["wip"], os_distro="ubuntu"),
        "kernel": anonymous.put(
            f"{name}kernel", some_data(4, 8000), disk_format="aki", container_format="aki"
        ),
        "off": anonymous.put(f"{name}off", some_data(5, 10000), protected=True, min_disk=9),
        "hidden": anonymous.put(f"{name}hidden", some_data(6, 12000), os_hidden=True),
    }
    anonymous.act(made["off"], "deactivate")
    ago = datetime.now(UTC) - timedelta(days=400)
    anonymous.sql(
        f"UPDATE images SET created_at = '{ago:%Y-%m-%d %H:%M:%S}', owner = 'athens' "
        f"WHERE id = '{made['wip']}'"
    )
    return {image: short for short, image in made.items()}


ALL = {"public", "distro", "wip", "kernel", "off", "hidden"}

CASES = [
    (("--match", "visibility=public", "--match", "visibility=private"), {"public"}),
    (("--match", "tag=wip", "--match", "tag=lts"), {"public", "wip"}),
    (("--match", "property:os_distro=*", "--match", "tag=wip"), {"wip"}),
    (("--match", "container_format=bare", "--match", "max_size=5k"), {"public", "distro"}),
    (("--match", "status=deactivated"), {"off"}),
    (("--match", "min_age=52w", "--match", "owner=athens"), {"wip"}),
    (("--exclude", "min_age=52w", "--exclude", "tag=golden"), ALL - {"wip", "public"}),
    (("--where", "'golden' in image.tags || image.hidden"), {"public", "hidden"}),
    (("--where", "image.protected && image.min_disk > 8"), {"off"}),
    (("--where", "image.age > duration('8760h')"), {"wip"}),
    (("--where", "has(image.properties.os_distro) && image.size > 5000"), {"wip"}),
]


def test_every_rule_and_expressions(
    user: User, anonymous: Service, old: Service, shelf: dict[str, str], name: str
) -> None:
    """`size` and `compare` read the same listing: sizes tell the images apart."""
    sizes = dict(
        zip(("public", "distro", "wip", "kernel", "off", "hidden"), range(1, 7), strict=True)
    )
    for words, wanted in CASES:
        [row] = user.rows("size", anonymous.address, "--match", f"name={name}*", *words)
        expected = (len(wanted), sum(2000 * sizes[short] for short in wanted))
        assert (row["Images"], row["Bytes"]) == expected, words
    words, wanted = CASES[7]
    rows = user.rows(
        "compare", anonymous.address, old.address, "--match", f"name={name}*", *words, code=1
    )
    assert {shelf[row["ID"]] for row in rows} == wanted


def test_what_does_not_parse_is_told_before_anything_is_done(user: User) -> None:
    nowhere = "127.0.0.1:1"
    for words, told in (
        (("--match", "colour=red"), "unknown key"),
        (("--match", "name"), "KEY=VALUE"),
        (("--match", "property=x"), "property:NAME"),
        (("--match", "min_size=big"), "big"),
        (("--match", "visibility=everyone"), "visibility"),
        (("--exclude", "max_age=3 fortnights"), "fortnights"),
        (("--where", "image.size >"), "where"),
        (("--where", "image.colour == 'red'"), "colour"),
        (("--where", "__import__('os').system('true')"), "where"),
    ):
        done = user.meltemi("size", nowhere, *words, code=2)
        assert told in done.err, words
        assert done.out == ""
