"""Owners choose regions of a real cloud: two projects, and a Glance that protects properties."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from cryptography.fernet import Fernet

from lab import Cloud, Glance
from meltemi.daemon.api import events
from meltemi.daemon.api.app import OPERATIONS, Operation
from tests.daemon.asking import Asked
from tests.support.accounts import Accounts
from tests.support.cli import Done, meltemi
from tests.support.daemon import Daemon
from tests.support.glance import RefusedError, Service, some_data
from tests.support.waiting import eventually

DOMAINS: Final = {"user_domain_id": "default", "project_domain_id": "default"}
WRONG: Final = "some-other-secret-0123456789"
PAGE: Final = Path(__file__).parents[2] / "docs" / "owners.md"


@pytest.fixture(scope="module")
def athens(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Give a Glance with the property protections of the documentation."""
    [sample] = re.findall(
        r"^```ini\n(\[\^meltemi_regions.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE
    )
    folder = tmp_path_factory.mktemp("athens")
    (folder / "protections.conf").write_text(sample)
    server = Glance(
        folder / "glance",
        name="athens",
        postgres=cloud.postgres,
        keystone=cloud.keystone,
        region="Athens",
        config={"DEFAULT": {"property_protection_file": str(folder / "protections.conf")}},
    )
    try:
        yield Service(server.start(), cloud.postgres)
    finally:
        server.stop()


@pytest.fixture(scope="module")
def projects(accounts: Accounts) -> dict[str, str]:
    """Give the ids of two projects, whose members have the same names."""
    return {name: accounts.add(name) for name in ("olive", "plane")}


def configured(
    cloud: Cloud, folder: Path, targets: dict[str, dict[str, str]], **route: Any
) -> dict[str, Any]:
    """Let owners choose from targets: regions where an administrator is known, unless said else."""
    keystone = cloud.keystone
    auth = keystone.login(keystone.admin, "admin")
    clouds = {"lab": {"auth": auth}, "nobody": {"auth": {"auth_url": keystone.url}}}
    (folder / "clouds.yaml").write_text(yaml.safe_dump({"clouds": clouds}))
    libraries = {
        name: {"cloud": "lab", "region": name, **said}
        for name, said in {"Athens": {}, **targets}.items()
    }
    chosen = {"from": "Athens", "to": list(targets), "schedule": "1s", **route}
    return {"version": 1, "libraries": libraries, "routes": {"chosen": chosen}}


def is_document(operation: Operation) -> bool:
    """Say whether an operation gives something that ends."""
    return operation.answer is not events.stream


def refused(status: int) -> Any:
    """Expect Glance's refusal."""
    return pytest.raises(RefusedError, match=rf"^{status}:")


def test_members_choose_for_their_own_images_and_cannot_forge(
    cloud: Cloud,
    accounts: Accounts,
    athens: Service,
    projects: dict[str, str],
    tmp_path: Path,
) -> None:
    mine, theirs = (athens.seen_by(accounts.token(name)) for name in ("olive", "plane"))
    admin = athens.seen_by(accounts.token("admin"))
    one, two = (
        Service(cloud.regions[region], cloud.postgres, token=accounts.token("admin"))
        for region in ("RegionOne", "RegionTwo")
    )
    image = mine.put("mine", some_data(1), meltemi_regions="RegionOne, regiontwo, mars")
    shared = mine.put("shared", some_data(2), visibility="shared")
    mine.share(shared, projects["plane"])
    theirs.call("PUT", f"/v2/images/{shared}/members/{projects['plane']}", {"status": "accepted"})
    forbidden = theirs.put("theirs", some_data(3), meltemi_regions="RegionTwo,RegionOne")
    # Whom an image is shared with, or shown to, cannot choose for it.
    with refused(403):
        theirs.change(shared, meltemi_regions="RegionOne")
    with refused(404):
        theirs.change(image, meltemi_regions="RegionOne")
    # Nobody but the daemon answers, also not by a snapshot that inherits an answer.
    for place, name in ((mine, image), (theirs, forbidden)):
        with refused(403):
            place.change(name, meltemi_status="RegionOne: ready")
    with refused(403):
        mine.put("snapshot", None, meltemi_status="RegionOne: ready")
    choose = {"projects": {projects["olive"]: {}, projects["plane"]: {"regions": "RegionOne"}}}
    configuration = configured(
        cloud, tmp_path, {"RegionOne": {}, "RegionTwo": {}}, owners={"*": "*"}, choose=choose
    )
    with Daemon(tmp_path, configuration):
        ready = "RegionOne: ready; regiontwo: ready; mars: unknown region"
        eventually(lambda: bool(mine.show(image).get("meltemi_status") == ready))
        answer = "RegionOne: ready; RegionTwo: not allowed"
        eventually(lambda: bool(theirs.show(forbidden).get("meltemi_status") == answer))
        # What is theirs there is theirs here.
        seen = one.seen_by(accounts.token("olive"))
        assert seen.data(image) == some_data(1)
        assert one.show(image)["owner"] == projects["olive"]
        with refused(404):
            seen.show(forbidden)
        assert not two.has(forbidden)
        assert not one.has(shared)
        mine.change(image, remove=("meltemi_regions",))
        eventually(lambda: not one.has(image) and not two.has(image))
        eventually(lambda: "meltemi_status" not in admin.show(image))
        assert one.has(forbidden)
        for place, name in ((mine, image), (mine, shared), (theirs, forbidden)):
            place.delete(name)
        eventually(lambda: not one.has(forbidden))


