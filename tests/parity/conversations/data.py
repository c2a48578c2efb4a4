"""Uploading and downloading image data."""

import hashlib
from collections.abc import Iterator

from tests.parity.asking import (
    DATA,
    RAW,
    Conversation,
    active,
    ask,
    create,
    each,
    everywhere,
    get,
    head,
    post,
    put,
    show,
    talk,
    upload,
)

_FILE = "/v2/images/<image>/file"
_DATA = bytes(range(100)) * 3
_RANGES = (
    *(
        "bytes=0-9",
        "bytes=0-0",
        "bytes=-5",
        "bytes=5-",
        "bytes=299-",
        "bytes=299-299",
        "bytes=0-299",
    ),
    *("bytes=0-300", "bytes=290-400", "bytes=300-", "bytes=300-301", "bytes=1000-", "bytes=-300"),
    *(
        "bytes=-301",
        "bytes=-0",
        "bytes=9-0",
        "bytes=5-4",
        "bytes=0-9,20-29",
        "bytes=0-9,",
        "bytes=",
    ),
    *(
        "bytes=-",
        "bytes=a-b",
        "bytes= 0-9",
        "bytes=0 - 9",
        "Bytes=0-9",
        "items=0-9",
        "0-9",
        "rubbish",
    ),
    *("bytes=0-99999999999999999999", "bytes=--5", "bytes=1.5-2", "bytes=+0-9", "bytes 0-9", ""),
)
_CONTENT_RANGES = (
    *("bytes 0-9/300", "bytes 0-9/*", "bytes 5-9/300", "bytes 0-299/300", "bytes 290-299/*"),
    *("bytes 290-400/*", "bytes 290-400/500", "bytes 300-310/*", "bytes */300", "bytes 9-5/300"),
    *("bytes 0-9/5", "bytes=0-9", "rubbish", "bytes 0-9", "items 0-9/300", ""),
)


def conversations() -> Iterator[Conversation]:
    """Give them."""
    yield from everywhere(list(_uploads()), "alice")
    yield from _kinds()
    yield from _headers()
    yield from everywhere(list(_downloads()), "alice")
    yield from each(
        "data/as",
        {
            f"{user}-{visibility}": [
                create(RAW | {"visibility": visibility}, user="admin"),
                ask("PUT", _FILE, body=b"as", kind=DATA, user=user),
                upload(_DATA, user="admin"),
                get(_FILE, user=user),
                ask("PUT", _FILE, body=b"again", kind=DATA, user=user),
            ]
            for user in ("alice", "amy", "nova", "norole", "nobody", "forged")
            for visibility in ("private", "shared", "community", "public")
        },
        world="keystone",
    )
    yield from each(
        "data/own-as",
        {
            user: [
                create(RAW, user="alice"),
                ask("PUT", _FILE, body=b"as", kind=DATA, user=user),
                show(user="alice"),
            ]
            for user in ("alice", "amy", "bob", "ben", "nova", "norole")
        },
        world="keystone",
    )


def _uploads() -> Iterator[Conversation]:
    for label, data in {"some": _DATA, "empty": b"", "one": b"x", "large": _DATA * 1000}.items():
        for chunked in (False, True):
            kind = "chunked" if chunked else "length"
            sent = upload(data, chunked=chunked)
            again = upload(b"other", chunked=chunked)
            steps = [create(RAW), sent, show(), get(_FILE), again, show()]
            yield talk(f"data/upload/{label}-{kind}", steps)
    yield talk("data/upload/no-formats", create(), upload(_DATA), show(), get(_FILE))
    yield talk("data/upload/no-container", create({"disk_format": "raw"}), upload(_DATA), show())
    yield talk("data/upload/no-disk", create({"container_format": "bare"}), upload(_DATA), show())
    yield talk(
        "data/upload/no-such-image",
        ask("PUT", "/v2/images/x/file", body=b"x", kind=DATA),
        ask("PUT", "/v2/images/x/file", body=b"x", kind="text/plain"),
    )
    yield talk("data/upload/no-body", create(RAW), put(_FILE, kind=DATA), show())


