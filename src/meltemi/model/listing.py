"""Which images a listing asks for, and in which order."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

SORT_KEYS: Final = (
    "name",
    "status",
    "container_format",
    "disk_format",
    "size",
    "id",
    "created_at",
    "updated_at",
)
"""Attributes by which images can be ordered."""


class Operator(Enum):
    """How an attribute is compared with a value."""

    EQ = "eq"
    NEQ = "neq"
    GT = "gt"
    GTE = "gte"
    LT = "lt"
    LTE = "lte"
    IN = "in"


@dataclass(frozen=True, slots=True)
class Condition:
    """What an attribute must be; `values` has one value, for IN any number of them."""

    attribute: str
    operator: Operator
    values: tuple[str | int | bool, ...]


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who asks: `project` is None where nobody is known; an admin sees everything."""

    project: str | None
    is_admin: bool = False


@dataclass(frozen=True, slots=True)
class Listing:
    """One page of images.

    `conditions` are of base attributes, `properties` of free ones; all must hold, as must the
    image have all `tags`. `visibility` is one of the API's, or None for what a plain listing shows:
    public images, the viewer's own, and those shared with it and accepted. `member_status` says
    which shared ones (`all` for any). `order` has pairs of a sort key and whether it descends; the
    caller makes it total by ending it with `id`. `marker` is the id of the last image of the page
    before.
    """

    viewer: Viewer
    conditions: tuple[Condition, ...] = ()
    properties: Mapping[str, str] = field(default_factory=dict)
    tags: frozenset[str] = frozenset()
    visibility: str | None = None
    member_status: str = "accepted"
    hidden: bool = False
    order: tuple[tuple[str, bool], ...] = (("created_at", True), ("id", True))
    limit: int = 25
    marker: str | None = None
