"""From a listing's query to what it asks of the catalogue."""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Final

from multidict import MultiMapping

from meltemi.errors import RefusedError
from meltemi.model.listing import SORT_KEYS, Condition, Listing, Operator, Viewer

_COMPARED: Final = ("created_at", "updated_at")
_CHOSEN: Final = ("name", "id", "status", "container_format", "disk_format")
_PLAIN: Final = ("owner", "checksum", "os_hash_algo", "os_hash_value")
_COUNTED: Final = ("size", "virtual_size", "min_disk", "min_ram")
_VISIBILITIES: Final = ("community", "public", "private", "shared", "all")
_MEMBER_STATUSES: Final = ("pending", "accepted", "rejected", "all")
_LARGEST_NUMBER: Final = 2**63 - 1
_TRUTH: Final = {"true": True, "false": False}


def parse_listing(
    query: MultiMapping[str], viewer: Viewer, *, page: int, longest_page: int
) -> Listing:
    """Read a query; raise RefusedError for what the API does not know.

    `page` is the number of images given where none is asked for, `longest_page` the most.
    """
    given = _filters(query)
    # In the order in which Glance looks at them: of several mistakes, it tells the first.
    visibility = _visibility(given.pop("visibility", None))
    if given.get("changes-since"):
        raise RefusedError('The "changes-since" filter is no longer available on v2.')
    member_status = _member_status(query.get("member_status", "accepted"))
    limit = min(parse_limit(query.get("limit"), page), longest_page)
    order = _order(query)
    hidden = _truth("os_hidden", given.pop("os_hidden", "false").lower())
    conditions = tuple(_conditions(given))
    return Listing(
        viewer,
        conditions,
        properties=given,
        tags=frozenset(tag.strip() for tag in query.getall("tag", [])),
        visibility=visibility,
        member_status=member_status,
        hidden=hidden,
        order=order,
        limit=limit,
        marker=query.get("marker"),
    )


def _filters(query: MultiMapping[str]) -> dict[str, str]:
    """Give what images are chosen by; of several of a name, the last counts.

    What is no filter is one where it is given once more, of a free property, as in Glance.
    """
    given = dict(query.items())
    for name in ("limit", "marker", "member_status", "sort"):
        if len(query.getall(name, [])) == 1:
            del given[name]
    for name in ("sort_key", "sort_dir", "tag", "deleted"):  # nothing deleted is ever listed
        given.pop(name, None)
    return given


def _visibility(value: str | None) -> str | None:
    if value and value not in _VISIBILITIES:
        raise RefusedError(f"Invalid visibility value: {value}")
    return value or None


def _member_status(value: str) -> str:
    if value not in _MEMBER_STATUSES:
        raise RefusedError(f"Invalid status: {value}")
    return value


def _truth(name: str, value: str) -> bool:
    if value not in _TRUTH:
        raise RefusedError(
            f"Invalid value '{value}' for '{name}' filter. Valid values are 'true' or 'false'."
        )
    return _TRUTH[value]


def parse_limit(text: str | None, page: int) -> int:
    """Read how many things are wanted at most; `page` where nothing is said."""
    if text is None:
        return page
    try:
        limit = int(text)
    except ValueError:
        raise RefusedError("limit param must be an integer") from None
    if limit < 0:
        raise RefusedError("limit param must be positive")
    return limit


def _conditions(given: dict[str, str]) -> Iterator[Condition]:
    """Take the filters of base attributes out of a query; what is left names free properties."""
    if (protected := given.pop("protected", None)) is not None:
        yield Condition("protected", Operator.EQ, (_truth("protected", protected),))
    for name in [name for name in given if name[-4:] in ("_min", "_max")]:
        if name[:-4] in _COUNTED:
            operator = Operator.GTE if name.endswith("_min") else Operator.LTE
            yield Condition(name[:-4], operator, (_number(given.pop(name)),))
    for names, read in _FILTERS.items():
        for name in [name for name in names if name in given]:
            yield read(name, given.pop(name))


