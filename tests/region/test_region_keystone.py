"""Tokens of a real Keystone, judged by a region."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from keystoneauth1.identity import v3
from keystoneauth1.session import Session
from multidict import CIMultiDict

from lab.keystone import Keystone as Server
from meltemi.errors import IdentityError, UnauthorizedError
from meltemi.region.context import Context
from meltemi.region.identity import keystone as module
from meltemi.region.identity.asking import Asking
from meltemi.region.identity.keystone import Keystone
from meltemi.region.identity.opening import open_identity
from meltemi.region.policy import Policy
from meltemi.region.settings import load_settings

pytestmark = pytest.mark.services

CHALLENGE = 'Keystone uri="http://where.example:5000"'
POLICY = Policy()

Make = Callable[..., "Judge"]


class Counting(Asking):
    """Counts what is asked of Keystone."""

    asked = 0

    async def get(self, url: str, headers: Mapping[str, str]) -> tuple[int, Any]:
        self.asked += 1
        return await super().get(url, headers)


class Judge(Keystone):
    """Judges a token in few words; what it asks is counted."""

    def __init__(self, asking: Counting, **options: Any) -> None:
        super().__init__(asking, **options)
        self.asking = asking
        self.account = asking.account

    @property
    def asked(self) -> int:
        return self.asking.asked

    async def context(self, token: str, service: str | None = None) -> Context:
        headers = CIMultiDict({"x-auth-token": token, "X-Openstack-Request-ID": "req-1"})
        if service is not None:
            headers["X-Service-Token"] = service
        return await self.authenticate(headers)

    async def refuses(self, token: str, service: str | None = None) -> bool:
        with pytest.raises(UnauthorizedError) as caught:
            await self.context(token, service)
        assert caught.value.challenge == CHALLENGE
        assert str(caught.value) == "The request you have made requires authentication."
        return True

    async def cannot_tell(self, token: str) -> str:
        with pytest.raises(IdentityError) as caught:
            await self.context(token)
        assert (caught.value.http_status, caught.value.retry_after > 0) == (503, True)
        return str(caught.value)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("keystone")) as keystone:
        keystone.user("nausicaa", keystone.password, "scheria", ["member", "reader"])
        yield keystone


@pytest.fixture(autouse=True)
def mended(server: Server) -> None:
    """Bring back what the test before stopped."""
    server.resume()
    server.start()


@pytest.fixture
async def make(server: Server) -> AsyncIterator[Make]:
    async with AsyncExitStack() as stack:

        def made(username: str = "", password: str = "", **options: Any) -> Judge:
            auth = v3.Password(
                auth_url=server.url,
                username=username or server.service_user,
                password=password or server.password,
                user_domain_id="default",
                project_name="service",
                project_domain_id="default",
            )
            chosen = {"uri": "http://where.example:5000", "is_admin": POLICY.is_admin, **options}
            identity = Judge(Counting(Session(auth), patience=60), **chosen)
            stack.push_async_callback(identity.close)
            return identity

        yield made


def user(server: Server, name: str = "nausicaa", **scope: Any) -> Session:
    auth = v3.Password(
        auth_url=server.url,
        username=name,
        password=server.password,
        user_domain_id="default",
        **scope,
    )
    return Session(auth)


def token(server: Server) -> str:
    """Give a new token of a member of a project."""
    return server.token("nausicaa", server.password, "scheria")


def service_token(server: Server) -> str:
    return server.token(server.service_user, server.password, "service")


def revoke(server: Server, token: str) -> None:
    headers = {"X-Subject-Token": token, "X-Auth-Token": token}
    Session().delete(f"{server.url}/auth/tokens", headers=headers)


async def test_a_token_says_who_asks(server: Server, make: Make) -> None:
    known = token(server)
    context = await make().context(f" {known} ")
    assert context.project == server.project("scheria")
    assert context.user == server.ensure("user", "nausicaa", {})
    assert context.roles == {"member", "reader"}
    assert (context.user_domain, context.project_domain) == ("default", "default")
    assert (context.domain, context.system_scope) == (None, None)
    assert (context.is_admin, context.is_service) == (False, False)
    assert (context.token, context.request_id) == (known, "req-1")
    assert known not in repr(context)


async def test_the_policy_says_who_is_an_administrator(server: Server, make: Make) -> None:
    admin = server.token(server.admin, server.password, "admin")
    assert (await make().context(admin)).is_admin
    assert not (await make(is_admin=lambda _: False).context(admin)).is_admin


@pytest.mark.parametrize("wrong", ["", " ", "nonsense", "gAAAAABk", "tök", "a b", "a\r\nX: y"])
async def test_what_is_no_token_is_refused(make: Make, wrong: str) -> None:
    assert await make().refuses(wrong)


async def test_a_token_that_is_revoked_is_refused_once_it_is_asked_again(
    server: Server, make: Make
) -> None:
    known = token(server)
    remembering, asking = make(), make(remember=0)
    await remembering.context(known)
    await asking.context(known)
    revoke(server, known)
    assert await asking.refuses(known)
    assert (await remembering.context(known)).user
    assert remembering.asked == 1


async def test_a_token_that_has_ended_is_good_only_with_a_services(
    server: Server, make: Make
) -> None:
    settings = server.folder / "keystone.conf"
    text = settings.read_text()
    assert "expiration = 3600" in text

    def restart(expiration: int) -> None:
        server.stop()
        settings.write_text(text.replace("expiration = 3600", f"expiration = {expiration}"))
        server.start()

    restart(1)
    try:
        short = token(server)
    finally:
        restart(3600)
    identity = make()
    service = service_token(server)
    while True:
        try:
            await identity.context(short)
        except UnauthorizedError:
            break
    context = await identity.context(short, service)
    assert (context.user, context.is_service) == (server.ensure("user", "nausicaa", {}), True)
    assert await identity.refuses(short)


async def test_a_service_vouches_with_its_own_token(server: Server, make: Make) -> None:
    context = await make().context(token(server), service_token(server))
    assert context.is_service
    assert context.service_roles == {"admin", "service"} | context.service_roles
    assert context.service_project == server.project("service")
    assert context.roles == {"member", "reader"}
    assert not context.is_admin


async def test_a_service_token_that_is_none_spoils_the_request(server: Server, make: Make) -> None:
    identity = make()
    assert await identity.refuses(token(server), "nonsense")
    assert await identity.refuses(token(server), token(server))
    assert await identity.refuses("", service_token(server))
    assert not (await identity.context(token(server), "")).is_service


def application_credential(server: Server, **facts: Any) -> str:
    """Make one for the member, and give a token of it."""
    session = user(server, project_name="scheria", project_domain_id="default")
    made = session.post(
        f"{server.url}/users/{session.get_user_id()}/application_credentials",
        json={"application_credential": {"name": str(sorted(facts)), **facts}},
    ).json()["application_credential"]
    auth = v3.ApplicationCredential(
        server.url,
        application_credential_id=made["id"],
        application_credential_secret=made["secret"],
    )
    found = Session(auth).get_token()
    assert found
    return found


async def test_an_application_credential_is_its_users(server: Server, make: Make) -> None:
    context = await make().context(application_credential(server))
    assert context.user == server.ensure("user", "nausicaa", {})
    assert context.roles == {"member", "reader"}


async def test_an_application_credential_with_access_rules_is_refused(
    server: Server, make: Make
) -> None:
    rules = [{"path": "/v2/images", "method": "GET", "service": "image"}]
    assert await make().refuses(application_credential(server, access_rules=rules))


async def test_tokens_that_are_of_no_project(server: Server, make: Make) -> None:
    admin = server.ensure("user", server.admin, {})
    role = server.ensure("role", "admin", {})
    server.call("PUT", f"/domains/default/users/{admin}/roles/{role}")
    identity = make()

    async def scoped(**scope: Any) -> Context:
        found = user(server, server.admin, **scope).get_token()
        assert found
        return await identity.context(found)

    system = await scoped(system_scope="all")
    assert (system.project, system.system_scope, system.is_admin) == (None, "all", True)
    domain = await scoped(domain_id="default")
    assert (domain.project, domain.domain, domain.is_admin) == (None, "default", True)
    nothing = await scoped(unscoped=True)
    assert (nothing.project, nothing.roles, nothing.is_admin) == (None, frozenset(), False)
    for context in (system, domain, nothing):
        assert not POLICY.allows(context, "get_images", {"project_id": context.project})


async def test_many_who_ask_about_one_token_ask_once(server: Server, make: Make) -> None:
    known = token(server)
    identity = make()
    contexts = await asyncio.gather(*(identity.context(known) for _ in range(20)))
    assert len({context.user for context in contexts}) == 1
    await identity.context(known)
    assert identity.asked == 1


async def test_only_so_many_are_remembered(
    server: Server, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "REMEMBERED", 2)
    first, second, third = token(server), token(server), token(server)
    identity = make()
    for one in (first, second, first, third, first):
        await identity.context(one)
    assert identity.asked == 3
    await identity.context(second)
    assert identity.asked == 4


async def test_while_keystone_hangs_what_is_known_goes_on(server: Server, make: Make) -> None:
    known, unknown = token(server), token(server)
    identity = make()
    await identity.context(known)
    server.pause()
    identity.asking.patience = 0.2
    assert "no answer in time" in await identity.cannot_tell(unknown)
    assert (await identity.context(known)).user
    server.resume()
    identity.asking.patience = 60
    assert (await identity.context(unknown)).user


async def test_while_keystone_is_dead_what_is_known_goes_on(server: Server, make: Make) -> None:
    known, unknown = token(server), token(server)
    identity, newcomer = make(), make()
    await identity.context(known)
    server.kill()
    assert "cannot ask" in await identity.cannot_tell(unknown)
    assert "no token for this service" in await newcomer.cannot_tell(known)
    assert (await identity.context(known)).user
    server.start()
    assert (await identity.context(unknown)).user
    assert (await newcomer.context(known)).user


async def test_its_own_token_is_renewed_when_keystone_refuses_it(
    server: Server, make: Make
) -> None:
    identity = make(remember=0)
    known = token(server)
    await identity.context(known)
    before = (await identity.account.access()).token
    revoke(server, before)
    server.kill()  # until then, it remembers having accepted the token
    server.start()
    assert all(await asyncio.gather(*(identity.context(known) for _ in range(5))))
    assert (await identity.account.access()).token != before


async def test_its_own_token_is_renewed_before_it_ends(make: Make) -> None:
    identity = make()
    access = await identity.account.access()
    assert await identity.account.access() is access
    identity.account._access = replace(access, fresh_until=0.0)
    assert (await identity.account.access()).token != access.token


async def test_the_role_service_is_all_that_it_needs(server: Server, make: Make) -> None:
    server.user("meltemi", server.password, "service", ["service"])
    assert (await make("meltemi").context(token(server))).user


async def test_a_region_that_is_not_let_in_cannot_tell(server: Server, make: Make) -> None:
    told = await make(password="wrong").cannot_tell(token(server))
    assert "does not let this service in" in told
    assert "wrong" not in told


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, None),  # of a proxy, for example
        (404, {"message": "no such page"}),
        (200, None),
        (200, {"token": {"user": {"id": "u"}}}),
        (200, {"token": []}),
        (403, {"error": {"code": 403}}),
        (401, {"error": {"code": 401}}),
        (500, None),
    ],
)
async def test_an_answer_that_is_none_refuses_nobody(
    server: Server, make: Make, monkeypatch: pytest.MonkeyPatch, status: int, body: object
) -> None:
    async def answer(*_: Any, **__: Any) -> tuple[int, Any]:
        return status, body

    identity = make()
    monkeypatch.setattr(identity.asking, "get", answer)
    assert f"answers {status}" in await identity.cannot_tell(token(server))


async def test_the_settings_lead_to_keystone(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "meltemi-region.yaml"
    file.write_text(
        f"""\
version: 1
keystone:
  auth:
    auth_url: {server.url.removesuffix("/v3")}
    username: {server.service_user}
    password: {server.password}
    user_domain_id: default
    project_name: service
    project_domain_id: default
"""
    )
    identity = open_identity(load_settings(file, {}), POLICY)
    try:
        assert (await identity.authenticate({"X-Auth-Token": token(server)})).roles
        with pytest.raises(UnauthorizedError) as caught:
            await identity.authenticate({})
        assert caught.value.challenge == f'Keystone uri="{server.url.removesuffix("/v3")}"'
    finally:
        await identity.close()
