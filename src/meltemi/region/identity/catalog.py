"""The catalogue of services that Keystone gives with a token."""

from collections.abc import Mapping, Sequence
from typing import Any


def find_endpoint(
    catalog: Sequence[Mapping[str, Any]], service: str, region: str, interface: str
) -> str | None:
    """Give the URL of a service by its type; names of regions are the same in any case."""
    for entry in catalog:
        for endpoint in entry["endpoints"] if entry["type"] == service else ():
            is_there = (endpoint["region"] or "").lower() == region.lower()
            if is_there and endpoint["interface"] == interface:
                return str(endpoint["url"])
    return None
