"""What becomes of replicas whose source is gone, or wants them no more: a pure decision."""

from dataclasses import replace

from meltemi.model.image import Image, state_digest
from meltemi.model.plan import Action, Kind, Note, Standing
from meltemi.model.provenance import Provenance, short
from meltemi.model.route import OnSourceDeletion
from meltemi.replication.context import Context


def settle_gone(
    replica: Image,
    origin: Provenance,
    context: Context,
    source: Image | None = None,
    *,
    withdrawn_by: str | None = None,
) -> Action | Note | None:
    """Decide what becomes of a replica whose source the source's listing no longer has.

    With `source`, it is there, and its owner does not want the replica, or may not have it, any
    more; `withdrawn_by` is the owner's project where that is his choice. A route answers only for
    what it has written itself: another one may want to keep its own. In its time of grace a replica
    is left as it is, with a note of when that ends.
    """
    policy = context.policy
    # One that was hidden before is hidden still, or was shown again by the target's operator.
    hidden = replica.os_hidden or origin.written.attributes.get("os_hidden") == short(True)
    if policy.on_source_deletion is OnSourceDeletion.KEEP or origin.route != context.route:
        return None
    if policy.on_source_deletion is OnSourceDeletion.HIDE and hidden:
        return None
    since = origin.gone_since or context.now
    why = "its source is gone" if source is None else "it is not wanted here any more"
    action = Action(
        kind=Kind.UPDATE,
        subject=context.subject(origin.source_id, replica.name),
        target_id=replica.id,
        reason=f"{why}: the time of grace begins",
        source_state=state_digest(source),
        target_state=state_digest(replica),
        origin=replace(origin, gone_since=since),
        withdrawn=source is not None,
        withdrawn_by=withdrawn_by,
    )
    if context.now - since < policy.grace:
        if origin.gone_since is None:
            return action
        ends = (since + policy.grace).strftime("%Y-%m-%d %H:%M UTC")
        verb = "hidden" if policy.on_source_deletion is OnSourceDeletion.HIDE else "deleted"
        reason = f"{why}; to be {verb} after {ends}"
        return Note(action.subject, Standing.LEFT_OUT, reason)
    if policy.on_source_deletion is OnSourceDeletion.DELETE:
        ours = origin.written.attributes.get("protected") == short(replica.protected)
        unprotect = {"protected": False} if replica.protected and ours else {}
        return replace(action, kind=Kind.DELETE, reason=why, set=unprotect)
    attributes = {**origin.written.attributes, "os_hidden": short(True)}
    written = replace(origin.written, attributes=attributes)
    return replace(
        action,
        kind=Kind.HIDE,
        reason=why,
        set={"os_hidden": True},
        origin=replace(origin, gone_since=since, written=written),
    )
