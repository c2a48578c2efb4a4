"""From settings to an identity."""

import ssl
from typing import Any, Final

from meltemi.errors import ConfigurationError
from meltemi.region.identity.account import Account
from meltemi.region.identity.base import Identity
from meltemi.region.identity.keystone import Keystone
from meltemi.region.identity.nobody import Nobody
from meltemi.region.identity.plugins import load_plugin
from meltemi.region.policy import Policy
from meltemi.region.settings import KeystoneSettings, Settings

PATIENCE: Final = 10.0
"""Seconds that Keystone may take to answer."""


def open_identity(settings: Settings, policy: Policy) -> Identity:
    """Make what tells who asks; nothing is asked of Keystone yet.

    Raise ConfigurationError where the certificates in `keystone.cacert` cannot be used.
    """
    keystone = settings.keystone
    if keystone is None:
        return Nobody()
    session = _session(keystone)
    return Keystone(
        session,
        uri=keystone.www_authenticate_uri or session.auth.auth_url,
        is_admin=policy.is_admin,
        tls=tls_of(keystone),
        remember=keystone.token_cache_time.total_seconds(),
        patience=PATIENCE,
    )


def open_account(settings: Settings) -> Account | None:
    """Make the region's own account, for what is asked of other services; None without Keystone."""
    return Account(_session(settings.keystone)) if settings.keystone else None


def _session(keystone: KeystoneSettings) -> Any:
    from keystoneauth1.session import Session  # noqa: PLC0415 - slow to import

    plugin = load_plugin(keystone.auth_type, keystone.auth)
    verify = str(keystone.cacert) if keystone.cacert else not keystone.insecure
    return Session(plugin, verify=verify, timeout=PATIENCE)


def tls_of(keystone: KeystoneSettings) -> ssl.SSLContext | bool:
    """Give how the certificates of the cloud's services are judged; False lets any pass."""
    if keystone.insecure:
        return False
    try:
        return ssl.create_default_context(cafile=keystone.cacert)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            f"keystone.cacert: cannot use the certificates in {keystone.cacert}: {error}"
        ) from error
