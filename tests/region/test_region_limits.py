"""What a real Keystone says of the limits of projects, and when nothing can be said of them."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from typing import Any

import pytest
from keystoneauth1.identity import v3
from keystoneauth1.session import Session

from lab import limits as unified
from lab.keystone import Keystone as Server
from meltemi.errors import IdentityError
from meltemi.region.identity.asking import Asking
from meltemi.region.identity.limits import UnifiedLimits

pytestmark = pytest.mark.services

REGION = "RegionOne"
REGISTERED = {
    "image_count_total": 5,
    "image_count_uploading": -1,
    "image_size_total": 100,
    "image_stage_total": 0,
}


class Counting(Asking):
    """Counts what is asked of Keystone."""

    asked = 0

    async def get(self, url: str, headers: Mapping[str, str]) -> tuple[int, Any]:
        self.asked += 1
        return await super().get(url, headers)


class Limits(UnifiedLimits):
    """Those of Keystone; what is asked is counted."""

    def __init__(self, asking: Counting, region: str, **options: Any) -> None:
        super().__init__(asking, region, **options)
        self.asking = asking

    async def cannot_tell(self, project: str | None) -> str:
        with pytest.raises(IdentityError) as caught:
            await self.of(project)
        assert caught.value.http_status == 503
        with pytest.raises(IdentityError):
            await self.check()
        return str(caught.value)


Make = Callable[..., Limits]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    config = {"unified_limit": {"enforcement_model": "flat"}}
    with Server(tmp_path_factory.mktemp("keystone"), config=config) as keystone:
        for region in (REGION, "Other"):
            keystone.region(region)
        unified.register(keystone, REGION, REGISTERED)
        unified.register(keystone, "Other", {"image_count_total": 1})
        yield keystone


@pytest.fixture(autouse=True)
def mended(server: Server) -> None:
    """Bring back what the test before stopped."""
    server.start()


@pytest.fixture
async def make(server: Server) -> AsyncIterator[Make]:
    async with AsyncExitStack() as stack:

        def made(region: str = REGION, remember: float = 0, **auth: Any) -> Limits:
            plugin = v3.Password(**(auth or unified.account(server)))
            limits = Limits(Counting(Session(plugin), patience=60), region, remember=remember)
            stack.push_async_callback(limits.close)
            return limits

        yield made


@contextmanager
def another_model(server: Server) -> Iterator[None]:
    """Run Keystone with limits that go down a tree of projects."""
    settings = server.folder / "keystone.conf"
    text = settings.read_text()
    assert "enforcement_model = flat" in text

    def restart(model: str) -> None:
        server.stop()
        settings.write_text(text.replace("_model = flat", f"_model = {model}"))
        server.start()

    restart("strict_two_level")
    try:
        yield
    finally:
        restart("flat")


async def test_a_project_has_its_own_limits_or_the_registered_ones(
    server: Server, make: Make
) -> None:
    rich, poor = server.project("rich"), server.project("poor")
    unified.grant(server, REGION, rich, {"image_count_total": 50, "image_stage_total": -1})
    unified.grant(server, "Other", poor, {"image_count_total": 7})
    limits = make()
    own = {"image_count_total": 50, "image_stage_total": -1}
    assert await limits.of(rich) == {**REGISTERED, **own}
    for project in (poor, server.project("unheard-of"), "no-such-project", None):
        assert await limits.of(project) == REGISTERED
    assert (await make("Other").of(poor))["image_count_total"] == 7
    assert (await make("Other").of(rich))["image_count_total"] == 1
    assert await make("Nowhere & else?").of(rich) == {}


async def test_what_was_said_holds_for_a_while(server: Server, make: Make) -> None:
    project = server.project("changing")
    remembering, asking = make(remember=3600), make()
    for limits in (remembering, asking):
        assert (await limits.of(project))["image_count_total"] == 5
    unified.grant(server, REGION, project, {"image_count_total": 6})
    assert (await remembering.of(project))["image_count_total"] == 5
    assert (await asking.of(project))["image_count_total"] == 6
    # The model, the service, what is registered, the project's own; then, of another, only these.
    assert remembering.asking.asked == 4
    await remembering.of(server.project("another"))
    assert remembering.asking.asked == 5


async def test_many_who_ask_at_once_ask_once(server: Server, make: Make) -> None:
    project = server.project("popular")
    limits = make(remember=3600)
    await asyncio.gather(*(limits.of(project) for _ in range(20)))
    assert limits.asking.asked == 4


async def test_while_keystone_is_away_only_what_is_remembered_is_known(
    server: Server, make: Make
) -> None:
    known, unknown = server.project("known"), server.project("unknown")
    remembering, asking = make(remember=3600), make()
    for limits in (remembering, asking):
        await limits.of(known)
    server.kill()
    assert await remembering.of(known) == REGISTERED
    for limits, project in ((remembering, unknown), (asking, known)):
        with pytest.raises(IdentityError, match="cannot ask"):
            await limits.of(project)
    server.start()
    assert await remembering.of(unknown) == await asking.of(known) == REGISTERED


async def test_an_account_that_is_not_of_the_system_is_not_told(server: Server, make: Make) -> None:
    """Keystone would answer, and leave out what other projects have."""
    server.user("plain", server.password, "service", ["service"])
    auth = {**unified.account(server), "username": "plain"}
    del auth["system_scope"]
    limits = make(**auth, project_name="service", project_domain_id="default")
    assert "needs system_scope: all" in await limits.cannot_tell(None)
    assert not limits.asking.asked


async def test_limits_of_a_tree_of_projects_are_not_held_to(server: Server, make: Make) -> None:
    limits = make()
    with another_model(server):
        told = await limits.cannot_tell(server.project("child"))
        assert "of the model strict_two_level; a region can hold to flat alone" in told
    assert await limits.of(server.project("child")) == REGISTERED


async def test_whose_limits_they_are_must_be_sure(server: Server, make: Make) -> None:
    limits = make()
    second = server.ensure("service", "second", {"type": "image"})
    try:
        assert "Keystone has 2 of type image" in await limits.cannot_tell(None)
    finally:
        server.call("DELETE", f"/services/{second}")
    assert await limits.of(None) == REGISTERED


@pytest.mark.parametrize(
    ("part", "status", "body"),
    [
        ("/limits/model", 200, {"model": "flat"}),
        ("/limits/model", 200, None),
        ("/limits/model", 403, {"error": {"code": 403}}),
        ("/services", 403, {"error": {"code": 403}}),
        ("/services", 200, {"services": None}),
        ("/services", 200, {"services": [{}]}),
        ("/services", 200, {"services": ["x"]}),
        ("/registered_limits", 500, None),
        ("/registered_limits", 200, []),
        ("/registered_limits", 200, {"registered_limits": [{"resource_name": "x"}]}),
        ("/limits?", 404, None),
        ("/limits?", 200, {"limits": [{"project_id": "p", "resource_name": "x"}]}),
        ("/limits?", 200, {"limits": ["x"]}),
    ],
)
async def test_an_answer_that_is_none_lets_nobody_in(
    make: Make, monkeypatch: pytest.MonkeyPatch, part: str, status: int, body: object
) -> None:
    limits = make()
    really = limits.asking.get

    async def answer(url: str, headers: Mapping[str, str]) -> tuple[int, Any]:
        return (status, body) if part in url else await really(url, headers)

    monkeypatch.setattr(limits.asking, "get", answer)
    with pytest.raises(IdentityError, match="Keystone answers"):
        await limits.of("p")


async def test_limits_of_others_are_never_taken_for_ones_own(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever stands between may have forgotten the question."""
    limits = make()
    really = limits.asking.get
    strange = {"limits": [{"project_id": "q", "resource_name": "x", "resource_limit": 9}]}

    async def answer(url: str, headers: Mapping[str, str]) -> tuple[int, Any]:
        return (200, strange) if "/limits?" in url else await really(url, headers)

    monkeypatch.setattr(limits.asking, "get", answer)
    assert await limits.of("p") == REGISTERED
