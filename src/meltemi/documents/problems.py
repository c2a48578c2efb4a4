"""Say in Meltemi's words what pydantic found wrong."""

from collections.abc import Collection
from difflib import get_close_matches
from typing import Any, Final, get_args, get_origin

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from meltemi.documents.document import Document, Place, Problem, dotted
from meltemi.documents.fields import Entry

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


def explain(error: ValidationError, document: Document, root: type[Entry]) -> list[Problem]:
    """Give one problem for each of pydantic's; a misspelt key is not missing as well.

    `root` is what the document as a whole was held against.
    """
    found = [(_place(one["loc"], document), one) for one in error.errors(include_url=False)]
    misspelt = {
        (*place[:-1], _nearest(place, root))
        for place, one in found
        if one["type"] == "extra_forbidden"
    }
    return [
        Problem(document.line(place), f"{dotted(place)}: {_message(one, place, root)}")
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


def _message(details: ErrorDetails, place: Place, root: type[Entry]) -> str:
    kind = details["type"]
    if kind == "extra_forbidden":
        nearest = _nearest(place, root)
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


def _nearest(place: Place, root: type[Entry]) -> str | None:
    near = get_close_matches(str(place[-1]), _keys(place, root), n=1)
    return near[0] if near else None


def _keys(place: Place, root: type[Entry]) -> Collection[str]:
    """Give the keys that are known where a key is not."""
    kind: Any = root
    for step in place[:-1]:
        inside = isinstance(step, int) or get_origin(kind) is dict
        kind = _entry_in(kind) if inside else _fields(_entry_in(kind))[str(step)]
    return _fields(_entry_in(kind))


def _fields(entry: type[Entry]) -> dict[str, Any]:
    fields = entry.model_fields.items()
    return {field.alias or name: field.annotation for name, field in fields}


def _entry_in(kind: Any) -> Any:
    """Give the entry that a key's value, or each of its values, is."""
    if isinstance(kind, type) and issubclass(kind, Entry):
        return kind
    return next(filter(None, map(_entry_in, get_args(kind))), None)
