"""Publishing: the last steps of a put, after which it counts (docs/chunk-store.md)."""

from collections.abc import Collection

from meltemi.chunks.backends.base import Backend
from meltemi.chunks.head import Head
from meltemi.chunks.index.heads import Heads
from meltemi.chunks.pack import pack_object
from meltemi.errors import SessionLostError


def publish(
    backend: Backend, heads: Heads, session: int, head: Head, relied: Collection[str]
) -> None:
    """Give a manifest its name, and end the session; `relied` are the packs that hold its blobs.

    Raise ConflictError where the name is taken, SessionLostError where it has to be put again.
    """
    for pack in relied:
        # The index may be older, or newer, than what it tells of.
        if backend.size(pack_object(pack)) is None:
            raise SessionLostError(
                f"image {head.name}: pack {pack}, which the index knows, is not in "
                f"{backend.label}: rebuild the index (meltemi store reindex), put again"
            )
    heads.publish(session, head, relied)
    backend.write(head.object, head.encode().encode())
    try:
        heads.complete(session, head)
    except SessionLostError:
        # It must not look like one that the index has lost.
        heads.condemn(head)
        backend.delete(head.object)
        heads.erase(head.id)
        raise
