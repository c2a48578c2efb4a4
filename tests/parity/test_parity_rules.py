"""Each policy is asked by the requests by which a real Glance asks it.

That rules decide alike is shown elsewhere; here, what each of them decides about. One after the
other is made to allow nobody anything, in the files of both services.
"""

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest

from lab import Glance, Postgres
from lab.wsgi import Settings
from meltemi.region.rules import POLICIES, ROLES
from tests.parity.asking import (
    DATA,
    FULL,
    RAW,
    Conversation,
    Request,
    active,
    ask,
    change,
    create,
    delete,
    get,
    patch,
    post,
    put,
    talk,
    upload,
)
from tests.parity.differing import Allowed, AllowedList, compare
from tests.parity.peers import Answer, Peer
from tests.parity.region import Region

pytestmark = pytest.mark.services

_OPEN: Final = {**ROLES, **POLICIES, "context_is_admin": "@", "service_api": "@"}
"""Who asks is nobody in particular, and may do everything."""

_UNUSED: Final = {
    *("default", "metadef_default", "download_from_store"),
    *("get_task", "get_tasks", "add_task", "modify_task"),
}
"""Rules that Glance has, and that decide nothing in it."""

_HIDES: Final = {"get_image_location", "get_member"}
"""Rules by which an answer lacks something, and is no refusal."""

_ALLOWED: Final = AllowedList.read(Path(__file__).with_name("allowed.yaml"))
_HERE: Final = AllowedList(
    [
        Allowed(
            "Who may not see an image does not import into it.",
            "full/rules/*",
            ["status"],
            request="POST */import *",
            region="404",
        ),
        Allowed(
            "What is in the queues, and when, depends on who works on them.",
            "full/rules/*",
            ["body /*"],
            request="GET */*cache*",
        ),
    ]
)
_FULL, _QUEUED, _OFFERED = (f"/v2/images/<{name}>" for name in ("full", "queued", "offered"))
_DATA: Final = get(f"{_FULL}/file", headers={"Range": "bytes=0-"})
"""All of it, without a copy in the cache of a Glance."""

_NAMESPACES: Final = "/v2/metadefs/namespaces"
_ONE: Final = f"{_NAMESPACES}/<id.namespace>"
_PROPERTY: Final = {"name": "p", "title": "t", "type": "string"}


def _before() -> list[Request]:
    return [
        *active(json={"name": "<id.name>"}, keep="full"),
        create(RAW, keep="queued"),
        create(RAW, keep="offered"),
        post(f"{_OFFERED}/members", {"member": "m"}),
        post(_NAMESPACES, {"namespace": "<id.namespace>", "owner": "o"}),
    ]


def _asked(rule: str) -> Iterator[Request]:
    """Give the requests that a rule could decide."""
    if rule in ROLES:
        yield from (*_about_images(), *_about_services(), *_about_definitions())
    elif "metadef" in rule:
        yield from _about_definitions()
    elif "cache" in rule or "task" in rule or "store" in rule:
        yield from _about_services()
    else:
        yield from _about_images()


def _about_images() -> Iterator[Request]:
    yield from (get(path) for path in ("/v2/images?name=<id.name>", _FULL))
    yield _DATA
    for visibility in ("private", "community", "public"):
        yield create({"visibility": visibility}, keep="made")
        yield patch(change("replace", "/visibility", visibility), image="queued")
    yield from (put(f"{_FULL}/tags/t"), delete(f"{_FULL}/tags/t"))
    yield from (get(f"{_OFFERED}/members"), get(f"{_OFFERED}/members/m"))
    yield put(f"{_OFFERED}/members/m", {"status": "accepted"})
    yield from (post(f"{_OFFERED}/members", {"member": "n"}), delete(f"{_OFFERED}/members/m"))
    yield from (get(f"{_FULL}/locations"), post(f"{_QUEUED}/locations", {"url": "rubbish"}))
    yield patch(change("add", "/locations/-", {"url": "file:///x", "metadata": {}}), image="queued")
    yield patch(change("remove", "/locations/0"), image="full")
    yield post(f"{_FULL}/actions/deactivate")
    yield from (_DATA, post(f"{_FULL}/actions/reactivate"), get(f"{_FULL}/tasks"))
    yield post(f"{_FULL}/import", {"method": {"name": "copy-image"}, "stores": ["chunks"]})
    yield post(f"{_FULL}/import", {"method": {"name": "glance-direct"}})
    yield ask("PUT", f"{_OFFERED}/stage", body=b"data", kind=DATA)
    yield upload(b"data", image="queued")
    yield from (delete(path) for path in (_QUEUED, _OFFERED))


