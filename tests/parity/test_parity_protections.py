"""Property protections hold in a region in every request in which they hold in a real Glance."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest

from lab import Glance, Postgres
from lab.wsgi import Settings
from tests.parity.asking import Request, change, create, get, patch, show, talk
from tests.parity.differing import AllowedList, compare
from tests.parity.peers import Peer
from tests.parity.region import Region

pytestmark = pytest.mark.services

_FILE: Final = """\
[^never_]
create = !
read = @
update = @
delete = @
[^hidden_]
create = @
read = !
update = @
delete = @
[^fixed_]
create = @
read = @
update = !
delete = @
[^kept_]
create = @
read = @
update = @
delete = !
[^free_]
create = @
read = @
update = @
delete = @
"""
_KINDS: Final = ("never_x", "hidden_x", "fixed_x", "kept_x", "free_x", "unnamed")
_PROTECTED: Final = dict.fromkeys(_KINDS[1:5], "v")
_ALLOWED: Final = AllowedList.read(Path(__file__).with_name("allowed.yaml"))


def _asked() -> Iterator[Request]:
    for name in _KINDS:
        yield create({name: "v"}, keep="other")
        yield create({name: "v", "free_y": "w", "name": "<id.name>"}, keep="other")
        yield get(f"/v2/images?name=<id.name>&{name}=v")
        yield from (patch(change(op, f"/{name}", "w")) for op in ("replace", "add", "replace"))
        yield show()
        yield from (patch(change("remove", f"/{name}")) for _ in range(2))
        yield show()
    both = (change("add", "/free_z", "1"), change("add", "/never_z", "1"))
    yield from (patch(*both), show(), get("/v2/images?name=<id.name>"))


@pytest.fixture
def peers(postgres: Postgres, tmp_path: Path) -> Iterator[tuple[Peer, Peer]]:
    """Give a Glance and a region without authentication."""
    file = tmp_path / "protections.conf"
    file.write_text(_FILE)
    protected = {"property_protection_file": str(file)}
    config: Settings = {
        "DEFAULT": {"enabled_backends": "chunks:file", **protected},
        "glance_store": {"default_backend": "chunks"},
        "chunks": {"filesystem_store_datadir": tmp_path / "store"},
    }
    glance = Glance(tmp_path / "glance", postgres=postgres, config=config)
    with glance, Region(tmp_path / "region", dict(protected)) as region:
        yield Peer(glance.url), Peer(region.url)


def test_what_is_protected_is_protected_as_in_glance(peers: tuple[Peer, Peer]) -> None:
    conversation = talk("protections", create({**_PROTECTED, "name": "<id.name>"}), [*_asked()])
    with ThreadPoolExecutor(len(peers)) as pool:
        glance, region = pool.map(lambda peer: (peer.url, peer.hold(conversation)), peers)
    found = _ALLOWED.sift(compare(conversation, glance, region))
    assert [str(one) for one in found] == []
    assert {one.status for one in region[1]} >= {200, 201, 403}
