"""Who asks: what follows from it."""

import pytest
from multidict import CIMultiDict

from meltemi.model.listing import Viewer
from meltemi.region.context import Context, request_id
from meltemi.region.identity.nobody import Nobody


def test_a_viewer_follows() -> None:
    assert Context(project="p").viewer == Viewer("p")
    assert Context(project="p", is_admin=True).viewer == Viewer("p", is_admin=True)


def test_a_request_brings_its_id_along() -> None:
    assert request_id(CIMultiDict({"x-openstack-request-id": "req-5"})) == "req-5"


@pytest.mark.parametrize("brought", ["", "x" * 65, "a b", "a\x1b[2J", "ä"])
def test_an_id_that_could_do_harm_is_not_taken(brought: str) -> None:
    headers = {"X-OpenStack-Request-ID": brought}
    first, second = request_id(headers), request_id(headers)
    assert first.startswith("req-")
    assert first != second


async def test_without_authentication_everybody_is_an_administrator() -> None:
    nobody = Nobody()
    context = await nobody.authenticate({"X-Auth-Token": "any"})
    assert (context.user, context.project, context.is_admin) == (None, None, True)
    assert context.request_id != (await nobody.authenticate({})).request_id
    await nobody.close()
