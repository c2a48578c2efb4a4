"""Metadata definitions: what properties, objects and tags mean, in namespaces."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

from meltemi.model.listing import Viewer

NAMESPACE_SORT_KEYS: Final = (
    *("namespace", "display_name", "description", "visibility", "protected", "owner"),
    *("id", "created_at", "updated_at"),
)
"""Attributes by which namespaces can be ordered; `id` is the order in which they were made."""


class Kind(Enum):
    """What a namespace defines."""

    OBJECT = "object"
    PROPERTY = "property"
    TAG = "tag"
    RESOURCE_TYPE = "resource_type"


class Existing(Enum):
    """What becomes of a namespace that is there when one of its name is loaded.

    It stays as it is; it gets what it lacks; it gets that, and what it has is updated; it goes, and
    the loaded one takes its place.
    """

    SKIP = "skip"
    COMPLETE = "complete"
    UPDATE = "update"
    REPLACE = "replace"


@dataclass(frozen=True, slots=True)
class Namespace:
    """A namespace without what it defines."""

    name: str
    owner: str | None = None
    display_name: str | None = None
    description: str | None = None
    visibility: str = "private"
    protected: bool = False
    created_at: str | None = None
    updated_at: str | None = None


@dataclass(frozen=True, slots=True)
class Definition:
    """One thing that a namespace defines; within its kind, no other has its name.

    `document` holds the rest of what the API shows of it: of an object its description, required
    and properties, of a property its schema, of a resource type the prefix and properties_target
    by which the namespace is associated with it.
    """

    kind: Kind
    name: str
    document: Mapping[str, Any] = field(default_factory=dict)
    created_at: str | None = None
    updated_at: str | None = None


@dataclass(frozen=True, slots=True)
class Described:
    """A namespace with definitions, in the order in which they were made."""

    namespace: Namespace
    definitions: tuple[Definition, ...] = ()

    def of(self, kind: Kind) -> tuple[Definition, ...]:
        """Give the definitions of one kind."""
        return tuple(one for one in self.definitions if one.kind is kind)


@dataclass(frozen=True, slots=True)
class ResourceType:
    """A type of resource that a namespace is, or once was, associated with."""

    name: str
    created_at: str | None = None
    updated_at: str | None = None


@dataclass(frozen=True, slots=True)
class NamespaceListing:
    """One page of namespaces.

    `resource_types` asks for those associated with any of these, None for all. `sort_key` is one of
    NAMESPACE_SORT_KEYS. `marker` names the last namespace of the page before.
    """

    viewer: Viewer
    visibility: str | None = None
    resource_types: tuple[str, ...] | None = None
    sort_key: str = "created_at"
    descends: bool = True
    limit: int = 25
    marker: str | None = None
