"""The bodies of answers: how much of one is read, and what is to be learnt from it."""

import json
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from html import unescape
from http import HTTPStatus
from typing import Any, Final

import aiohttp

LARGEST: Final = 64 * 2**20
"""Bytes of an answer that may be read whole: some hundred times a usual page of a listing."""

LARGEST_ERROR: Final = 64 * 2**10
"""Bytes of an error page that are looked at."""

Spend = Callable[[int], Awaitable[None]]
"""Is told of bytes that have come, and returns when more may come."""

_MARKUP: Final = re.compile(r"<title>[^<]*</title>|<[^<>]*>")
_STATUS: Final = re.compile(r"(\d{3}) ")
_BOILERPLATE: Final = re.compile(r"^The request media type \S+ is not supported by this server\. ")
"""What WebOb puts before Glance's own words where it is data that is refused."""

_CONTENT_RANGE: Final = re.compile(r"bytes (\d{1,18})-")
_LONGEST_REASON: Final = 300


async def read_json(response: aiohttp.ClientResponse) -> Any:
    """Read an answer; raise ValueError where it is no JSON, or more of it than anybody needs."""
    return _parse(await read_bytes(response, LARGEST))


async def read_bytes(
    response: aiohttp.ClientResponse, largest: int, spend: Spend | None = None
) -> bytes:
    """Read an answer whole; raise ValueError where it has more bytes than that."""
    raw = await _beginning(response, largest + 1, spend)
    if len(raw) > largest:
        raise ValueError(f"it has more than {largest} bytes")
    return raw


async def read_reason(response: aiohttp.ClientResponse) -> str:
    """Read why a request was refused, as far as the answer says it."""
    text = (await _beginning(response, LARGEST_ERROR)).decode(errors="replace")
    return reason_of(text) or response.reason or "no reason"


def reason_of(text: str) -> str:
    """Find the sentence in an error page: Glance answers HTML, plain text or JSON."""
    try:
        body = _parse(text)
    except ValueError:
        found = text
    else:
        found = body.get("message", body) if isinstance(body, dict) else body
        if isinstance(found, dict):
            found = found.get("message", found)
    reason = " ".join(unescape(_MARKUP.sub(" ", str(found))).split())
    reason = _BOILERPLATE.sub("", _without_status(reason))
    return reason if len(reason) <= _LONGEST_REASON else reason[:_LONGEST_REASON] + "…"


def _without_status(reason: str) -> str:
    """Take away the status with which an error page begins, unless it says nothing else."""
    if found := _STATUS.match(reason):
        with suppress(ValueError):
            title = f"{found[1]} {HTTPStatus(int(found[1])).phrase}"
            return reason.removeprefix(title).strip() or reason
    return reason


def start_of(response: aiohttp.ClientResponse, wanted: int) -> int:
    """Say at which byte of the whole the data of an answer begins, `wanted` where it is silent.

    An old service, or a proxy, may not heed a range and begin anew.
    """
    if response.status != 206:  # noqa: PLR2004 - "Partial Content"
        return 0
    found = _CONTENT_RANGE.match(response.headers.get("Content-Range", ""))
    return int(found[1]) if found else wanted


async def _beginning(
    response: aiohttp.ClientResponse, limit: int, spend: Spend | None = None
) -> bytes:
    raw = bytearray()
    async for piece in response.content.iter_any():
        raw += piece
        if spend is not None:
            await spend(len(piece))
        if len(raw) >= limit:
            break
    return bytes(raw[:limit])


def _parse(text: str | bytes) -> Any:
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
