"""The services that are compared, and the people who ask them."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab import Glance, Keystone, Memcached, Postgres, Server, venvs
from tests.parity.asking import KEYSTONE, OPEN
from tests.parity.peers import Peer
from tests.parity.region import Region

ACCOUNTS = {
    "admin": ("admin", ("admin",)),
    "alice": ("red", ("member",)),
    "amy": ("red", ("reader",)),
    "bob": ("blue", ("member",)),
    "ben": ("blue", ("reader",)),
    "nova": ("service", ("service",)),
    "norole": ("blue", ("nothing",)),
}
"""Each user of the world behind Keystone: the project, and the roles in it.

Besides them there are `nobody`, who has no token, and `forged`, whose token is none.
"""

STORE = "chunks"
"""The name that the store has in every service."""

_GLANCES = ("reference", "twin")


@dataclass(frozen=True, slots=True)
class World:
    """Services by name, and the URL of the Keystone in front of them, if there is one."""

    peers: Mapping[str, Peer]
    keystone: str = ""


@contextmanager
def open_world(folder: Path, postgres: Postgres) -> Iterator[World]:
    """Run two Glances and a region without authentication."""
    with ExitStack() as stack:
        services: list[Server] = [_glance(folder / name, postgres) for name in _GLANCES]
        region = Region(folder / "region")
        services.append(region)
        _start(stack, services)
        region.wait_ready().load_definitions(_definitions())
        yield World({one.name: Peer(one.wait_ready().url) for one in services})


@contextmanager
def keystone_world(folder: Path, postgres: Postgres) -> Iterator[World]:
    """Run two Glances and a region behind a Keystone in which everybody has an account."""
    with ExitStack() as stack:
        memcached = stack.enter_context(Memcached(folder / "memcached"))
        keystone = Keystone(folder / "keystone", postgres=postgres, memcached=memcached)
        stack.callback(keystone.stop)
        keystone.start(wait=False)
        services: list[Server] = [
            _glance(folder / name, postgres, keystone=keystone, region=name) for name in _GLANCES
        ]
        _start(stack, services)
        keystone.wait_ready()
        region = Region(folder / "region", {"keystone": _validating(keystone)})
        _start(stack, [region])
        region.wait_ready().load_definitions(_definitions())
        tokens, known = _accounts(keystone)
        peers = {one.name: Peer(one.wait_ready().url, tokens, known) for one in (*services, region)}
        yield World(peers, keystone.url)


WORLDS = {OPEN: open_world, KEYSTONE: keystone_world}


def _start(stack: ExitStack, services: Iterable[Server]) -> None:
    for service in services:
        stack.callback(service.stop)
        service.start(wait=False)


def _validating(keystone: Keystone) -> dict[str, Any]:
    account = {
        "auth_url": keystone.url,
        "username": keystone.service_user,
        "password": keystone.password,
        "user_domain_id": "default",
        "project_name": "service",
        "project_domain_id": "default",
    }
    return {"auth": account}


def _definitions() -> Path:
    return venvs.environment("glance") / "etc/glance/metadefs"


def _glance(folder: Path, postgres: Postgres, **options: Any) -> Glance:
    config = {
        "DEFAULT": {"enabled_backends": f"{STORE}:file"},
        "glance_store": {"default_backend": STORE},
        STORE: {"filesystem_store_datadir": str(folder / "store")},
    }
    return Glance(
        folder, name=folder.name, postgres=postgres, config=config, definitions=True, **options
    )


def _accounts(keystone: Keystone) -> tuple[Mapping[str, str], Mapping[str, str]]:
    tokens = {"forged": "no-such-token"}
    known = {}
    for user, (project, roles) in ACCOUNTS.items():
        keystone.user(user, keystone.password, project, roles)
        known[f"project.{project}"] = keystone.project(project)
        tokens[user] = keystone.token(user, keystone.password, project)
    return tokens, known
