"""What others would have to send: what is new in their stores, by which they transfer."""

from collections.abc import Iterator

from bench.exchange.services import GOLDEN, NEXT, SNAPSHOT, Services
from bench.figures import MIB, Result, for_reference
from bench.store.peers import Borg, Casync


def peers(services: Services) -> Iterator[Result]:
    """Store the golden image in each store, then one of the others; count what that adds."""
    for name, title in ((SNAPSHOT, "the snapshot"), (NEXT, "the next build")):
        for kind in (Borg, Casync):
            with services.room() as folder:
                store = kind(folder)
                store.init()
                store.put("golden", services.disks[GOLDEN])
                before = store.stored()
                store.put("new", services.disks[name])
                added = (store.stored() - before) / MIB
            yield for_reference(f"{title}: new in the store of {kind.label}", added, "MiB", {})
