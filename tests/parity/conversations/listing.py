"""Listing images: filters, order, pages."""

from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote

from tests.parity.asking import (
    RAW,
    Conversation,
    Request,
    change,
    create,
    each,
    get,
    identifier,
    patch,
    post,
    put,
    talk,
    upload,
)


def _library() -> list[Request]:
    """Five images that differ in everything, with ids of their own choice."""
    a = RAW | {"name": "alpha", "min_disk": 1, "tags": ["x", "y"], "os_distro": "debian"}
    b = {"name": "beta", "disk_format": "qcow2", "container_format": "ovf", "min_ram": 64}
    c = RAW | {"name": "alpha", "visibility": "public", "os_distro": "fedora", "tags": ["x"]}
    d = {"name": "delta, the one", "visibility": "community", "protected": True, "owner": "dora"}
    e = {"name": None, "visibility": "private", "os_hidden": True, "tags": ["x"], "hw_x": "in:a,b"}
    images: dict[str, dict[str, Any]] = {"a": a, "b": b, "c": c, "d": d, "e": e}
    made = [create(one | {"id": f"<id.{key}>"}, keep=key) for key, one in images.items()]
    return [*made, upload(b"12345", image="a"), upload(b"1234567890", image="c")]


FILTERS = (
    *("name=alpha", "name=beta", "name=none", "name=", "name=ALPHA", "name=alpha&name=beta"),
    *("name=in:alpha,beta", 'name=in:"delta, the one"', "name=in:", "name=in:alpha,", "name=in:,"),
    *('name=in:"delta, the one",beta', 'name=in:"open', "name=neq:alpha", "name=eq:alpha"),
    *("name=a%25", "name=alph_", "name=%C3%A9", "name=gt:a", "name=%FF", "name=%00"),
    *("id=<a>", "id=rubbish", "id=in:<a>,<b>", "id=in:rubbish", "id=neq:<a>"),
    *("status=active", "status=queued", "status=in:active,queued", "status=rubbish", "status="),
    *("status=deleted", "status=in:saving,rubbish", "status=neq:active", "status=ACTIVE"),
    *("visibility=public", "visibility=private", "visibility=community", "visibility=shared"),
    *("visibility=all", "visibility=rubbish", "visibility=", "visibility=in:public,private"),
    *("owner=dora", "owner=nobody", "owner=", "owner=neq:dora", "owner=in:dora"),
    *("disk_format=raw", "disk_format=in:raw,qcow2", "disk_format=rubbish", "disk_format="),
    *("container_format=bare", "container_format=in:bare,ovf", "container_format=in:x"),
    *("min_disk=1", "min_disk=0", "min_disk=x", "min_disk=gt:0", "min_disk=gte:1", "min_disk=-1"),
    *("min_ram=64", "min_ram=lt:64", "min_ram=x", "min_ram=in:64,0", "min_ram="),
    *("size_min=6", "size_max=6", "size_min=x", "size_max=x", "size_min=-1", "size=5", "size_min="),
    *("size=gt:5", "size_min=5&size_max=5", "size_max=99999999999999999999", "size_min=1.5"),
    *("protected=true", "protected=false", "protected=True", "protected=FALSE", "protected=1"),
    *("protected=rubbish", "protected=", "protected=0", "protected=yes"),
    *("os_hidden=true", "os_hidden=false", "os_hidden=True", "os_hidden=1", "os_hidden=rubbish"),
    *("os_hidden=", "os_hidden=in:true,false"),
    *("tag=x", "tag=y", "tag=x&tag=y", "tag=none", "tag=", "tag=X", "tag=x,y", "tag=%FF"),
    *("os_distro=debian", "os_distro=in:debian,fedora", "os_distro=", "os_distro=neq:debian"),
    *("hw_x=in:a,b", "hw_x=x", "property-os_distro=debian", "os_distro=debian&name=alpha"),
    *("checksum=827ccb0eea8a706c4c34a16891f84e7b", "checksum=x", "os_hash_value=x"),
    *("os_hash_algo=sha512", "virtual_size=5", "virtual_size=x"),
    *("changes-since=2020-01-01", "deleted=true", "deleted=false", "is_public=true", "rubbish=x"),
    *("=x", "&", "?", "name", "a=b&c=d", "first=x", "schema=x", "self=x", "file=x"),
    *("created_at=gt:2020-01-01T00:00:00Z", "created_at=lt:2020-01-01T00:00:00Z"),
    *("created_at=gte:2020-01-01", "created_at=2020-01-01T00:00:00Z", "created_at=rubbish"),
    *("created_at=gt:rubbish", "created_at=neq:2020-01-01T00:00:00Z", "created_at=gt:"),
    *("created_at=eq:2020-01-01T00:00:00Z", "created_at=rubbish:2020-01-01", "created_at="),
    *("created_at=lte:2020-01-01T00:00:00%2B02:00", "created_at=gt:2020-01-01%2000:00:00"),
    *("updated_at=gt:2020-01-01T00:00:00Z", "updated_at=lte:2020-01-01T00:00:00Z"),
    *("updated_at=rubbish", "updated_at=in:2020-01-01T00:00:00Z"),
    *("member_status=all", "member_status=accepted", "member_status=rubbish", "member_status="),
    *("member_status=pending&visibility=shared", "kernel_id=x", "instance_uuid=x", "locations=x"),
    *("stores=chunks", "direct_url=x", "tags=x", "image_id=x", "name=eq:", "name=neq:"),
)
SORTS = (
    *("sort_key=name", "sort_key=name&sort_dir=asc", "sort_key=name&sort_dir=desc"),
    *("sort_key=size&sort_dir=asc", "sort_key=size&sort_dir=desc", "sort_key=status&sort_dir=asc"),
    *("sort_key=id", "sort_key=id&sort_dir=asc", "sort_key=created_at&sort_dir=asc"),
    *("sort_key=updated_at", "sort_key=updated_at&sort_dir=asc", "sort_key=container_format"),
    *("sort_key=disk_format&sort_dir=asc", "sort_key=name&sort_key=size&sort_dir=asc"),
    *("sort_key=name&sort_key=id&sort_dir=asc&sort_dir=desc", "sort_dir=asc", "sort_dir=desc"),
    *("sort_key=name&sort_key=id&sort_key=size&sort_dir=asc&sort_dir=desc", "sort_dir=rubbish"),
    *(
        "sort_dir=asc&sort_dir=desc",
        "sort_key=rubbish",
        "sort_key=",
        "sort_dir=",
        "sort=",
        "sort=,",
    ),
    *("sort=name", "sort=name:asc", "sort=name:asc,id:desc", "sort=size:desc,name", "sort=name:x"),
    *("sort=rubbish", "sort=rubbish:asc", "sort=name:asc,", "sort=name:asc:desc", "sort=name,name"),
    *("sort=name&sort_key=name", "sort=name&sort_dir=asc", "sort=name&sort=id:asc", "sort=%20name"),
    *("sort_key=min_disk", "sort_key=owner", "sort_key=protected", "sort_key=NAME", "sort=:asc"),
    *("sort_key=name&sort_key=name", "sort_key=%20name%20", "sort_dir=ASC", "sort_key=checksum"),
)
LIMITS = (
    *("limit=0", "limit=1", "limit=2", "limit=3", "limit=4", "limit=100", "limit=1000"),
    *("limit=1001", "limit=-1", "limit=x", "limit=", "limit=1.5", "limit=%201", "limit=1&limit=2"),
    *("limit=99999999999999999999", "limit=0x1", "limit=1_0", "limit=%2B1", "limit=٣"),
)


