"""The queries of listings of metadata definitions."""

from collections.abc import Mapping, Sequence

from meltemi.errors import RefusedError


def limit(text: str | None, *, least: int) -> int | None:
    """Read how many are asked for; RefusedError where that is no number, or less than `least`."""
    if text is None:
        return None
    try:
        number = int(text)
    except ValueError:
        raise RefusedError("limit param must be an integer") from None
    if number < least:
        raise RefusedError("limit param must be positive")
    return number


def order(query: Mapping[str, str], keys: Sequence[str]) -> tuple[str, bool]:
    """Read by which of the keys to order, and whether that descends."""
    direction = query.get("sort_dir", "desc")
    if direction not in ("asc", "desc"):
        raise RefusedError(f"Invalid sort direction: {direction}")
    key = query.get("sort_key", "created_at")
    if key not in keys:
        raise RefusedError(
            f"Invalid sort key: {key}. It must be one of the following: {', '.join(keys)}."
        )
    return key, direction == "desc"


def demand_visibility(query: Mapping[str, str]) -> None:
    """Refuse to ask for a visibility that there is not; of what a namespace defines, all have its.

    So Glance does, and gives everything.
    """
    visibility = query.get("visibility")
    if visibility and visibility not in ("public", "private", "shared"):
        raise RefusedError(f"Invalid visibility value: {visibility}")
