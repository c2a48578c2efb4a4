"""Conversations that clients had, kept as files."""

import base64
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.parity.asking import KEYSTONE, Conversation, Request

RECORDED = Path(__file__).with_name("recorded")


def recorded() -> Iterator[Conversation]:
    """Give every conversation that was recorded."""
    for path in sorted(RECORDED.glob("*.json")):
        requests = tuple(_request(**facts) for facts in json.loads(path.read_text()))
        yield Conversation(f"recorded/{path.stem}", requests, KEYSTONE, "alice")


def save(name: str, requests: Sequence[Request]) -> None:
    """Keep a conversation as a file of that name."""
    facts = [_facts(request) for request in requests]
    text = json.dumps(facts, indent=1, sort_keys=True)
    (RECORDED / f"{name}.json").write_text(f"{text}\n")


def _facts(request: Request) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "method": request.method,
        "path": request.path,
        "headers": dict(request.headers),
        "user": request.user,
    }
    if request.body is not None:
        try:
            facts["body"] = request.body.decode("ascii")
        except UnicodeDecodeError:
            facts["base64"] = base64.b64encode(request.body).decode()
    if request.chunked:
        facts["chunked"] = True
    if request.keep:
        facts["keep"] = dict(request.keep)
    if request.until:
        facts["until"] = list(request.until)
    return facts


def _request(**facts: Any) -> Request:
    if "base64" in facts:
        facts["body"] = base64.b64decode(facts.pop("base64"))
    elif "body" in facts:
        facts["body"] = facts["body"].encode()
    if "until" in facts:
        facts["until"] = tuple(facts["until"])
    return Request(**facts)