def _about_services() -> Iterator[Request]:
    yield from (get(f"/v2/info/{part}") for part in ("stores", "stores/detail", "import"))
    yield delete("/v2/stores/chunks/<full>")
    yield from (get("/v2/tasks"), get("/v2/tasks/x"), delete("/v2/tasks/x"))
    yield post("/v2/tasks", {"type": "import", "input": {}})
    yield from (get(f"/v2/{path}") for path in ("cache", "cached_images", "queued_images"))
    for path in ("cache", "queued_images"):
        yield from (put(f"/v2/{path}/<full>"), delete(f"/v2/{path}/<full>"), delete(f"/v2/{path}"))
    yield from (delete("/v2/cached_images/<full>"), delete("/v2/cached_images"))
    yield from (get("/v2/cache/nodes/<full>"), post("/v2/cache/clean"), post("/v2/cache/prune"))


def _about_definitions() -> Iterator[Request]:
    yield from (get(path) for path in (_NAMESPACES, _ONE, "/v2/metadefs/resource_types"))
    yield put(_ONE, {"namespace": "<id.namespace>", "owner": "o", "description": "d"})
    yield post(f"{_ONE}/resource_types", {"name": "r", "prefix": "r_"})
    yield post(f"{_ONE}/properties", _PROPERTY)
    yield get(f"{_ONE}/properties/r_p?resource_type=r")
    yield post(f"{_ONE}/objects", {"name": "p"})
    yield post(f"{_ONE}/tags/p")
    for kind, body in (
        ("properties", _PROPERTY),
        ("objects", {"name": "p"}),
        ("tags", {"name": "p"}),
    ):
        yield from (get(f"{_ONE}/{kind}"), get(f"{_ONE}/{kind}/p"))
        yield from (put(f"{_ONE}/{kind}/p", body), delete(f"{_ONE}/{kind}/p"))
    yield post(f"{_ONE}/tags", {"tags": [{"name": "q"}]})
    yield from (get(f"{_ONE}/resource_types"), get(_ONE), delete(f"{_ONE}/resource_types/r"))
    yield from (delete(f"{_ONE}/{kind}") for kind in ("tags", "objects", "properties"))
    wholes: dict[str, dict[str, object]] = {
        "properties": {"properties": {"p": {"title": "t", "type": "string"}}},
        "objects": {"objects": [{"name": "o"}]},
        "tags": {"tags": [{"name": "t"}]},
        "types": {"resource_type_associations": [{"name": "r"}]},
    }
    for label, parts in wholes.items():
        yield post(_NAMESPACES, {"namespace": f"<id.{label}>", "owner": "o", **parts})
    yield delete(_ONE)


def _conversation(rule: str) -> Conversation:
    return talk(f"rules/{rule}", _before(), list(_asked(rule)), world=FULL)


class _Guarded:
    """A service without authentication, and the file of its policies."""

    def __init__(self, url: str, file: Path) -> None:
        self._peer = Peer(url)
        self._file = file
        self.url = url

    def hold(self, rule: str) -> list[Answer]:
        """Prepare what is asked about, and ask it while a rule allows nobody anything."""
        self._write(_OPEN)
        known: dict[str, str] = {}
        answers = []
        for number, request in enumerate(_conversation(rule).requests):
            if number == len(_before()):
                self._write({**_OPEN, rule: "!"})
            answer = self._peer.send(request.fill(known.get))
            answers.append(answer)
            known.update({name: str(answer.at(place)) for name, place in request.keep.items()})
        return answers

    def _write(self, rules: Mapping[str, str]) -> None:
        new = self._file.with_name("new")
        new.write_text(json.dumps(rules))
        new.replace(self._file)


@pytest.fixture(scope="module")
def services(
    postgres: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[_Guarded, _Guarded]]:
    """Give a Glance and a region with all that is off by default, but for the web."""
    folder = tmp_path_factory.mktemp("rules")
    rules = folder / "policy.json"
    rules.write_text(json.dumps(_OPEN))
    locations = {"show_multiple_locations": True, "show_image_direct_url": True}
    config: Settings = {
        "DEFAULT": {
            "enabled_backends": "chunks:file",
            "image_cache_dir": folder / "cache",
            "image_cache_driver": "sqlite",
            "image_location_quota": 1,
            **locations,
        },
        "glance_store": {"default_backend": "chunks"},
        "chunks": {"filesystem_store_datadir": folder / "store"},
        "paste_deploy": {"flavor": "cachemanagement"},
    }
    glance = Glance(folder / "glance", postgres=postgres, config=config)
    region = Region(folder / "region", {**locations, "policy_file": str(rules)})
    with glance, region:
        yield (
            _Guarded(glance.url, folder / "glance" / "policy.json"),
            _Guarded(region.url, rules),
        )


@pytest.mark.parametrize("rule", _OPEN)
def test_a_rule_decides_what_it_decides_in_glance(
    rule: str, services: tuple[_Guarded, _Guarded]
) -> None:
    with ThreadPoolExecutor(len(services)) as pool:
        glance, region = pool.map(lambda one: one.hold(rule), services)
    pairs = (services[0].url, glance), (services[1].url, region)
    found = _HERE.sift(_ALLOWED.sift(compare(_conversation(rule), *pairs)))
    assert [str(one) for one in found] == []
    refused = f"complete {rule} action".encode()
    decides = any(refused in one.body or one.status == 404 for one in region[len(_before()) :])
    assert decides or rule in _UNUSED | _HIDES
