"""Answers without what must differ between two services: times, addresses, transport."""

import json
import re
from dataclasses import dataclass
from typing import Any

from tests.parity.peers import Answer

_TIME = re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_ZONELESS_TIME = re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\b")
_TRANSPORT = {"connection", "date", "keep-alive", "server", "transfer-encoding"}
"""Headers that the server in front of the application adds, not the Image API."""
_RESERVED = ",os_glance_staging_store,os_glance_tasks_store"
"""What a process of Glance names beside its stores, once it has used these."""
_UNORDERED = {
    *("tags", "members", "stores", "objects"),
    *("resource_types", "resource_type_associations"),
}
"""Lists that Glance gives in whatever order its sets or its database have."""

_SECONDS = {"last_accessed", "last_modified"}


@dataclass(frozen=True, slots=True)
class Normal:
    """A comparable answer; `body` is parsed JSON, text, or bytes in hexadecimal."""

    status: int
    headers: dict[str, str]
    body: Any


def normal(answer: Answer, url: str) -> Normal:
    """Normalise what the service at a URL answered; ids stay, for `differing` to pair them."""
    headers: dict[str, str] = {}
    for name, value in answer.headers:
        key = name.lower()
        if key not in _TRANSPORT:
            text = _text(_length(answer) if key == "content-length" else value, url)
            if key == "openstack-image-store-ids":
                text = text.removesuffix(_RESERVED)
            headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return Normal(answer.status, headers, _body(answer, url))


def _body(answer: Answer, url: str) -> Any:
    try:
        text = answer.body.decode()
    except UnicodeDecodeError:
        return answer.body.hex()
    try:
        return _value(json.loads(text), url)
    except (ValueError, RecursionError):
        return _text(text, url)


def _value(value: Any, url: str, key: str = "") -> Any:
    if isinstance(value, dict):
        return {name: _value(one, url, name) for name, one in value.items()}
    if isinstance(value, list):
        entries = [_value(one, url) for one in value]
        if key in _UNORDERED:
            entries.sort(key=lambda one: json.dumps(one, sort_keys=True))
        return entries
    if key == "data_dir":
        return "<folder>"
    if key in _SECONDS and isinstance(value, float):
        return "<seconds>"
    return _text(value, url) if isinstance(value, str) else value


def _text(text: str, url: str) -> str:
    text = text.replace(url, "<url>")
    return _ZONELESS_TIME.sub("<time without zone>", _TIME.sub("<time>", text))


def _length(answer: Answer) -> str:
    declared = {name.lower(): value for name, value in answer.headers}["content-length"]
    if not answer.body:
        return declared
    # That of a body in which an address or the order of keys may differ says nothing more.
    return "right" if declared == str(len(answer.body)) else f"{declared}, not {len(answer.body)}"
