"""Two regions of which one borrows from the other, by a way that may be disturbed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from lab import Region
from tests.support.builds import BUILD, GOLDEN, LATER
from tests.support.cli import succeed
from tests.support.glance import Place
from tests.support.proxy import Proxy
from tests.support.waiting import eventually

PARENT: Final = GOLDEN
CHILD: Final = BUILD
GRANDCHILD: Final = LATER
BATCH: Final = r"/batch$"


class Pair:
    """A region that has parents, `home`, and one that borrows from it, `here`."""

    def __init__(self, home: Place, server: Region, way: Proxy, *, token: str = "") -> None:
        self.home = home
        self.server = server
        self.here = Place(server.url, token=token)
        self.way = way

    def loan(self, image: str) -> Mapping[str, Any] | None:
        """Give what an image borrows."""
        loan: Mapping[str, Any] | None
        loan = self.here.call("GET", f"/v2/images/{image}/loan")["loan"]
        return loan

    def snapshot(self, parent: str, data: bytes = CHILD) -> str:
        """Upload one, and wait until it borrows."""
        child = self.here.put("snapshot", data, base_image_ref=parent)
        self.wait_for_loan(child)
        return child

    def waiting(self, parent: str) -> str:
        """Make one that waits for its data."""
        return self.here.put("snapshot", None, base_image_ref=parent)

    def wait_for_loan(self, image: str) -> None:
        """Wait until an image borrows."""
        eventually(lambda: self.loan(image) is not None)

    def holds(self, image: str) -> list[str]:
        """Name what the one holds for an image of the other."""
        found = self.home.images()
        return [one["id"] for one in found if one.get("meltemi_held_for") == image]

    def stored(self) -> int:
        """Collect garbage and check; give the bytes that the borrowing region stores."""
        for _ in range(2):
            succeed("store", "gc", self.store)
        succeed("store", "check", self.store)
        packs = (path for path in self.store.rglob("*") if path.is_file())
        return sum(path.stat().st_size for path in packs if "index" not in path.name)

    @property
    def store(self) -> Path:
        """Give where the borrowing region stores data."""
        return self.server.folder / "data" / "store"


def peers(way: Proxy) -> dict[str, object]:
    """Give the setting of a region that borrows."""
    return {"peers": [{"name": "RegionOne", "endpoint": way.url}]}
