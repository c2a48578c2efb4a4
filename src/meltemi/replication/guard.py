"""The guard against mass removal: what a run would take away beyond what may go at once."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Final

from meltemi.errors import GuardError
from meltemi.model.image import state_digest
from meltemi.model.plan import Action, Kind

ABSENT: Final = state_digest(None)
"""The state of a source that is gone."""

HELD_BACK: Final = "held back"
"""How the reason begins that an owner's own removals are held back for."""


def is_removal(action: Action) -> bool:
    """Say whether an action takes a replica away: its source is gone, or not wanted there now."""
    gone = action.source_state == ABSENT or action.withdrawn
    return gone and action.kind in (Kind.HIDE, Kind.DELETE)


def judged(
    removals: Iterable[Action], max_delete: int
) -> Iterator[tuple[list[Action], GuardError | None]]:
    """Give removals together as they are counted, with why they are too many, or None.

    What an owner has withdrawn counts for himself, in each target, and holds up nobody else. The
    rest counts as a whole, since one mistake may be behind all of it.
    """
    counted: dict[tuple[str, str] | None, list[Action]] = defaultdict(list)
    for action in removals:
        by = action.withdrawn_by
        counted[None if by is None else (by, action.subject.target)].append(action)
    for whose, actions in counted.items():
        too_many = len(actions) > max_delete
        yield actions, GuardError(_reason(whose, len(actions), max_delete)) if too_many else None


def _reason(whose: tuple[str, str] | None, count: int, most: int) -> str:
    beyond = f"more than max_delete ({most}) allows"
    if whose is None:
        return f"{count} replicas would be hidden or deleted, {beyond}: none is; see --max-delete"
    owner, target = whose
    return f"{HELD_BACK}: project {owner} withdraws {count} images from {target}, {beyond}"
