"""Usage without limits, and the limits that are there by default."""

from collections.abc import Iterator

from tests.parity.asking import Conversation, active, change, create, get, patch, talk


def conversations() -> Iterator[Conversation]:
    """Give them."""
    for user in ("admin", "alice", "amy", "norole", "nobody"):
        yield talk(f"usage/{user}", get("/v2/info/usage"), world="keystone", user=user)
    yield talk("usage/open", get("/v2/info/usage"), active(), get("/v2/info/usage"))
    full = {f"p{n}": "v" for n in range(128)}
    yield talk(
        "quota/properties",
        create(full),
        patch(change("add", "/more", "x")),
        patch(change("replace", "/p1", "x")),
        patch(change("remove", "/p1"), change("add", "/more", "x")),
        patch(change("add", "/more2", "x"), change("remove", "/p2")),
    )
