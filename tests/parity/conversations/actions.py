"""Deactivating, reactivating, hiding, protecting."""

from collections.abc import Iterator

from tests.parity.asking import (
    Conversation,
    active,
    change,
    create,
    each,
    everywhere,
    get,
    patch,
    post,
    put,
    show,
    talk,
    upload,
)

_OFF = "/v2/images/<image>/actions/deactivate"
_ON = "/v2/images/<image>/actions/reactivate"


def conversations() -> Iterator[Conversation]:
    """Give them."""
    yield talk("actions/queued", create(), post(_OFF), post(_ON), show())
    yield talk("actions/active", active(), post(_ON), show())
    yield talk("actions/round", active(), post(_OFF), show(), post(_OFF), post(_ON), show())
    yield talk("actions/body", active(), post(_OFF, {}), post(_OFF, {"a": 1}), post(_ON, []))
    yield talk("actions/missing", post(_OFF.replace("<image>", "x")))
    yield talk("actions/other", active(), post("/v2/images/<image>/actions/clone-it"))
    yield talk(
        "actions/while-off",
        active(),
        post(_OFF),
        patch(change("replace", "/name", "n")),
        patch(change("replace", "/disk_format", "iso")),
        put("/v2/images/<image>/tags/t"),
        upload(b"x"),
        post("/v2/images/<image>/members", {"member": "m"}),
        get("/v2/images?status=deactivated"),
        show(),
    )
    yield from everywhere(
        [
            talk(
                "actions/hide",
                create(),
                patch(change("replace", "/os_hidden", True)),
                get("/v2/images"),
                get("/v2/images?os_hidden=true"),
                show(),
                patch(change("replace", "/os_hidden", False)),
                get("/v2/images"),
            )
        ],
        "alice",
    )
    yield from each(
        "actions/as",
        {
            f"{user}-{visibility}": [
                *(
                    create(
                        {
                            "disk_format": "raw",
                            "container_format": "bare",
                            "visibility": visibility,
                        },
                        user="alice",
                    ),
                    upload(b"data", user="alice"),
                ),
                post(_OFF, user=user),
                get("/v2/images/<image>/file", user=user),
                get("/v2/images/<image>/file", user="alice"),
                post(_ON, user=user),
                show(user="alice"),
            ]
            for user in ("admin", "alice", "amy", "bob", "nova", "norole", "nobody")
            for visibility in ("private", "shared", "community")
        },
        world="keystone",
    )
