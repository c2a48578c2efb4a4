"""Deleting images."""

from collections.abc import Iterator

from tests.parity.asking import (
    Conversation,
    active,
    change,
    create,
    delete,
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

_DELETE = delete("/v2/images/<image>")


def conversations() -> Iterator[Conversation]:
    """Give them."""
    yield from everywhere(
        [
            talk("delete/queued", create(), _DELETE, _DELETE, show()),
            talk("delete/active", active(), _DELETE, _DELETE, get("/v2/images/<image>/file")),
            talk(
                "delete/protected",
                create({"protected": True}),
                _DELETE,
                show(),
                patch(change("replace", "/protected", False)),
                _DELETE,
            ),
            talk(
                "delete/afterwards",
                active(),
                _DELETE,
                patch(change("add", "/a", "b")),
                upload(b"x"),
                put("/v2/images/<image>/tags/t"),
                delete("/v2/images/<image>/tags/t"),
                get("/v2/images/<image>/members"),
                post("/v2/images/<image>/members", {"member": "m"}),
                post("/v2/images/<image>/actions/deactivate"),
                get("/v2/images?status=deleted"),
            ),
            talk(
                "delete/deactivated",
                active(),
                post("/v2/images/<image>/actions/deactivate", user="admin"),
                _DELETE,
            ),
        ],
        "alice",
    )
    yield from each(
        "delete/as",
        {
            f"{user}-{visibility}": [
                create(
                    {"visibility": visibility}, user="admin" if visibility == "public" else "alice"
                ),
                delete("/v2/images/<image>", user=user),
                show(user="alice"),
            ]
            for user in ("admin", "amy", "bob", "ben", "nova", "norole", "nobody", "forged")
            for visibility in ("private", "shared", "community", "public")
        },
        world="keystone",
    )
    yield from each(
        "delete/from-store",
        {
            store: [
                *active(),
                delete(f"/v2/stores/{store}/<image>"),
                delete("/v2/stores/chunks/no"),
                show(),
            ]
            for store in ("chunks", "none", "os_glance_staging_store")
        },
    )
