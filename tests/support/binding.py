"""Bindings, as regions issue them and as an attacker might write them; and images sent with one."""

import hashlib
import json
import urllib.request
from collections.abc import Mapping
from email.message import Message
from typing import Any, Final

from meltemi.keys import SigningKey
from tests.support.exchanging import Exchange, Line, delta, pieces
from tests.support.glance import Place

HEADER: Final = "x-meltemi-binding"
KIND: Final = "meltemi-binding"
LIE: Final = "0" * 32
"""An md5 that no data has: an image that shows it has not been hashed."""


def issued(place: Place, image: str) -> str | None:
    """Give the binding that a region issues of an image's data."""
    return _manifest(place, image).get(HEADER)


def facts(place: Place, image: str) -> dict[str, Any]:
    """Give what a binding of an image's data says, but with a lie in it."""
    shown = place.show(image)
    names = ("size", "os_hash_algo", "os_hash_value", "disk_format", "container_format")
    return {
        "format": 1,
        "manifest": _manifest(place, image)["ETag"].strip('"'),
        "cut": "cdc-64k",
        "checksum": LIE,
        "virtual_size": shown["virtual_size"],
        **{name: shown[name] for name in names},
    }


def signed(key: SigningKey, said: Mapping[str, Any], kind: str = KIND) -> str:
    """Sign what a binding says."""
    return key.sign(kind, json.dumps(said).encode())


def send(
    exchange: Exchange,
    image: str,
    data: bytes,
    base: tuple[str, bytes],
    headers: Mapping[str, str],
    *,
    every: int | None = None,
) -> None:
    """Send an image as a replicator does: pieces that a base lacks, and a delta.

    With `every`, stretches are of so many bytes at most, and not as the data is cut.
    """
    body = prepare(exchange, image, data, base, every=every)
    exchange.put(image, body, **headers)


def prepare(
    exchange: Exchange,
    image: str,
    data: bytes,
    base: tuple[str, bytes],
    *,
    every: int | None = None,
) -> bytes:
    """Send the pieces that a base lacks, if they were not, and give the delta."""
    there: dict[bytes, list[int | str]] = {}
    at = 0
    for piece in pieces(base[1]):
        there.setdefault(piece, ["i", 0, at])
        at += len(piece)
    cut = [piece for piece in pieces(data) if any(piece)]
    missing = list(dict.fromkeys(piece for piece in cut if piece not in there))
    at = 0
    for piece in missing:
        there[piece] = ["p", 0, at]
        at += len(piece)
    if missing and not exchange.parts(image):
        exchange.put_part(image, 0, missing)
    lines: list[Line] = []
    for piece in pieces(data):
        step = every or len(piece)
        for begin in range(0, len(piece), step):
            length = min(step, len(piece) - begin)
            if piece not in there:
                lines.append([length])
                continue
            origin, number, place = there[piece]
            lines.append([length, origin, number, int(place) + begin])
    return delta(len(data), [base[0]], lines)


def md5(data: bytes) -> str:
    """Give what Glance calls the checksum of data."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def _manifest(place: Place, image: str) -> Message:
    """Give the headers that come with a manifest."""
    request = urllib.request.Request(
        f"{place.url}/v2/images/{image}/manifest", headers=dict(place.headers)
    )
    with urllib.request.urlopen(request) as answer:
        return answer.headers  # type: ignore[no-any-return]  # what the library says it is
