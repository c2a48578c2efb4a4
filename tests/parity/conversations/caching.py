"""The cache API of a service whose cache is off, as by default."""

from collections.abc import Iterator

from tests.parity.asking import Conversation, Request, active, delete, each, get, post, put, talk


def conversations() -> Iterator[Conversation]:
    """Give them."""
    for user in ("admin", "alice", "amy", "nova", "nobody"):
        yield talk(f"cache/{user}", _asked(), world="keystone", user=user)
    yield talk("cache/open", _asked())
    yield from each(
        "cache/image",
        {
            "queue": [*active(), put("/v2/cache/<image>"), get("/v2/cache/nodes/<image>")],
            "delete": [*active(), delete("/v2/cache/<image>")],
        },
    )


def _asked() -> list[Request]:
    return [
        get("/v2/cache"),
        delete("/v2/cache"),
        delete("/v2/cache", headers={"X-Image-Cache-Clear-Target": "cache"}),
        delete("/v2/cache", headers={"X-Image-Cache-Clear-Target": "rubbish"}),
        put("/v2/cache/x"),
        delete("/v2/cache/x"),
        get("/v2/cache/nodes/x"),
        post("/v2/cache/clean"),
        post("/v2/cache/prune"),
        get("/v2/cached_images"),
        get("/v2/queued_images"),
    ]
