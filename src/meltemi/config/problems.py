"""Say in Meltemi's words what pydantic found wrong."""

from collections.abc import Collection
from difflib import get_close_matches
from typing import Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from meltemi.config.document import Document, Place, Problem, dotted
from meltemi.config.schema import (
    Entry,
    FileEntry,
    LibraryEntry,
    RouteEntry,
    RouteSettings,
    RuleEntry,
)

_MESSAGES: Final = {
    "missing": "missing",
    "bool_type": "has to be true or false",
    "int_type": "has to be a whole number",
    "dict_type": "has to be a mapping of keys to values",
    "model_type": "has to be a mapping of keys to values",
    "string_too_short": "has to be some text",
    "too_short": "needs at least one value",
    "greater_than_equal": "has to be at least {ge}",
    "less_than_equal": "has to be at most {le}",
    "literal_error": "has to be {expected}",
    "enum": "has to be {expected}",
    "value_error": "{error}",
}


def explain(error: ValidationError, document: Document) -> list[Problem]:
    """Give one problem for each of pydantic's; a misspelt key is not missing as well."""
    found = [(_place(one["loc"], document), one) for one in error.errors(include_url=False)]
    misspelt = {
        (*place[:-1], _nearest(place)) for place, one in found if one["type"] == "extra_forbidden"
    }
    return [
        Problem(document.line(place), f"{dotted(place)}: {_message(one, place)}")
        for place, one in found
        if one["type"] != "missing" or place not in misspelt
    ]


def _place(location: Place, document: Document) -> Place:
    """Take out what is in pydantic's location but not in the file.

    That is the mark of a key, and the index 0 of a value that stands for a list of one.
    """
    place: Place = ()
    for step in location:
        if step != "[key]" and (isinstance(step, str) or (*place, step) in document.lines):
            place = (*place, step)
    return place


def _message(details: ErrorDetails, place: Place) -> str:
    kind = details["type"]
    if kind == "extra_forbidden":
        nearest = _nearest(place)
        return f"unknown key; did you mean {nearest}?" if nearest else "unknown key"
    if kind in ("string_type", "path_type", "is_instance_of"):
        unquoted = isinstance(details["input"], int)
        return "has to be text; put it in quotes" if unquoted else "has to be text"
    return plain(details)


def plain(details: ErrorDetails) -> str:
    """Say what is wrong with a value, wherever it stands."""
    message = _MESSAGES.get(details["type"])
    if message is None:
        return f"not understood: {details['msg']}"
    return message.format(**details.get("ctx", {}))


def _nearest(place: Place) -> str | None:
    near = get_close_matches(str(place[-1]), _keys(place), n=1)
    return near[0] if near else None


def _keys(place: Place) -> Collection[str]:
    """Give the keys that are known where a key is not."""
    kinds: dict[str | int, tuple[type[Entry], ...]] = {
        "libraries": (LibraryEntry,),
        "defaults": (RouteSettings, RuleEntry),
        "routes": (RouteEntry, RuleEntry),
    }
    entry: type[Entry] = FileEntry
    if len(place) > 1:
        inside = len(place) - (2 if place[0] == "defaults" else 3)
        entry = kinds[place[0]][min(inside, 1)]
    return [field.alias or name for name, field in entry.model_fields.items()]
