"""OpenStack's message bus, as oslo.messaging reaches it."""

import warnings
from typing import Any, Final

from meltemi.errors import ConfigurationError

EXCHANGE: Final = "glance"
"""The exchange on which Image services tell what they do."""

TOPIC: Final = "notifications"


def open_transport(url: str, **options: str) -> Any:
    """Make oslo.messaging's transport to an address; nothing is reached yet.

    `options` are those of its driver; what the address says of them goes before. Raise
    ConfigurationError where the address is none, or oslo.messaging is not installed.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what oslo.messaging still imports, and nobody uses
        return _open(url, options)


def _open(url: str, options: dict[str, str]) -> Any:
    try:
        import oslo_messaging  # noqa: PLC0415 - slow to import, and not always installed
        from oslo_config import cfg  # noqa: PLC0415
    except ImportError as error:
        raise ConfigurationError(
            "notifications need oslo.messaging: pip install 'meltemi[notifications]'"
        ) from error
    config = cfg.ConfigOpts()
    config([], default_config_files=[], default_config_dirs=[])
    oslo_messaging.set_transport_defaults(EXCHANGE)
    try:
        address = oslo_messaging.TransportURL.parse(config, url)
        address.query = {**options, **address.query}
        return oslo_messaging.get_notification_transport(config, address)
    except (oslo_messaging.DriverLoadFailure, oslo_messaging.InvalidTransportURL) as error:
        raise ConfigurationError(f"notifications.transport_url: {error}") from error