def conversations() -> Iterator[Conversation]:
    """Give them."""
    # The library is made once for many questions, since those change nothing.
    yield from _questions("filter", FILTERS)
    yield from _questions("sort", SORTS)
    yield from _questions("limit", LIMITS)
    yield from _questions("limit-sorted", [f"{one}&sort=id:asc&name=alpha" for one in LIMITS])
    markers = (
        *("<a>", "<b>", "<d>", "<e>", "rubbish", identifier("nowhere"), "", "%FF"),
        *("<a>&limit=1", "<b>&sort_key=name&sort_dir=asc", "<a>&sort_key=size&sort_dir=asc"),
        *("<a>&sort=name:asc,id:desc", "<b>&name=alpha", "<a>&marker=<b>", "<c>&sort=disk_format"),
        *(
            "<b>&sort=container_format:asc&limit=2",
            "<e>&os_hidden=true",
            "<d>&visibility=community",
        ),
    )
    yield from _questions("marker", [f"marker={one}" for one in markers])
    yield talk("list/empty", get("/v2/images"), get("/v2/images?limit=1"), get("/v2/images?"))
    yield from _pages()
    yield from _seen()


def _questions(label: str, queries: Sequence[str]) -> Iterator[Conversation]:
    for start in range(0, len(queries), 20):
        some = queries[start : start + 20]
        asked = [get(f"/v2/images?{quote(one, safe='=&%:,<>_-.?')}") for one in some]
        yield talk(f"list/{label}/{start}", _library(), asked)


