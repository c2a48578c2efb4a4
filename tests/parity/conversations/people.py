"""Who may do what: every request as each user."""

from collections.abc import Iterator

from tests.parity.asking import Conversation, get, post, put, talk
from tests.parity.worlds import ACCOUNTS

_PATHS = (
    *("/", "/versions", "/v2", "/v2/images", "/v2/images/x", "/v2/schemas/image", "/v2/tasks"),
    *("/v2/tasks/x", "/v2/info/import", "/v2/info/stores", "/v2/info/stores/detail"),
    *("/v2/info/usage", "/v2/cache", "/v2/metadefs/namespaces?limit=1", "/v2/nowhere", "/v1/x"),
    *("/v2/metadefs/resource_types", "/v2/metadefs/namespaces/OS::Compute::Hypervisor"),
    *("/healthcheck", "/v2/images?visibility=rubbish", "/v2/images?limit=x"),
)


def conversations() -> Iterator[Conversation]:
    """Give them."""
    for user in (*ACCOUNTS, "nobody", "forged"):
        asked = [get(path) for path in _PATHS]
        sent = [
            put("/v2/images"),
            post("/v2/images", []),
            post("/v2/tasks", {"type": "import", "input": {}}),
            post("/v2/metadefs/namespaces", {"namespace": f"as-{user}"}),
            post("/v2/metadefs/namespaces", {"namespace": f"as-{user}", "visibility": "public"}),
            post("/v2/nowhere"),
        ]
        yield talk(f"people/{user}", asked, sent, world="keystone", user=user)
    empty = {"X-Auth-Token": ""}
    service = {"X-Service-Token": "rubbish"}
    yield talk("people/empty-token", get("/v2/images", headers=empty), world="keystone")
    yield talk(
        "people/bad-service", get("/v2/images", headers=service), world="keystone", user="alice"
    )
    claimed = {"X-Roles": "admin", "X-Identity-Status": "Confirmed", "X-Project-Id": "x"}
    yield talk(
        "people/claimed", get("/v2/images", headers=claimed), world="keystone", user="nobody"
    )
    yield talk("people/open", get("/v2/images", headers=claimed))