def _of_text(name: str, text: str) -> Condition:
    return Condition(name, Operator.EQ, (text,))


def _of_number(name: str, text: str) -> Condition:
    return Condition(name, Operator.EQ, (_number(text),))


def _number(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        raise RefusedError("Unable to filter on a range with a non-numeric value.") from None
    return max(-_LARGEST_NUMBER, min(number, _LARGEST_NUMBER))


def _of_time(name: str, text: str) -> Condition:
    moment, operator = _moment(text), Operator.EQ
    if moment is None:
        word, _, rest = text.partition(":")
        moment = _moment(rest)
        if moment is None:
            raise RefusedError(f'Bad "{name}" query filter format. Use ISO 8601 DateTime notation.')
        if word not in ("gt", "gte", "lt", "lte", "neq", "eq"):
            raise RefusedError("Unable to filter on a unknown operator.")
        operator = Operator(word)
    return Condition(name, operator, (moment,))


def _moment(text: str) -> str | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return aware.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _of_choice(name: str, text: str) -> Condition:
    word, colon, rest = text.partition(":")
    if not colon:
        return Condition(name, Operator.EQ, (text,))
    if word == "eq":
        return Condition(name, Operator.EQ, (rest,))
    if word != "in":
        raise RefusedError(f"Unable to filter by unknown operator '{word}'.")
    return Condition(name, Operator.IN, tuple(_split(rest)))


_FILTERS: Final[Mapping[tuple[str, ...], Callable[[str, str], Condition]]] = {
    _COMPARED: _of_time,
    _CHOSEN: _of_choice,
    _PLAIN: _of_text,
    _COUNTED: _of_number,
}
"""How the filters of base attributes are read."""


def _split(text: str) -> list[str]:
    """Split at commas, but not within double quotes."""
    quoted = r'"([^"\\]*(?:\\.[^"\\]*)*)"'
    if not re.fullmatch(rf'(?:{quoted}(?=,|$)|[^",]*)(?:,(?:{quoted}(?=,|$)|[^",]*))*', text):
        raise RefusedError(
            f"Invalid filter value {text}. There is no comma before or after a quotation mark."
            if text.count('"') % 2 == 0
            else f"Invalid filter value {text}. The quote is not closed."
        )
    return [found[0] or found[1] for found in re.findall(rf"{quoted},?|([^,]+),?|,", text)]


def _order(query: MultiMapping[str]) -> tuple[tuple[str, bool], ...]:
    if "sort" in query:
        if "sort_key" in query or "sort_dir" in query:
            raise RefusedError("Old and new sorting syntax cannot be combined")
        pairs = [part.partition(":")[::2] for part in query["sort"].strip().split(",")]
        keys = [key.strip() for key, _ in pairs]
        directions = [direction.strip() or "desc" for _, direction in pairs]
    else:
        keys = [key.strip() for key in query.getall("sort_key", [])][::-1]
        directions = [one.strip() for one in query.getall("sort_dir", [])][::-1]
    for key in keys:
        if key not in SORT_KEYS:
            raise RefusedError(
                f"Invalid sort key: {key}. It must be one of the following: {', '.join(SORT_KEYS)}."
            )
    for direction in directions:
        if direction not in ("asc", "desc"):
            raise RefusedError(f"Invalid sort direction: {direction}")
    if len(directions) > 1 and len(directions) != len(keys):
        raise RefusedError("Number of sort dirs does not match the number of sort keys")
    keys = keys or ["created_at"]
    directions = directions or ["desc"]
    last = directions[0] if len(directions) == 1 else "desc"
    directions = directions * len(keys) if len(directions) == 1 else directions
    order = [(key, way == "desc") for key, way in zip(keys, directions, strict=True)]
    order += [(key, last == "desc") for key in ("created_at", "id") if key not in keys]
    return tuple(order)
