"""Tokens of a real Keystone, judged by a region."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from keystoneauth1.identity.v3 import Password
from keystoneauth1.session import Session
from multidict import CIMultiDict

from lab.keystone import Keystone as Server
from meltemi.region.identity.keystone import Keystone
from meltemi.region.policy import Policy

pytestmark = pytest.mark.services

Make = Callable[..., Keystone]
_POLICY = Policy()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("keystone")) as keystone:
        keystone.user("nausicaa", "secret", "scheria", ["member", "reader"])
        yield keystone


@pytest.fixture
async def make(server: Server) -> AsyncIterator[Make]:
    async with AsyncExitStack() as stack:

        def made(**options: Any) -> Keystone:
            auth = Password(
                auth_url=server.url,
                username=server.service_user,
                password=server.password,
                user_domain_id="default",
                project_name="service",
                project_domain_id="default",
            )
            identity = Keystone(
                Session(auth, timeout=options.get("patience", 10.0)),
                uri="http://where.example:5000",
                is_admin=_POLICY.is_admin,
                **options,
            )
            stack.push_async_callback(identity.close)
            return identity

        yield made


async def test_a_token_says_who_asks(server: Server, make: Make) -> None:
    token = server.token("nausicaa", "secret", "scheria")
    headers = CIMultiDict({"x-auth-token": f" {token} ", "X-Openstack-Request-ID": "req-1"})
    context = await make().authenticate(headers)
    assert context.project == server.project("scheria")
    assert context.roles == {"member", "reader"}
    assert (context.user_domain, context.project_domain) == ("default", "default")
    assert (context.is_admin, context.is_service) == (False, False)
    assert (context.token, context.request_id) == (token, "req-1")
    assert token not in repr(context)
