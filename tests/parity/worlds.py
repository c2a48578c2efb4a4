"""The services that are compared, and the people who ask them."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab import Glance, Keystone, Memcached, Postgres, Server, venvs
from lab import limits as unified
from lab.wsgi import Settings, merge
from tests.parity.asking import FULL, KEYSTONE, LIMITS, OPEN, TWINS
from tests.parity.peers import Peer
from tests.parity.region import Region
from tests.support.services import ONE_PROCESS
from tests.support.websites import Website

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

QUOTAS = {
    "image_count_total": 3,
    "image_count_uploading": 1,
    "image_size_total": 5,
    "image_stage_total": 3,
}
"""What each project may have in the world with limits; sizes in MiB."""

REGION = "RegionOne"

WEB = "127.0.0.1"
"""From where images may be fetched in the world with limits."""

STORE = "chunks"
"""The name that the store has in every service."""

_NO_CACHE = {"hot_images": 0}
_LOCATIONS = {"show_image_direct_url": True, "show_multiple_locations": True}


@dataclass(frozen=True, slots=True)
class World:
    """The two services, first a Glance, and the URL of the Keystone in front, if there is one."""

    peers: tuple[Peer, Peer]
    keystone: str = ""


@contextmanager
def open_world(folder: Path, postgres: Postgres) -> Iterator[World]:
    """Run a Glance and a region without authentication."""
    with ExitStack() as stack:
        glance, region = _glance(folder / "glance", postgres), Region(folder / "region", _NO_CACHE)
        _start(stack, [glance, region])
        region.wait_ready().load_definitions(_definitions())
        yield World((Peer(glance.wait_ready().url), Peer(region.url)))


@contextmanager
def twins_world(folder: Path, postgres: Postgres) -> Iterator[World]:
    """Run two Glances without authentication."""
    with ExitStack() as stack:
        one, other = (_glance(folder / name, postgres) for name in ("one", "other"))
        _start(stack, [one, other])
        yield World((Peer(one.wait_ready().url), Peer(other.wait_ready().url)))


@contextmanager
def keystone_world(folder: Path, postgres: Postgres) -> Iterator[World]:
    """Run a Glance and a region behind a Keystone in which everybody has an account."""
    with _behind_keystone(folder, postgres, settings=_NO_CACHE) as world:
        yield world


@contextmanager
def limits_world(folder: Path, postgres: Postgres) -> Iterator[World]:
    """Run the same, with limits that Keystone has for both."""
    with _behind_keystone(folder, postgres, settings=_NO_CACHE, limits=QUOTAS) as world:
        yield world


@contextmanager
def full_world(folder: Path, postgres: Postgres) -> Iterator[World]:
    """Run both with what is off by default: a cache, and locations, also on a web site.

    Its URL is `<site>`. As in a region, an image has one location at most.
    """
    with Website() as site:
        site.put("/data", b"data of a web site" * 1000)
        config: Settings = {
            "DEFAULT": {
                "enabled_backends": f"{STORE}:file,web:http",
                "image_location_quota": 1,
                "image_cache_dir": folder / "cache",
                "image_cache_driver": "sqlite",
                **_LOCATIONS,
            },
            "web": {"store_description": "the web"},
            "import_filtering_opts": {
                "allowed_hosts": "[127.0.0.1]",
                "allowed_ports": f"[{site.port}]",
            },
            "paste_deploy": {"flavor": "keystone+cachemanagement"},
        }
        web = {"allowed_hosts": ["127.0.0.1"], "allowed_ports": [site.port]}
        settings = {**_LOCATIONS, "http_store": True, "web_download": web}
        known = {"site": site.url}
        with _behind_keystone(
            folder, postgres, config=config, settings=settings, known=known
        ) as world:
            yield world


@contextmanager
def _behind_keystone(
    folder: Path,
    postgres: Postgres,
    *,
    config: Settings | None = None,
    settings: Mapping[str, Any] | None = None,
    known: Mapping[str, str] | None = None,
    limits: Mapping[str, int] | None = None,
) -> Iterator[World]:
    with ExitStack() as stack:
        memcached = stack.enter_context(Memcached(folder / "memcached"))
        keystone = Keystone(folder / "keystone", postgres=postgres, memcached=memcached)
        stack.callback(keystone.stop)
        keystone.start(wait=False)
        named = {"keystone": keystone, "region": REGION, "limits": limits}
        glance = _glance(folder / "glance", postgres, config, **named)
        _start(stack, [glance])
        keystone.wait_ready()
        validating = _validating(keystone, limited=limits is not None)
        web = {"web_download": {"allowed_hosts": [WEB]}} if limits else {}
        chosen = {"keystone": validating, **web, **(settings or {})}
        region = Region(folder / "region", chosen)
        _start(stack, [region])
        region.wait_ready().load_definitions(_definitions())
        tokens, projects = _accounts(keystone)
        known = {**projects, **(known or {})}
        first = Peer(glance.wait_ready().url, tokens, known)
        yield World((first, Peer(region.url, tokens, known)), keystone.url)


WORLDS = {
    OPEN: open_world,
    KEYSTONE: keystone_world,
    LIMITS: limits_world,
    FULL: full_world,
    TWINS: twins_world,
}


def _start(stack: ExitStack, services: Iterable[Server]) -> None:
    for service in services:
        stack.callback(service.stop)
        service.start(wait=False)


def _validating(keystone: Keystone, *, limited: bool) -> dict[str, Any]:
    if limited:
        return {"auth": unified.account(keystone), "limits_region": REGION}
    account = keystone.login()
    return {"auth": account}


def _definitions() -> Path:
    return venvs.environment("glance") / "etc/glance/metadefs"


def _glance(
    folder: Path, postgres: Postgres, config: Settings | None = None, **options: Any
) -> Glance:
    stores: Settings = {
        "DEFAULT": {"enabled_backends": f"{STORE}:file"},
        "glance_store": {"default_backend": STORE},
        STORE: {"filesystem_store_datadir": str(folder / "store")},
        "import_filtering_opts": {"allowed_hosts": f"[{WEB}]"} if options.get("limits") else {},
    }
    chosen = merge(stores, config or {})
    return Glance(
        folder,
        name=folder.name,
        postgres=postgres,
        config=chosen,
        definitions=True,
        **ONE_PROCESS,
        **options,
    )


def _accounts(keystone: Keystone) -> tuple[Mapping[str, str], Mapping[str, str]]:
    tokens = {"forged": "no-such-token"}
    known = {}
    for user, (project, roles) in ACCOUNTS.items():
        keystone.user(user, keystone.password, project, roles)
        known[f"project.{project}"] = keystone.project(project)
        tokens[user] = keystone.token(user, keystone.password, project)
    return tokens, known
