"""Two regions of one cloud that fetch images from each other, each behind a way that is watched."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from lab import Cloud, Region
from tests.support.accounts import Accounts
from tests.support.builds import MIB
from tests.support.glance import Place
from tests.support.proxy import Fault, Proxy

BATCH: Final = "/batch$"

_NAMES: Final = ("Naxos", "Paros")


class Islands:
    """Naxos and Paros, as the cloud `islands` has them: the catalogue names the ways."""

    def __init__(
        self, servers: tuple[Region, Region], ways: tuple[Proxy, Proxy], accounts: Accounts
    ) -> None:
        self.servers = servers
        self.ways = ways
        token = accounts.token("admin")
        self.naxos, self.paros = (Place(way.upstream, token=token) for way in ways)

    def calm(self) -> None:
        """Let all go well again, and forget what passed."""
        for way, server in zip(self.ways, self.servers, strict=True):
            way.fault()
            if not server.running:
                server.start()
        self.forget()

    def forget(self) -> None:
        """Forget what passed."""
        for way in self.ways:
            way.requests.clear()

    def small_batches(self, *then: Fault) -> None:
        """Let the source make batches of a MiB, so that there are many, and more go wrong there."""
        facts = self.naxos.call("GET", "/v2/info/exchange")["exchange"]
        told = json.dumps({"exchange": {**facts, "largest_batch": MIB}})
        self.ways[0].fault(Fault("GET", "/info/exchange$", answer=200, body=told), *then)

    @property
    def sent(self) -> int:
        """Give the bytes of all bodies that were sent to the target."""
        return sum(request.sent for request in self.ways[1].requests)

    @property
    def answered(self) -> int:
        """Give the bytes of all bodies that the source gave."""
        return sum(request.answered for request in self.ways[0].requests)


@contextmanager
def islands_of(cloud: Cloud, accounts: Accounts, folder: Path) -> Iterator[Islands]:
    """Add them to a cloud."""
    keystone = cloud.keystone
    settings = {"keystone": {"auth": keystone.login()}, "import_methods": ["glance-download"]}
    with ExitStack() as stack:
        servers = [Region(folder / name, name=name, settings=settings) for name in _NAMES]
        ways = [Proxy(stack.enter_context(server).url) for server in servers]
        for name, way in zip(_NAMES, ways, strict=True):
            keystone.endpoint("image", name, stack.enter_context(way).url)
        account = keystone.login(keystone.admin, "admin")
        accounts.entry("islands", {"auth": account, "regions": list(_NAMES)})
        yield Islands((servers[0], servers[1]), (ways[0], ways[1]), accounts)


def words(name: str, *more: str) -> tuple[str, ...]:
    """Copy the images whose names begin with `name`."""
    return ("livecopy", "islands:Naxos", "islands:Paros", "--match", f"name={name}*", *more)
