"""Showing one image."""

from collections.abc import Iterator

from tests.parity.asking import (
    Conversation,
    active,
    create,
    delete,
    everywhere,
    get,
    head,
    identifier,
    show,
    talk,
)


def conversations() -> Iterator[Conversation]:
    """Give them."""
    bad = (
        *("x", "1", identifier("no"), identifier("no").upper(), identifier("no").replace("-", "")),
        *(
            "x" * 36,
            "x" * 300,
            "%27",
            "%3Cb%3E",
            "%26amp%3B",
            "a%20b",
            "%C3%A9",
            "-",
            "None",
            "null",
        ),
    )
    cases = {
        one: [
            get(f"/v2/images/{one}"),
            head(f"/v2/images/{one}"),
            get(f"/v2/images/{one}/file"),
            get(f"/v2/images/{one}/members"),
            get(f"/v2/images/{one}/tasks"),
            get(f"/v2/images/{one}/locations"),
            delete(f"/v2/images/{one}"),
        ]
        for one in bad
    }
    for number, (_, requests) in enumerate(cases.items()):
        yield talk(f"show/missing/{number}", requests)
    yield from everywhere(
        [
            talk("show/queued", create({"name": "q"}), show(), head("/v2/images/<image>")),
            talk("show/active", active(), show(), head("/v2/images/<image>")),
            talk("show/empty", active(b""), show()),
            talk("show/query", create({"name": "q"}), get("/v2/images/<image>?a=b&limit=x")),
            talk("show/deleted", create(), delete("/v2/images/<image>"), show()),
            talk("show/conditional", active(), show(headers={"If-None-Match": "*"})),
            talk("show/range", active(), show(headers={"Range": "bytes=0-3"})),
        ],
        "alice",
    )
