"""Plans: the actions that would make targets match, and why the rest needs none."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from meltemi.errors import MeltemiError, printable
from meltemi.model.image import Hashes, Image, Member, Value
from meltemi.model.provenance import Provenance


class Kind(StrEnum):
    """What an action does to its target."""

    COPY = "copy"
    UPDATE = "update"
    SHARE = "share"
    RENAME = "rename"
    HIDE = "hide"
    DELETE = "delete"


class Standing(StrEnum):
    """Why an image needs no action, or gets none."""

    LEFT_OUT = "left out"
    CONFLICT = "conflict"
    BUSY = "busy"


@dataclass(frozen=True, slots=True)
class Subject:
    """Which image of which route, from where to where; libraries by their names."""

    route: str
    source: str
    target: str
    source_id: str
    name: str | None

    @property
    def label(self) -> str:
        """Name the image for a person."""
        return printable(f"{self.name} ({self.source_id})" if self.name else self.source_id)


@dataclass(frozen=True, slots=True)
class Note:
    """An image that a plan leaves as it is, though it may not match."""

    subject: Subject
    standing: Standing
    reason: str


@dataclass(frozen=True, slots=True)
class Relay:
    """The image that a copy's data comes from, where that is not the source's.

    `hashes` are those that its data has to have: what the source recorded, or, where it recorded
    none, what was computed of its data; empty where that is yet to be. `is_coming` says that it has
    yet to arrive there, by the same plan.
    """

    library: str
    image_id: str
    hashes: Hashes
    is_coming: bool = False


@dataclass(frozen=True, slots=True)
class Action:
    """One thing to do to one target, with its reason and the bytes it moves.

    `target_id` is the image to create, fill or change. `image`, for a copy, is the source image as
    it should stand at the target; `filling` says that it is registered there and waits for its
    data, or to have it verified, `without_data` that it is to stay without. `set` and
    `remove` change attributes, `add` and `withdraw` change members. `origin` is the provenance to
    leave behind, None where the target keeps none. `needs` names source images that must be there
    first. The states are digests of both images as they were when the plan was made.

    Where only what the target lacks is sent, `wire` is how many bytes that takes at most, and
    `bases` are the images there that the rest is taken from. With a `relay`, the data is read
    there, once it has arrived there. With `pull`, the target fetches the data by itself.
    `withdrawn` says that the replica goes, or is to go, though its source is there: that is not
    wanted at the target any more. `withdrawn_by` is the project whose choice that is, None where it
    is nobody's, as where the operator's rules forbid it by now.
    """

    kind: Kind
    subject: Subject
    target_id: str
    reason: str
    source_state: str
    target_state: str
    origin: Provenance | None = None
    image: Image | None = None
    bytes: int = 0
    filling: bool = False
    without_data: bool = False
    set: Mapping[str, Value] = field(default_factory=dict)
    remove: frozenset[str] = frozenset()
    add: tuple[Member, ...] = ()
    withdraw: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    wire: int | None = None
    bases: tuple[str, ...] = ()
    relay: Relay | None = None
    pull: bool = False
    withdrawn: bool = False
    withdrawn_by: str | None = None

    @property
    def sends(self) -> bool:
        """Say whether it brings an image whose data counts."""
        return self.kind is Kind.COPY and not self.without_data

    @property
    def sender(self) -> str:
        """Name the library that the data is read from."""
        return self.subject.source if self.relay is None else self.relay.library

    @property
    def traffic(self) -> int:
        """Give how many bytes cross the wire, at most."""
        return self.bytes if self.wire is None else self.wire

    @property
    def only_marks(self) -> bool:
        """Say whether the action leaves provenance behind, and not of a source that is gone."""
        gone = self.origin is not None and self.origin.gone_since is not None
        changes = gone or self.set or self.remove or self.add or self.withdraw
        return self.kind is Kind.UPDATE and not changes


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that separates targets from their sources.

    `in_sync` counts, per route and target, the images that are as they should be. `errors` says
    of targets, by name, why they could not be read.
    """

    actions: tuple[Action, ...] = ()
    notes: tuple[Note, ...] = ()
    in_sync: Mapping[tuple[str, str], int] = field(default_factory=dict)
    errors: Mapping[str, MeltemiError] = field(default_factory=dict)

    @property
    def differs(self) -> bool:
        """Say whether anything is not as it should be."""
        return bool(self.actions) or any(n.standing is not Standing.LEFT_OUT for n in self.notes)

    def without_marks(self) -> "Plan":
        """Take images that only lack a mark of origin for what they are: in sync."""
        marks = [action.subject for action in self.actions if action.only_marks]
        in_sync = Counter(dict(self.in_sync))
        in_sync.update((subject.route, subject.target) for subject in marks)
        actions = tuple(action for action in self.actions if not action.only_marks)
        return replace(self, actions=actions, in_sync=in_sync)

    @property
    def bytes(self) -> int:
        """Sum the bytes that the actions will send, at most."""
        return sum(action.traffic for action in self.actions)

    @property
    def is_bound(self) -> bool:
        """Say whether that sum is a bound, since some images are sent by pieces."""
        return any(action.wire is not None for action in self.actions)
