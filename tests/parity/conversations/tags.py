"""Tags."""

from collections.abc import Iterator

from tests.parity.asking import Conversation, create, delete, each, everywhere, put, show, talk

_TAG = "/v2/images/<image>/tags"


def conversations() -> Iterator[Conversation]:
    """Give them."""
    odd = (
        *("a", "a%20b", "%20", "%C3%A9", "%FF", "x" * 255, "x" * 256, "a%2Fb", "a/b", "a,b", "%00"),
        *("A", "a%3Fb", ".", "%25", "%0A", "%F0%9F%98%80", "%3Cb%3E"),
    )
    cases = {
        f"{number}": [
            create({"tags": ["first"]}),
            put(f"{_TAG}/{tag}"),
            show(),
            put(f"{_TAG}/{tag}"),
            delete(f"{_TAG}/{tag}"),
            delete(f"{_TAG}/{tag}"),
            show(),
        ]
        for number, tag in enumerate(odd)
    }
    yield from everywhere(list(each("tags/odd", cases)), "alice")
    yield talk(
        "tags/too-many",
        create({"tags": [f"t{n}" for n in range(128)]}),
        put(f"{_TAG}/more"),
        put(f"{_TAG}/t1"),
        delete(f"{_TAG}/t1"),
        put(f"{_TAG}/more"),
    )
    yield talk("tags/empty", create(), put(f"{_TAG}/"), delete(f"{_TAG}/"), put(_TAG))
    yield talk("tags/missing", put("/v2/images/x/tags/a"), delete("/v2/images/x/tags/a"))
    yield talk("tags/body", create(), put(f"{_TAG}/a", {"x": 1}), put(f"{_TAG}/a", {}))
    yield from each(
        "tags/as",
        {
            f"{user}-{visibility}": [
                create({"tags": ["t"], "visibility": visibility}, user="alice"),
                put(f"{_TAG}/n", user=user),
                delete(f"{_TAG}/t", user=user),
                delete(f"{_TAG}/no", user=user),
            ]
            for user in ("admin", "amy", "bob", "nova", "norole", "nobody")
            for visibility in ("private", "shared", "community")
        },
        world="keystone",
    )