def _kinds() -> Iterator[Conversation]:
    kinds = (
        *(
            "text/plain",
            "application/json",
            "",
            "application/octet-stream; charset=utf-8",
            "rubbish",
        ),
        *("Application/Octet-Stream", "application/x-www-form-urlencoded", "image/raw", "*/*"),
    )
    yield from each(
        "data/kind",
        {
            f"{number}": [
                create(RAW),
                ask("PUT", _FILE, body=b"x", headers={"Content-Type": kind}),
                ask("PUT", "/v2/images/<image>/stage", body=b"x", headers={"Content-Type": kind}),
                show(),
            ]
            for number, kind in enumerate(kinds)
        },
    )
    yield talk("data/kind/none", create(RAW), ask("PUT", _FILE, body=b"x"), show())


def _headers() -> Iterator[Conversation]:
    cases = {
        "size-right": {"X-Openstack-Image-Size": str(len(_DATA))},
        "size-wrong": {"X-Openstack-Image-Size": "7"},
        "size-rubbish": {"X-Openstack-Image-Size": "x"},
        "store": {"X-Image-Meta-Store": "chunks"},
        "store-unknown": {"X-Image-Meta-Store": "elsewhere"},
        "store-empty": {"X-Image-Meta-Store": ""},
        "store-staging": {"X-Image-Meta-Store": "os_glance_staging_store"},
        "range": {"Content-Range": "bytes 0-9/300"},
        "md5": {"Content-MD5": "AAAA"},
        "gzip": {"Content-Encoding": "gzip"},
        "none-match": {"If-None-Match": "*"},
        "expect": {"Expect": "100-continue"},
    }
    for label, headers in cases.items():
        yield talk(f"data/header/{label}", create(RAW), upload(_DATA, headers=headers), show())
        yield talk(
            f"data/header/chunked-{label}",
            create(RAW),
            upload(_DATA, headers=headers, chunked=True),
            show(),
        )


def _downloads() -> Iterator[Conversation]:
    yield talk("data/download/none", create(RAW), get(_FILE), head(_FILE))
    yield talk("data/download/some", active(_DATA), get(_FILE), head(_FILE), get(f"{_FILE}?a=b"))
    yield talk("data/download/empty", active(b""), get(_FILE), get(_FILE, headers=_range("0-")))
    ranges = [get(_FILE, headers={"Range": one}) for one in _RANGES]
    for start in range(0, len(ranges), 6):
        yield talk(f"data/range/{start}", active(_DATA), ranges[start : start + 6])
    content = [get(_FILE, headers={"Content-Range": one}) for one in _CONTENT_RANGES]
    for start in range(0, len(content), 6):
        yield talk(f"data/content-range/{start}", active(_DATA), content[start : start + 6])
    yield talk(
        "data/range/none",
        create(RAW),
        get(_FILE, headers=_range("0-9")),
        active(b"", keep="empty"),
        get("/v2/images/<empty>/file", headers=_range("0-9")),
        get("/v2/images/<empty>/file", headers=_range("-5")),
    )
    yield talk(
        "data/range/both",
        active(_DATA),
        get(_FILE, headers=_range("0-9") | {"Content-Range": "bytes 5-9/300"}),
    )
    etag = hashlib.md5(_DATA, usedforsecurity=False).hexdigest()
    conditions = (
        *({"If-None-Match": f'"{etag}"'}, {"If-None-Match": etag}, {"If-None-Match": "*"}),
        *({"If-None-Match": '"x"'}, {"If-Match": f'"{etag}"'}, {"If-Match": '"x"'}),
        {"If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT"},
        {"If-Unmodified-Since": "Fri, 01 Jan 2010 00:00:00 GMT"},
        *(_range("0-9") | {"If-Range": f'"{etag}"'}, _range("0-9") | {"If-Range": '"x"'}),
        *({"Accept": "application/json"}, {"Accept-Encoding": "gzip"}, {"TE": "trailers"}),
    )
    asked = [get(_FILE, headers=one) for one in conditions]
    yield talk("data/conditions", active(_DATA), asked)
    yield talk(
        "data/deactivated",
        active(_DATA),
        post("/v2/images/<image>/actions/deactivate", user="admin"),
        get(_FILE),
        get(_FILE, headers=_range("0-9")),
        get(_FILE, user="admin"),
        upload(b"x"),
    )


def _range(text: str) -> dict[str, str]:
    return {"Range": f"bytes={text}"}
