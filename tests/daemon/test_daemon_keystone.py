"""A daemon that knows people by Keystone: everybody sees and does what is theirs, nothing else."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import yaml
from keystoneauth1.identity import v3
from keystoneauth1.session import Session

from lab.keystone import Keystone
from meltemi.daemon.api.app import OPERATIONS, Operation
from tests.daemon.asking import Asked, Shelves, path_of, settled
from tests.support.archives import put_images, raw
from tests.support.cli import User
from tests.support.daemon import Daemon

pytestmark = pytest.mark.services


@dataclass(frozen=True)
class House:
    """A Keystone with people, and a daemon that knows them; tokens by who they are."""

    keystone: Keystone
    asked: Asked
    tokens: dict[str, str]
    project: str


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("daemon")
    with Keystone(folder / "keystone") as keystone:
        for name, project, role in (
            ("penelope", "ithaca", "reader"),
            ("eumaeus", "ithaca", "operator"),
            ("antinous", "ithaca", "suitor"),
            ("alcinous", "scheria", "member"),
        ):
            keystone.user(name, keystone.password, project, [role])
        tokens = {
            name: keystone.token(name, keystone.password, project)
            for name, project in (
                *(("penelope", "ithaca"), ("eumaeus", "ithaca"), ("antinous", "ithaca")),
                *(("alcinous", "scheria"), ("admin", "admin")),
            )
        }
        system, domain = {"system_scope": "all"}, {"domain_id": "default"}
        tokens["of the system"] = scoped(keystone, "penelope", "reader", "system", system)
        tokens["of a domain"] = scoped(keystone, "admin", "admin", "domains/default", domain)
        shelves = Shelves(folder)
        shelves.put(0, "loom", b"data", keystone.project("ithaca"))
        shelves.put(1, "ship", b"data", keystone.project("scheria"))
        oar = shelves.put(2, "oar", b"data", keystone.project("ithaca"))
        # Another project has it there already: a reason that is not everybody's to know.
        put_images(folder / "R1", [(raw(oar, "oar", keystone.project("scheria")), b"another")])
        settings = {"keystone": {"auth": keystone.login(), "token_cache_time": "0s"}}
        with Daemon(folder, shelves.configuration(tokens={}, **settings)) as daemon:
            asked = Asked(daemon, tokens["admin"])
            settled(asked, 5)
            yield House(keystone, asked, tokens, keystone.project("ithaca"))


def scoped(keystone: Keystone, user: str, role: str, where: str, scope: Any) -> str:
    """Give somebody a role outside of projects; give a token for it."""
    person, duty = keystone.ensure("user", user, {}), keystone.ensure("role", role, {})
    keystone.call("PUT", f"/{where}/users/{person}/roles/{duty}")
    auth = v3.Password(
        auth_url=keystone.url,
        username=user,
        password=keystone.password,
        user_domain_id="default",
        **scope,
    )
    return str(Session(auth).get_token())


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: f"{one.method} {one.path}")
@pytest.mark.parametrize("who", ["antinous", "of a domain"])
def test_who_has_no_role_is_refused_everything(
    house: House, who: str, operation: Operation
) -> None:
    path = path_of(operation)
    answer = house.asked.call(operation.method, path, token=house.tokens[who])
    assert answer.status == 403
    assert answer.message.endswith("has none of Meltemi's roles")


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: f"{one.method} {one.path}")
def test_a_token_that_keystone_does_not_know(house: House, operation: Operation) -> None:
    answer = house.asked.call(operation.method, path_of(operation), token="gAAAAAB")
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"].startswith("Keystone uri=")


def test_a_project_sees_its_own_images_alone(house: House) -> None:
    asked, mine = house.asked, house.tokens["penelope"]
    placements = asked.get("/v1/placements", token=mine)["placements"]
    assert {one["owner"] for one in placements} == {house.project}
    assert [one["name"] for one in placements] == ["loom", "loom", "oar", "oar"]
    assert asked.call("GET", "/v1/placements?image=ship", token=mine).status == 404
    changes = asked.get("/v1/changes", token=mine)["changes"]
    assert {one["name"] for one in changes} == {"loom", "oar"}
    [route] = asked.get("/v1/routes", token=mine)["routes"]
    assert [one["counts"] for one in route["libraries"]] == [
        *({"conflict": 1, "ready": 1}, {"ready": 2}),
    ]
    usage = asked.get("/v1/usage", token=mine)["usage"]
    assert {one["project"] for one in usage} == {house.project}
    assert {one["project"] for one in asked.get("/v1/usage")["usage"]} > {house.project}
    other = house.keystone.project("scheria")
    assert asked.get(f"/v1/usage?project={other}", token=mine)["usage"] == []
    everything = asked.get("/v1/changes")["changes"]
    for token, told in ((mine, changes), (house.tokens["admin"], everything)):
        with asked.watching(token=token, last=0) as stream:
            assert [next(stream.changes()).data for _ in told] == told[::-1]
    # Nor is a project told of another, or its images, by the reasons why its own are not there.
    assert [one["status"] for one in placements] == ["ready", "ready", "conflict", "ready"]
    assert other not in str([placements, changes])
    assert other in asked.get("/v1/placements?observed=conflict")["placements"][0]["status"]
    for path in ("/v1/runs", "/v1/pauses"):
        answer = asked.call("GET", path, token=mine)
        assert (answer.status, "concerns all projects" in answer.message) == (403, True)


def test_roles_are_those_of_keystone(house: House) -> None:
    told = {
        name: house.asked.get("/v1/daemon", token=house.tokens[name])["sender"]
        for name in ("penelope", "alcinous", "of the system", "eumaeus", "admin")
    }
    assert {name: (one["role"], one["project"]) for name, one in told.items()} == {
        "penelope": ("reader", house.project),
        "alcinous": ("reader", house.keystone.project("scheria")),
        "of the system": ("reader", None),
        "eumaeus": ("operator", None),
        "admin": ("admin", None),
    }
    whole = house.tokens["of the system"]
    assert len(house.asked.get("/v1/placements", token=whole)["placements"]) == 6
    assert house.asked.get("/v1/runs", token=whole)["runs"]


def test_who_did_what_is_logged_by_their_ids(house: House) -> None:
    asked = house.asked
    path = "/v1/pauses/library/R1"
    assert asked.call("PUT", path, token=house.tokens["eumaeus"]).status == 204
    assert asked.call("DELETE", path, token=house.tokens["penelope"]).status == 403
    assert asked.call("DELETE", path, token=house.tokens["admin"]).status == 204
    who = {name: house.keystone.ensure("user", name, {}) for name in ("eumaeus", "penelope")}
    acts = asked.get("/v1/audit?limit=3")["acts"]
    assert [(act["who"], act["role"], act["result"]) for act in acts[1:]] == [
        (who["penelope"], "reader", "refused"),
        (who["eumaeus"], "operator", "done"),
    ]
    assert acts[1]["project"] == house.project
    path = "/v1/credentials/R1"
    assert asked.call("PUT", path, {}, token=house.tokens["antinous"]).status == 403
    [latest] = asked.get("/v1/audit?limit=1")["acts"]
    assert (latest["action"], latest["role"]) == ("leave credential", None)


def test_people_log_in_as_everywhere(house: House) -> None:
    folder, keystone = house.asked.daemon.folder, house.keystone
    clouds = {name: {"auth": keystone.login(name, "ithaca")} for name in ("penelope", "eumaeus")}
    file = folder / "clouds.yaml"
    file.write_text(yaml.safe_dump({"clouds": clouds}))
    where = {"MELTEMI_DAEMON": house.asked.daemon.url, "OS_CLIENT_CONFIG_FILE": str(file)}
    user = User(folder, lambda: {**where, "OS_CLOUD": "penelope"})
    assert {row["Name"] for row in user.rows("status")} == {"loom", "oar"}
    assert "that takes the role operator" in user.meltemi("retry", code=3).complaint
    user.meltemi("retry", env={"OS_CLOUD": "eumaeus"})
    assert "unknown cloud" in user.meltemi("status", code=2, env={"OS_CLOUD": "x"}).complaint


def test_nobody_can_say_who_asks_while_keystone_is_away(house: House) -> None:
    house.keystone.stop()
    try:
        answer = house.asked.call("GET", "/v1/daemon")
        assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
        env = {"MELTEMI_DAEMON_TOKEN": house.tokens["admin"]}
        user = User(house.asked.daemon.folder, lambda: env)
        done = user.meltemi("status", "--daemon", house.asked.daemon.url, code=6)
        assert "503" in done.complaint
    finally:
        house.keystone.start()
