"""OpenStack's message bus, as oslo.messaging reaches it."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from ssl import CERT_REQUIRED
from typing import Any, Final
from urllib.parse import quote

from meltemi.errors import ConfigurationError

EXCHANGE: Final = "glance"
"""The exchange on which Image services tell what they do."""

TOPIC: Final = "notifications"

_PORT: Final = 5672
_TRUE: Final = ("1", "true", "yes", "on")


def open_transport(url: str, **options: str) -> Any:
    """Make oslo.messaging's transport to an address; nothing is reached yet.

    `options` are those of its driver; what the address says of them goes before. Raise
    ConfigurationError where the address is none, or oslo.messaging is not installed.
    """
    with _understanding():
        import oslo_messaging  # noqa: PLC0415 - slow to import, and not always installed

        oslo_messaging.set_transport_defaults(EXCHANGE)
        config, address = _parsed(url)
        address.query = {**options, **address.query}
        return oslo_messaging.get_notification_transport(config, address)


def connection_to(url: str) -> Mapping[str, Any]:
    """Say in kombu's words how oslo.messaging reaches RabbitMQ at an address.

    Raise what `open_transport` does.
    """
    with _understanding():
        _, address = _parsed(url)
    query, names = address.query, {"ca_certs": "ca", "certfile": "cert", "keyfile": "key"}
    files = {name: query[f"ssl_{word}_file"] for name, word in names.items() if _has(query, word)}
    if "ca_certs" in files:
        files |= {"cert_reqs": CERT_REQUIRED, "server_hostname": address.hosts[0].hostname}
    tls = query.get("ssl", "").lower() in _TRUE
    hosts = (
        f"amqp://{quote(host.username or '', '')}:{quote(host.password or '', '')}"
        f"@{_bracketed(host.hostname)}:{host.port or _PORT}/{quote(address.virtual_host or '', '')}"
        for host in address.hosts
    )
    return {"hostname": ";".join(hosts), "ssl": (files or True) if tls else False}


def _has(query: Mapping[str, str], word: str) -> bool:
    return bool(query.get(f"ssl_{word}_file"))


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _parsed(url: str) -> tuple[Any, Any]:
    from oslo_config import cfg  # noqa: PLC0415 - slow to import, and not always installed
    from oslo_messaging import TransportURL  # noqa: PLC0415 - the same

    config = cfg.ConfigOpts()
    config([], default_config_files=[], default_config_dirs=[])
    return config, TransportURL.parse(config, url)


@contextmanager
def _understanding() -> Iterator[None]:
    """Turn what oslo.messaging says of an address into ConfigurationError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what it still imports, and nobody uses
            import oslo_messaging  # noqa: PLC0415 - slow to import, and not always installed

            yield
    except ImportError as error:
        raise ConfigurationError(
            "notifications need oslo.messaging: install Meltemi by pip install '.[notifications]'"
        ) from error
    except (oslo_messaging.DriverLoadFailure, oslo_messaging.InvalidTransportURL) as error:
        # Nothing of it is shown: there is a password in it.
        raise ConfigurationError(
            "notifications.transport_url: that is no address of a message bus, "
            "such as rabbit://user:password@host:5672/"
        ) from error