@dataclass
class Colony:
    """A daemon with a target, `mars`, that only owners have accounts on; and two of those."""

    cloud: Cloud
    accounts: Accounts
    daemon: Daemon
    projects: dict[str, str]

    def credential(self, who: str, *words: str, code: int = 0, stdin: str = "") -> Done:
        """Run `meltemi credential` as somebody."""
        env = {**self.accounts.variables(), "OS_CLOUD": who, "MELTEMI_DAEMON": self.daemon.url}
        return meltemi(
            "credential", *words, code=code, env=env, cwd=self.daemon.folder, given=stdin
        )

    def made(self, who: str, name: str) -> tuple[str, str]:
        """Make an application credential."""
        keystone = self.cloud.keystone
        return keystone.application_credential(who, keystone.password, who, name)


@pytest.fixture
def colony(
    cloud: Cloud,
    accounts: Accounts,
    athens: Service,
    projects: dict[str, str],
    tmp_path: Path,
) -> Iterator[Colony]:
    athens.wipe()
    given = configured(
        cloud,
        tmp_path,
        {"mars": {"cloud": "nobody", "region": "RegionTwo", "account": "owner"}, "RegionOne": {}},
        owners={"*": "*"},
        choose={"projects": {"*": {}}},
    )
    keys = tmp_path / "keys"
    keys.write_bytes(Fernet.generate_key())
    keys.chmod(0o600)
    keystone = cloud.keystone
    auth = keystone.login()
    given["daemon"] = {"keys": "keys", "keystone": {"auth": auth, "token_cache_time": "0s"}}
    daemon = Daemon(tmp_path, given)
    try:
        yield Colony(cloud, accounts, daemon.start("--debug"), projects)
    finally:
        daemon.stop()


def test_a_target_that_only_owners_have_accounts_on(
    cloud: Cloud, accounts: Accounts, athens: Service, colony: Colony
) -> None:
    mine, theirs = (athens.seen_by(accounts.token(name)) for name in ("olive", "plane"))
    mars = Service(cloud.regions["RegionTwo"], cloud.postgres, token=accounts.token("admin"))
    image = mine.put("mine", some_data(4), visibility="community", meltemi_regions="mars")
    other = theirs.put("theirs", some_data(5), meltemi_regions="mars")
    credential, secret = colony.made("olive", "colony")

    def told(place: Service, name: str, answer: str) -> None:
        text = f"mars: {answer}"
        eventually(lambda: bool(place.show(name).get("meltemi_status") == text))

    told(mine, image, "needs a credential of yours")
    told(theirs, other, "needs a credential of yours")
    for who, said in (("olive", f"{secret}\n"), ("plane", WRONG)):
        done = colony.credential(who, "set", "mars", "--id", credential, "--debug", stdin=said)
        assert said.strip() not in done.out + done.err
    told(mine, image, "ready")
    told(theirs, other, "your credential is refused there")
    replica = mars.show(image)
    assert (replica["owner"], replica["visibility"]) == (colony.projects["olive"], "private")
    assert mars.seen_by(accounts.token("olive")).data(image) == some_data(4)
    assert not mars.has(other)
    # The trouble of one is not that of the other.
    second = mine.put("second", some_data(6), meltemi_regions="mars")
    told(mine, second, "ready")
    mine.change(image, remove=("meltemi_regions",))
    eventually(lambda: not mars.has(image))
    mine.delete(second)
    eventually(lambda: not mars.has(second))
    # Glance may refuse to delete an image that is written to in the same moment.
    eventually(lambda: "meltemi_status" not in mine.show(image))
    mine.delete(image)
    colony.credential("plane", "unset", "mars")
    told(theirs, other, "needs a credential of yours")
    theirs.delete(other)
    daemon, asked = colony.daemon, Asked(colony.daemon, accounts.token("admin"))
    shown = [asked.get(one.path) for one in OPERATIONS if one.method == "GET" and is_document(one)]
    assert "credentials" in str(shown)
    process = Path(f"/proc/{daemon.pid}")
    seen = [
        str(shown).encode(),
        *((process / name).read_bytes() for name in ("cmdline", "environ")),
    ]
    daemon.stop()
    # It has logged everything, with tracebacks: one of the credentials was refused.
    seen += [file.read_bytes() for file in (daemon.log, *daemon.folder.glob("*.sqlite*"))]
    assert len(seen) > len(("shown", "cmdline", "environ", "log"))
    assert b"DEBUG" in daemon.log.read_bytes()
    for text in seen:
        assert secret.encode() not in text
        assert WRONG.encode() not in text
    done = meltemi("sync", daemon.file, "--dry-run", cwd=daemon.folder, code=2)
    assert "mars is reached with the accounts of images' owners" in done.complaint


