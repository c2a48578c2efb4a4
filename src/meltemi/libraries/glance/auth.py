"""Where a Glance service is and how to be let in: with a token that stays fresh, or without one."""

import asyncio
import os
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

import yaml

from meltemi.errors import (
    AuthenticationError,
    ConfigurationError,
    MeltemiError,
    SilentError,
    UnreachableError,
)
from meltemi.model.address import LibraryAddress
from meltemi.model.credential import Credential
from meltemi.model.token import is_token

T = TypeVar("T")

REFRESH_AHEAD = 120.0
"""Seconds before its end at which a token is replaced, so that a request never starts late."""


class Auth(Protocol):
    """Gives the token of every request, and says for which project it is.

    None is a token for no project, or, without `knows_project`, one whose project must be asked.
    """

    project: str | None
    knows_project: bool

    async def token(self, *, renew: bool = False) -> str | None:
        """Give a token good for a request that starts now; `renew` after one was refused."""
        ...


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One Image service: its address without the version, its credentials, its TLS settings."""

    url: str
    auth: Auth
    tls: ssl.SSLContext | bool


class FixedToken:
    """A token that the user gave, or none at all."""

    project: str | None = None

    def __init__(self, name: str, token: str | None = None) -> None:
        self._name = name
        self._token = token
        self.knows_project = token is None

    async def token(self, *, renew: bool = False) -> str | None:
        """Give the token as it is; it cannot be renewed."""
        if renew:
            what = (
                "the token is expired or not valid here: give another one"
                if self._token
                else "it wants a token: give one with --token"
            )
            raise AuthenticationError(
                f"{self._name}: {what}, or name a clouds.yaml entry",
                library=self._name,
            )
        return self._token


class KeystoneToken:
    """A token from any keystoneauth plugin, taken anew before it ends."""

    def __init__(self, session: Any, name: str) -> None:
        self._session = session
        self._name = name
        self._lock = asyncio.Lock()
        self._token: str | None = None
        self._fresh_until = 0.0
        self.project: str | None = None
        self.knows_project = False

    async def token(self, *, renew: bool = False) -> str | None:
        """Give a token, asking Keystone (in a thread) only when the last one ages."""
        refused = self._token if renew else None
        async with self._lock:
            if self._token is None or self._token == refused or time.time() > self._fresh_until:
                await _aside(lambda: self._authenticate(renew=refused is not None))
            if renew and self._token == refused:
                raise AuthenticationError(
                    f"{self._name}: its token is expired or not valid here, and these credentials "
                    "give no other",
                    library=self._name,
                )
            return self._token

    def _authenticate(self, *, renew: bool) -> None:
        from keystoneauth1 import exceptions  # noqa: PLC0415 - slow to import

        plugin = self._session.auth
        try:
            with _reaching(self._session, self._name):
                if renew:
                    self._session.invalidate()
                self._token = plugin.get_token(self._session)
                project = plugin.get_project_id(self._session)
                access = plugin.get_access(self._session) if hasattr(plugin, "get_access") else None
        except (exceptions.Unauthorized, exceptions.Forbidden) as error:
            raise AuthenticationError(
                f"{self._name}: the identity service refuses the credentials: {error}",
                library=self._name,
            ) from error
        except exceptions.ClientException as error:
            raise AuthenticationError(f"{self._name}: {error}", library=self._name) from error
        if self._token is not None and not is_token(self._token):
            raise AuthenticationError(
                f"{self._name}: its token holds a character that no token can hold",
                library=self._name,
            )
        if access is None:  # a plugin of fixed tokens, or of no tokens
            self._fresh_until = float("inf")
            return
        self.project, self.knows_project = project, True
        left = access.expires.timestamp() - time.time()
        self._fresh_until = time.time() + left - min(REFRESH_AHEAD, left / 2)


def endpoint_of_url(
    address: LibraryAddress, token: str | None, name: str | None = None
) -> Endpoint:
    """Take a plain URL: no identity service, at most a fixed token."""
    if address.url is None:
        raise AssertionError("a URL address has a URL")
    return Endpoint(
        without_version(address.url),
        FixedToken(name or str(address), token),
        tls_of(address.url, cacert=address.cacert, insecure=address.insecure),
    )


@contextmanager
def _reaching(session: Any, name: str) -> Iterator[None]:
    from keystoneauth1 import exceptions  # noqa: PLC0415 - slow to import

    try:
        yield
    except exceptions.ConnectTimeout as error:
        raise SilentError(
            f"{name}: no answer of the identity service for {session.timeout:g} seconds: "
            f"{error}; see --timeout",
            library=name,
        ) from error
    except (exceptions.ConnectFailure, exceptions.DiscoveryFailure) as error:
        raise UnreachableError(f"{name}: no identity service: {error}", library=name) from error


async def _aside(work: Callable[[], T]) -> T:
    """Do blocking work in a thread that an interrupted program does not wait for."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def target() -> None:
        try:
            settle = partial(future.set_result, work())
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            settle = partial(future.set_exception, error)
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(lambda: future.done() or settle())

    threading.Thread(target=target, daemon=True).start()
    return await future


async def endpoint_of_cloud(
    address: LibraryAddress,
    name: str | None = None,
    silence: float = 120.0,
    credential: Credential | None = None,
) -> Endpoint:
    """Look a cloud up in clouds.yaml or `OS_*`, and its Image service in the catalogue.

    `silence` is how many seconds the identity service may be silent. With a `credential`, that is
    used in place of whatever account the cloud's entry has.

    Raise ConfigurationError for an unknown cloud or region, AuthenticationError and
    UnreachableError as the identity service answers.
    """
    label = name or str(address)

    def find() -> Endpoint:
        return _find_endpoint(address, label, silence, credential)

    return await _aside(lambda: _telling(find, label))


