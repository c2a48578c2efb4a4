"""The same requests to a real Glance and to a region, and what of the answers must be equal."""

import json
import re
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


@dataclass(frozen=True)
class Answer:
    """What was answered: without times, and with lists that have no order in a fixed one."""

    status: int
    body: Any
    location: str | None


def ask(
    url: str,
    method: str,
    path: str,
    body: object = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Send a request; a body that is no text is sent as JSON."""
    data = None
    if body is not None:
        data = (body if isinstance(body, str) else json.dumps(body)).encode()
    request = urllib.request.Request(
        f"{url}{path}",
        data,
        {"Accept": "application/json", "Content-Type": "application/json", **(headers or {})},
        method=method,
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            status, text, found = answer.status, answer.read(), answer.headers["Location"]
    except urllib.error.HTTPError as answer:
        with answer:
            status, text, found = answer.code, answer.read(), answer.headers["Location"]
    location = found.removeprefix(url) if found else None
    return Answer(status, _plain(json.loads(text)) if text else None, location)


def _plain(body: Any) -> Any:
    if isinstance(body, dict) and "message" in body and "code" in body:
        return {**body, "message": _said(body["message"])}
    if isinstance(body, dict):
        return {key: _in_order(key, _plain(value)) for key, value in body.items()}
    if isinstance(body, list):
        return [_plain(one) for one in body]
    return "TIME" if isinstance(body, str) and _TIME.fullmatch(body) else body


def _said(message: str) -> str:
    """Give an explanation without what need not be equal.

    That is the space around it; the schema that jsonschema prints, whose order is nobody's; and
    what Glance says of names and only MySQL makes true.
    """
    text = " ".join(message.replace("<br />", "").split())
    text = text.partition(" Failed validating")[0]
    return text.removesuffix(" (Please note that metadata tag names are case insensitive).")


def _in_order(key: str, value: Any) -> Any:
    unordered = ("objects", "resource_types", "resource_type_associations")
    named = isinstance(value, list) and all(
        isinstance(one, dict) and "name" in one for one in value
    )
    return sorted(value, key=lambda one: str(one["name"])) if key in unordered and named else value
