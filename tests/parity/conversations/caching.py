"""The cache API: where the cache is off, as Glance's is by default, and where there is one."""

from collections.abc import Iterator

from tests.parity.asking import (
    DATA_IN_PART,
    FULL,
    KEYSTONE,
    RAW,
    Conversation,
    Request,
    active,
    create,
    delete,
    each,
    get,
    post,
    put,
    talk,
    upload,
)

_STATE = get("/v2/cache")
_FIRST = "/cached_images/0/hits"


def conversations() -> Iterator[Conversation]:
    """Give them."""
    for world in (KEYSTONE, FULL):
        for user in ("admin", "alice", "amy", "nova", "nobody"):
            yield talk(f"cache/{user}", _asked(), world=world, user=user)
    yield talk("cache/open", _asked())
    one = {
        "queue": [*active(), put("/v2/cache/<image>"), get("/v2/cache/nodes/<image>")],
        "delete": [*active(), delete("/v2/cache/<image>")],
    }
    yield from each("cache/image", one)
    yield from _used()
    for user in ("admin", "alice", "amy", "bob", "nova", "norole", "nobody"):
        for visibility in ("private", "shared", "community"):
            yield talk(
                f"cache/as/{user}-{visibility}",
                create(RAW | {"visibility": visibility}, user="alice"),
                upload(b"data", user="alice"),
                put("/v2/queued_images/<image>", user=user),
                delete("/v2/cache/<image>", user=user),
                delete("/v2/queued_images/<image>", user=user),
                delete("/v2/cached_images/<image>", user=user),
                world=FULL,
            )


def _asked() -> list[Request]:
    return [
        get("/v2/cache"),
        delete("/v2/cache"),
        delete("/v2/cache", headers={"X-Image-Cache-Clear-Target": "cache"}),
        delete("/v2/cache", headers={"X-Image-Cache-Clear-Target": "QUEUE"}),
        delete("/v2/cache", headers={"X-Image-Cache-Clear-Target": "rubbish"}),
        put("/v2/cache/x"),
        delete("/v2/cache/x"),
        get("/v2/cache/nodes/x"),
        post("/v2/cache/clean"),
        post("/v2/cache/prune"),
        put("/v2/cache"),
        get("/v2/cache/x"),
        get("/v2/cache/clean"),
        get("/v2/cached_images"),
        delete("/v2/cached_images"),
        delete("/v2/cached_images/x"),
        get("/v2/queued_images"),
        delete("/v2/queued_images"),
        delete("/v2/queued_images/x"),
        get("/v2.18/images/x"),
        get("/versions"),
    ]


def _used() -> Iterator[Conversation]:
    """Use a cache; whoever else made a copy has taken it away."""
    # Each asks for one copy and waits for it: what Glance has not copied when the image goes stays
    # in its queue, and may end the thread that makes copies.
    made = [*active(), put("/v2/cache/<image>"), get("/v2/cache", until=(_FIRST, 0))]
    read = get("/v2/images/<image>/file")
    yield talk(
        "cache/use/read",
        made,
        read,
        get("/v2/cache", until=(_FIRST, 1)),
        read,
        get("/v2/cache", until=(_FIRST, 2)),
        get("/v2/cached_images"),
        get("/v2/queued_images"),
        world=FULL,
    )
    yield from each(
        "cache/use",
        {
            "discard": [
                delete("/v2/cache/<image>"),
                _STATE,
                delete("/v2/cache/<image>"),
                DATA_IN_PART,
            ],
            "discard-by-the-old": [delete("/v2/cached_images/<image>"), _STATE],
            "clear": [delete("/v2/cache"), _STATE],
            "clear-cache": [
                delete("/v2/cache", headers={"X-Image-Cache-Clear-Target": "cache"}),
                _STATE,
            ],
            "clear-queue": [
                delete("/v2/cache", headers={"X-Image-Cache-Clear-Target": "queue"}),
                _STATE,
            ],
            "clear-by-the-old": [
                delete("/v2/queued_images"),
                delete("/v2/cached_images"),
                delete("/v2/cached_images"),
                _STATE,
            ],
            "nodes": [get("/v2/cache/nodes/<image>")],
            "clean": [post("/v2/cache/clean"), _STATE],
            "prune": [post("/v2/cache/prune"), _STATE],
            "delete": [delete("/v2/images/<image>"), _STATE],
            "deactivate": [
                post("/v2/images/<image>/actions/deactivate"),
                _STATE,
                put("/v2/cache/<image>"),
                delete("/v2/cache/<image>"),
            ],
        },
        before=made,
        world=FULL,
    )
    yield talk("cache/queued", create(RAW), put("/v2/cache/<image>"), _STATE, world=FULL)
