"""JSON as an archive has it: one meaning for every file, whoever wrote it."""

import json
from typing import Any, NoReturn


def loads(raw: bytes) -> Any:
    """Read UTF-8 JSON; raise ValueError for all that readers are known to disagree about.

    That is: duplicate keys, NaN and infinities, half surrogate pairs, and extreme nesting.
    """
    try:
        value = json.loads(raw.decode(), object_pairs_hook=_unique, parse_constant=_no_number)
        json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    return value


def pretty(value: object) -> bytes:
    """Write for a person to read; raise ValueError where a text is no Unicode."""
    return f"{json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False)}\n".encode()


def line(value: object) -> bytes:
    """Write as one line, its newline included."""
    return f"{json.dumps(value, sort_keys=True, separators=(',', ':'))}\n".encode()


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("it has a key twice")
    return found


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")
