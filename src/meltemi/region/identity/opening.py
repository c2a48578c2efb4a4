"""From settings to an identity."""

import ssl
from collections.abc import Callable
from typing import Any, Final

from meltemi.errors import ConfigurationError
from meltemi.region.context import Context
from meltemi.region.identity.account import Account
from meltemi.region.identity.asking import Asking
from meltemi.region.identity.base import Identity
from meltemi.region.identity.keystone import Keystone
from meltemi.region.identity.limits import UnifiedLimits
from meltemi.region.identity.nobody import Nobody
from meltemi.region.identity.plugins import load_plugin
from meltemi.region.policy import Policy
from meltemi.region.settings import KeystoneAccount, Settings

PATIENCE: Final = 10.0
"""Seconds that Keystone may take to answer."""


def open_identity(settings: Settings, policy: Policy) -> Identity:
    """Make what tells who asks; nothing is asked of Keystone yet.

    Raise ConfigurationError where the certificates in `keystone.cacert` cannot be used.
    """
    keystone = settings.keystone
    if keystone is None:
        return Nobody()
    return open_keystone(keystone, policy.is_admin)


def open_keystone(keystone: KeystoneAccount, is_admin: Callable[[Context], bool]) -> Keystone:
    """Make what judges tokens of Keystone; errors as of `open_identity`."""
    plugin = load_plugin(keystone.auth_type, keystone.auth)
    return Keystone(
        _asking(keystone, plugin),
        uri=keystone.www_authenticate_uri or plugin.auth_url,
        is_admin=is_admin,
        remember=keystone.token_cache_time.total_seconds(),
    )


def open_limits(settings: Settings) -> UnifiedLimits | None:
    """Make what tells the limits of projects, where Keystone's hold; nothing is asked yet."""
    keystone = settings.keystone
    if keystone is None or keystone.limits_region is None:
        return None
    plugin = load_plugin(keystone.auth_type, keystone.auth)
    return UnifiedLimits(_asking(keystone, plugin), keystone.limits_region)


def open_account(settings: Settings) -> Account | None:
    """Make the region's own account, for what is asked of other services; None without Keystone."""
    keystone = settings.keystone
    if keystone is None:
        return None
    return Account(_session(keystone, load_plugin(keystone.auth_type, keystone.auth)))


def _asking(keystone: KeystoneAccount, plugin: Any) -> Asking:
    return Asking(_session(keystone, plugin), tls=tls_of(keystone), patience=PATIENCE)


def _session(keystone: KeystoneAccount, plugin: Any) -> Any:
    from keystoneauth1.session import Session  # noqa: PLC0415 - slow to import

    verify = str(keystone.cacert) if keystone.cacert else not keystone.insecure
    return Session(plugin, verify=verify, timeout=PATIENCE)


def tls_of(keystone: KeystoneAccount) -> ssl.SSLContext | bool:
    """Give how the certificates of the cloud's services are judged; False lets any pass."""
    if keystone.insecure:
        return False
    try:
        return ssl.create_default_context(cafile=keystone.cacert)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            f"keystone.cacert: cannot use the certificates in {keystone.cacert}: {error}"
        ) from error
