"""Routes: which images go from one library to others, how their metadata maps, by what rules."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Final

from meltemi.model.schedule import Schedule


@dataclass(frozen=True, slots=True)
class Rules:
    """One set of tests; an image passes when it passes every test that is given.

    A test with several values passes when one of them does. `names` and the values of
    `properties` are shell globs, the rest are compared as they are; `tags` pass when the image
    has one of them. Sizes are in bytes; ages are counted from `created_at`.
    """

    names: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    visibilities: tuple[str, ...] = ()
    owners: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    properties: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    disk_formats: tuple[str, ...] = ()
    container_formats: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    min_size: int | None = None
    max_size: int | None = None
    min_age: timedelta | None = None
    max_age: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Selection:
    """Which images a route carries: all that `match`, none that `exclude`, where `where` holds.

    An image is carried when it passes one of the rules in `match` (or `match` is empty), none of
    those in `exclude`, and the CEL expression `where` (https://cel.dev) is true of it.
    """

    match: tuple[Rules, ...] = ()
    exclude: tuple[Rules, ...] = ()
    where: str | None = None


class OnConflict(StrEnum):
    """What to do when the id or the name of an image is taken by another at the target."""

    SKIP = "skip"
    REPLACE = "replace"
    RENAME = "rename"


class OnSourceDeletion(StrEnum):
    """What to do with a replica whose source is gone."""

    KEEP = "keep"
    HIDE = "hide"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Policy:
    """How one route maps metadata and settles what it meets.

    `owners` maps projects of the source to projects of the target, for owners and for members.
    `values` maps a property's values (`{property: {source value: target value}}`); ids of
    secrets travel only through it. `drop` names properties that are left behind. `grace` is how
    long a source must have been gone before its replica is hidden or deleted.
    """

    owners: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    drop: frozenset[str] = frozenset()
    visibility: str | None = None
    members: bool = False
    metadata_only: bool = False
    replicas: bool = False
    on_conflict: OnConflict = OnConflict.SKIP
    on_source_deletion: OnSourceDeletion = OnSourceDeletion.KEEP
    grace: timedelta = timedelta(0)
    max_delete: int = 10


@dataclass(frozen=True, slots=True)
class Limits:
    """How hard to work: images under way at once per target, and bandwidth by time of day.

    `bandwidth` lists (minute of the day, bytes a second or None for unlimited), ascending;
    empty means unlimited all day. `block` is how many bytes are read and hashed at once.
    """

    transfers: int = 8
    bandwidth: tuple[tuple[int, int | None], ...] = ()
    block: int = 2**20

    def __post_init__(self) -> None:
        rates = [rate for _, rate in self.bandwidth if rate is not None]
        if min(self.transfers, self.block, *rates) < 1:
            raise ValueError("transfers, block and rates are at least 1")


ANY: Final = "*"
"""Stands for every project that has no entry of its own."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a project may use: targets, and how many bytes in some of them."""

    targets: frozenset[str]
    quotas: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Residency:
    """Images that pass one of the rules, or all where there are none, stay in some targets."""

    match: tuple[Rules, ...]
    targets: frozenset[str]
    reason: str


@dataclass(frozen=True, slots=True)
class Choosing:
    """Which targets of a route the owners of images may choose, and by which names.

    `names` gives the target for each name, in lower case. `projects` says by project, or for ANY,
    what it may use; one that is missing there may use nothing. In targets that are `owned`, each
    owner has an account of his own, and nobody else has.
    """

    names: Mapping[str, str]
    projects: Mapping[str, Allowance]
    residency: tuple[Residency, ...] = ()
    owned: frozenset[str] = frozenset()

    @property
    def takes_all(self) -> bool:
        """Say whether it takes all images to know what may become of one."""
        return bool(self.owned) or any(one.quotas for one in self.projects.values())

    def allowance(self, project: str | None) -> Allowance:
        """Give what a project may use."""
        nothing = Allowance(frozenset())
        return self.projects.get(project or "", self.projects.get(ANY, nothing))


@dataclass(frozen=True, slots=True)
class Link:
    """What parts some libraries from all others, with one bandwidth for both ways.

    `bandwidth` is as in `Limits`.
    """

    name: str
    libraries: frozenset[str]
    bandwidth: tuple[tuple[int, int | None], ...]


@dataclass(frozen=True, slots=True)
class Route:
    """Images of `source` that pass `selection` are wanted in every one of `targets`.

    With a `relay`, which is one of them, the others get their data from there. With `choosing`, an
    image goes to those targets alone that its owner has chosen. A daemon looks at the route by its
    `schedule`, copies what has a higher `priority` first, and tells of images that were not there
    `within` a time.
    """

    name: str
    source: str
    targets: tuple[str, ...]
    selection: Selection = field(default_factory=Selection)
    policy: Policy = field(default_factory=Policy)
    limits: Limits = field(default_factory=Limits)
    relay: str | None = None
    priority: int = 0
    schedule: Schedule | None = None
    within: timedelta | None = None
    choosing: Choosing | None = None