def _telling(look_up: Callable[[], T], name: str) -> T:
    try:
        return look_up()
    except MeltemiError as error:
        error.library = name
        raise
    except Exception as error:  # the SDK trips over a malformed file in many ways
        where = next(iter(_files()), "OS_*")
        raise ConfigurationError(
            f"{name}: cannot use what {where} says: {error}", library=name
        ) from error


async def token_of_cloud(address: LibraryAddress, name: str, silence: float = 120.0) -> Auth:
    """Give the tokens of a cloud's account, for a service that is not in its catalogue.

    Raise what `endpoint_of_cloud` raises.
    """

    def authenticate() -> Auth:
        return _log_in(_find_cloud(address, name), name, silence)[1]

    return await _aside(lambda: _telling(authenticate, name))


def _log_in(cloud: Any, name: str, silence: float) -> tuple[Any, KeystoneToken]:
    session: Any = cloud.get_session()
    session.timeout = silence
    auth = KeystoneToken(session, name)
    auth._authenticate(renew=False)  # noqa: SLF001 - errors of credentials come first
    return session, auth


def _find_cloud(address: LibraryAddress, name: str, credential: Credential | None = None) -> Any:
    import openstack.config  # noqa: PLC0415 - slow to import

    config = openstack.config.OpenStackConfig()
    known = sorted({*map(str, config.get_cloud_names())} - {"defaults"})
    if address.cloud not in known:
        _check_files(name, config.config_filename)
        raise ConfigurationError(
            f"unknown cloud {address.cloud!r}: "
            + (f"there are {', '.join(known)}" if known else "there is no clouds.yaml, no OS_*")
        )
    entry = config.cloud_config["clouds"][address.cloud]
    if not isinstance(entry, dict):
        raise ConfigurationError(f"{name}: its entry in {config.config_filename} is not a mapping")
    options: dict[str, Any] = {"region_name": address.region} if address.region else {}
    if address.region and "regions" not in entry:
        # Its one region is only where it leads by default; the catalogue knows the others.
        entry["region_name"] = address.region
    if address.cacert:
        options["cacert"] = str(address.cacert)
    if credential is not None:
        _use(credential, entry)
    cloud = config.get_one(address.cloud, **options)
    if address.insecure:
        cloud.config["verify"] = False
    return cloud


def _find_endpoint(
    address: LibraryAddress, name: str, silence: float, credential: Credential | None
) -> Endpoint:
    from keystoneauth1 import exceptions as ksa  # noqa: PLC0415 - slow to import

    cloud = _find_cloud(address, name, credential)
    session, auth = _log_in(cloud, name, silence)
    try:
        with _reaching(session, name):
            url = cloud.get_session_endpoint("image")
    except ksa.ClientException as error:
        raise ConfigurationError(f"{name}: no Image service in the catalogue: {error}") from error
    if url is None:
        region = cloud.get_region_name("image")
        raise ConfigurationError(
            f"{name}: the catalogue has no Image service"
            + (f" in region {region!r}" if region else "")
            + f"; its regions: {', '.join(_regions(session)) or 'none'}"
        )
    verify, certificate = cloud.get_requests_verify_args()
    context = tls_of(url, cacert=verify if isinstance(verify, str) else None, insecure=not verify)
    if certificate and isinstance(context, ssl.SSLContext):
        context.load_cert_chain(*([certificate] if isinstance(certificate, str) else certificate))
    return Endpoint(without_version(url), auth, context)


def _use(credential: Credential, entry: dict[str, Any]) -> None:
    """Put a credential in place of all that a cloud's entry says of an account."""
    known = entry.get("auth")
    url = known.get("auth_url") if isinstance(known, dict) else None
    entry["auth_type"] = "v3applicationcredential"
    entry["auth"] = {
        "auth_url": url,
        "application_credential_id": credential.id,
        "application_credential_secret": credential.secret,
    }


def _files() -> list[Path]:
    """Give the clouds.yaml files there are, the one that is taken first."""
    from openstack.config.loader import CONFIG_FILES  # noqa: PLC0415 - slow to import

    named = os.environ.get("OS_CLIENT_CONFIG_FILE")
    return [
        path for path in map(Path, [*([named] if named else []), *CONFIG_FILES]) if path.exists()
    ]


def _check_files(name: str, taken: str | None) -> None:
    """Raise ConfigurationError for a file that the SDK passed over since it cannot be read."""
    for path in _files():
        if str(path) == taken:
            return
        try:
            with path.open("rb") as file:  # of a stream, an error quotes nothing: no passwords
                yaml.safe_load(file)
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise ConfigurationError(f"{name}: cannot read {path}: {error}") from error


def _regions(session: Any) -> list[str]:
    catalogue = session.auth.get_access(session).service_catalog.get_endpoints("image")
    return sorted({e["region_id"] for found in catalogue.values() for e in found if e["region_id"]})


def tls_of(url: str, *, cacert: Path | str | None, insecure: bool) -> ssl.SSLContext | bool:
    """Give how the certificate at a URL is judged; False lets any pass.

    Raise ConfigurationError where those in `cacert` cannot be used.
    """
    if not url.startswith("https:"):
        return True
    if insecure:
        return False
    try:
        return ssl.create_default_context(cafile=cacert)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"cannot use the CA certificates in {cacert}: {error}") from error


def without_version(url: str) -> str:
    """Take the version from the end of a service's address, where it has one."""
    head, _, last = url.rstrip("/").rpartition("/")
    return head if last.startswith("v") and last[1:].replace(".", "").isdigit() else url.rstrip("/")