def _pages() -> Iterator[Conversation]:
    for number, query in enumerate(
        (
            *("limit=1", "limit=2&sort_key=name", "limit=1&sort=name:asc,id:asc", "limit=3"),
            *("limit=1&name=alpha", "limit=1&sort_key=size&sort_dir=asc", "limit=2&tag=x"),
            *("limit=1&sort=disk_format:asc", "limit=1&visibility=all&sort=name:desc"),
            *("limit=1&name=in:alpha,beta", "limit=1&tag=x&tag=y", "limit=1&os_distro=debian"),
        )
    ):
        pages = [get(f"/v2/images?{query}", keep={"next": "/next"})]
        pages += [get("<next>", keep={"next": "/next"}) for _ in range(4)]
        yield talk(f"list/pages/{number}", _library(), pages)


def _seen() -> Iterator[Conversation]:
    """Ask what each user sees of everybody's images."""
    made = [
        create({"name": f"{user}-{visibility}", "visibility": visibility}, keep=name, user=user)
        for user, visibility, name in (
            *(("alice", one, f"red-{one}") for one in ("private", "shared", "community")),
            *(("bob", one, f"blue-{one}") for one in ("private", "shared", "community")),
            ("admin", "public", "public"),
            ("admin", "private", "admins"),
        )
    ]
    made += [
        create({"name": "hidden", "os_hidden": True}, keep="hidden", user="alice"),
        post("/v2/images/<red-shared>/members", {"member": "<project.blue>"}, user="alice"),
        create({"name": "accepted", "tags": ["t"]}, keep="accepted", user="alice"),
        post("/v2/images/<accepted>/members", {"member": "<project.blue>"}, user="alice"),
        put("/v2/images/<accepted>/members/<project.blue>", {"status": "accepted"}, user="bob"),
        create({"name": "rejected"}, keep="rejected", user="alice"),
        post("/v2/images/<rejected>/members", {"member": "<project.blue>"}, user="alice"),
        put("/v2/images/<rejected>/members/<project.blue>", {"status": "rejected"}, user="bob"),
    ]
    queries = (
        *("", "?visibility=public", "?visibility=private", "?visibility=shared", "?visibility=all"),
        *("?visibility=community", "?member_status=all", "?member_status=pending"),
        *("?member_status=rejected", "?member_status=all&visibility=shared", "?os_hidden=true"),
        *("?member_status=pending&visibility=shared", "?member_status=accepted&visibility=shared"),
        *("?owner=<project.red>", "?owner=<project.blue>&visibility=community", "?tag=t"),
        *("?owner=<project.red>&visibility=shared", "?owner=<project.red>&member_status=all"),
        *("?limit=2", "?name=red", "?visibility=public&owner=<project.red>", "?os_hidden=false"),
        *("?marker=<red-private>", "?marker=<accepted>", "?marker=<red-community>&limit=1"),
    )
    for user in ("admin", "alice", "amy", "bob", "ben", "nova", "norole", "nobody", "forged"):
        asked = [get(f"/v2/images{query}", user=user) for query in queries]
        shown = [
            get(f"/v2/images/<{name}>", user=user)
            for name in (
                "red-private",
                "red-shared",
                "red-community",
                "public",
                "accepted",
                "admins",
            )
        ]
        yield talk(f"list/seen-by/{user}", made, asked, shown, world="keystone")
    changes = [change("replace", "/visibility", "private")]
    yield talk(
        "list/taken-back",
        made,
        patch(*changes, image="accepted", user="alice"),
        get("/v2/images", user="bob"),
        get("/v2/images/<accepted>", user="bob"),
        get("/v2/images/<accepted>/members", user="alice"),
        world="keystone",
    )
    yield from each(
        "list/dates",
        {
            f"{n}": [create({"name": "dated"}), get(f"/v2/images?created_at={quote(one)}")]
            for n, one in enumerate(
                (
                    "gt:2020-01-01T00:00:00Z",
                    "lt:2100-01-01T00:00:00+00:00",
                    "gte:2020-01-01T00:00:00",
                )
            )
        },
    )
