"""The differences between two services' answers, and the list of those that are allowed."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml

from tests.parity.asking import Conversation
from tests.parity.normal import Normal, normal
from tests.parity.peers import Answer

_NOTHING = "(nothing)"
_UUID = re.compile(r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b")


@dataclass(frozen=True, slots=True)
class Difference:
    """What differs, where: `field` is `status`, `header Allow`, or `body /images/0/name`."""

    conversation: str
    request: str
    field: str
    reference: str
    region: str

    def __str__(self) -> str:
        """Say it in one line."""
        where = f"{self.conversation}: {self.request}: {self.field}"
        return f"{where}: {self.reference} became {self.region}"


def compare(
    conversation: Conversation, left: tuple[str, list[Answer]], right: tuple[str, list[Answer]]
) -> list[Difference]:
    """Give the differences between two services, each its URL and answers."""
    pairs = _Pairs()
    found = []
    for request, a, b in zip(conversation.requests, left[1], right[1], strict=True):
        for name, x, y in pairs.between(normal(a, left[0]), normal(b, right[0])):
            found.append(Difference(str(conversation), str(request), name, _say(x), _say(y)))
    return found


class _Pairs:
    """Compares the answers of one conversation.

    Each service has ids of its own. One id of the one service must then always stand where one id
    of the other stands.
    """

    def __init__(self) -> None:
        self._ids: dict[str, str] = {}
        self._back: dict[str, str] = {}

    def between(self, a: Normal, b: Normal) -> Iterator[tuple[str, Any, Any]]:
        if a.status != b.status:
            # What comes with another status is bound to be another answer.
            yield "status", a.status, b.status
            return
        for name in sorted(a.headers.keys() | b.headers.keys()):
            x, y = a.headers.get(name, _NOTHING), b.headers.get(name, _NOTHING)
            if not self._same(x, y):
                yield f"header {name}", x, y
        yield from self._inside("body ", a.body, b.body)

    def _inside(self, place: str, a: Any, b: Any) -> Iterator[tuple[str, Any, Any]]:
        if isinstance(a, dict) and isinstance(b, dict):
            for key in sorted(a.keys() | b.keys()):
                x, y = a.get(key, _NOTHING), b.get(key, _NOTHING)
                yield from self._inside(f"{place}/{key}", x, y)
        elif isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
            for number, (x, y) in enumerate(zip(a, b, strict=True)):
                here = f"{place}/{number}"
                if self._alike(x, y):
                    yield from self._inside(here, x, y)
                else:
                    yield f"{here}/id", x["id"], y["id"]
        elif not self._same(a, b):
            yield place, a, b

    def _alike(self, a: Any, b: Any) -> bool:
        """Tell whether two entries of a list are not two different things with an id each."""
        things = isinstance(a, dict) and isinstance(b, dict) and "id" in a and "id" in b
        return not things or self._same(a["id"], b["id"])

    def _same(self, a: Any, b: Any) -> bool:
        if not isinstance(a, str) or not isinstance(b, str):
            return bool(a == b) and type(a) is type(b)
        if _UUID.sub("", a) != _UUID.sub("", b):
            return False
        pairs = zip(_UUID.findall(a), _UUID.findall(b), strict=True)
        return all(
            self._ids.setdefault(x, y) == y and self._back.setdefault(y, x) == x for x, y in pairs
        )


def _say(value: Any) -> str:
    return value if value == _NOTHING else json.dumps(value, sort_keys=True)


@dataclass(slots=True)
class Allowed:
    """A difference that is meant: patterns as of file names, and why."""

    reason: str
    conversation: str
    fields: Sequence[str]
    request: str = "*"
    reference: str = "*"
    region: str = "*"
    used: bool = field(default=False, init=False)

    def covers(self, difference: Difference) -> bool:
        """Tell whether it is this one."""
        return (
            fnmatchcase(difference.conversation, self.conversation)
            and fnmatchcase(difference.request, self.request)
            and any(fnmatchcase(difference.field, pattern) for pattern in self.fields)
            and fnmatchcase(difference.reference, self.reference)
            and fnmatchcase(difference.region, self.region)
        )


class AllowedList:
    """All allowed differences; it remembers which of them were seen."""

    def __init__(self, entries: Sequence[Allowed]) -> None:
        """Take the entries."""
        self._entries = entries

    @classmethod
    def read(cls, path: Path) -> "AllowedList":
        """Read the committed list."""
        return cls([Allowed(**entry) for entry in yaml.safe_load(path.read_text()) or []])

    def sift(self, differences: Sequence[Difference]) -> list[Difference]:
        """Give the differences that are not allowed."""
        left = []
        for difference in differences:
            covering = [entry for entry in self._entries if entry.covers(difference)]
            for entry in covering:
                entry.used = True
            if not covering:
                left.append(difference)
        return left

    def unused(self) -> list[str]:
        """Give the reasons of entries that nothing used."""
        return [entry.reason for entry in self._entries if not entry.used]