def test_a_credential_is_the_members_of_its_project_and_shown_to_nobody(
    accounts: Accounts, athens: Service, colony: Colony
) -> None:
    keystone, projects = colony.cloud.keystone, colony.projects
    theirs = athens.seen_by(accounts.token("plane"))
    image = theirs.put("theirs", some_data(7), meltemi_regions="mars, venus")
    asked = Asked(colony.daemon, accounts.token("admin"))
    colony.credential("plane", "set", "mars", "--id", "an id", code=2)
    plane = accounts.token("plane")
    for library, words in (
        ("RegionOne", "the daemon has its own"),
        ("venus", "no library 'venus'"),
    ):
        given = {"id": "an id", "secret": "a secret"}
        refusal = asked.call("PUT", f"/v1/credentials/{library}", given, token=plane)
        assert (refusal.status, words in refusal.message) == (400, True)
    done = colony.credential("plane", "set", "mars", "--id", "an id", stdin="a secret")
    assert "a secret" not in done.out + done.err
    keystone.user("peeper", keystone.password, "olive", ["reader"])
    strangers = [keystone.token("peeper", keystone.password, "olive"), plane]
    body = {"id": "an id", "secret": "a secret", "project": projects["olive"]}
    for token in strangers:
        assert asked.call("PUT", "/v1/credentials/mars", body, token=token).status == 403
        path = f"/v1/credentials/mars?project={projects['plane']}"
        if token == strangers[0]:
            assert asked.call("DELETE", path, token=token).status == 403
    acts = asked.get("/v1/audit?limit=3")["acts"]
    assert {(act["action"], act["result"]) for act in acts} == {
        ("leave credential", "refused"),
        ("take credential", "refused"),
    }
    assert "a secret" not in str(asked.get("/v1/audit"))
    listed = asked.get("/v1/credentials")["credentials"]
    assert [set(one) for one in listed] == [{"project", "library", "at", "by"}]
    [row] = colony.credential("plane", "list", "-f", "json").rows
    assert (row["Library"], row["Project"]) == ("mars", projects["plane"])
    of_olive = accounts.token("olive")
    assert asked.get("/v1/credentials", token=of_olive)["credentials"] == []
    answer = "mars: your credential is refused there; venus: unknown region"
    eventually(lambda: bool(theirs.show(image).get("meltemi_status") == answer))
    [told] = asked.get("/v1/answers", token=plane)["answers"]
    assert (told["image"], told["text"], told["problem"]) == (image, answer, "")
    assert asked.get("/v1/answers", token=of_olive)["answers"] == []
    # An administrator may do it for a project, by its name.
    assert asked.call("DELETE", "/v1/credentials/mars").status == 400
    path = f"/v1/credentials/mars?project={projects['plane']}"
    assert asked.call("DELETE", path).status == 204
    assert asked.call("DELETE", path).status == 404
    answer = "mars: needs a credential of yours; venus: unknown region"
    eventually(lambda: bool(theirs.show(image).get("meltemi_status") == answer))
