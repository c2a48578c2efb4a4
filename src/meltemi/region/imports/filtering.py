"""From where users may have images fetched: what a URL may say, and where it may lead.

A user's URL is fetched by this service, which may reach what the user may not: other services of
the cloud, hosts of its own network, itself. So unless the operator allows a host by its name or
address, only addresses are connected to that everybody on the Internet reaches.
"""

import re
from collections.abc import Collection
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

from yarl import URL

from meltemi.errors import RefusedError
from meltemi.region.settings import WebDownload

_SPOKEN: Final = ("http", "https")
_SUSPECT: Final = re.compile(r"[^\x21-\x7e]|\\")
"""What no URL has, and what those who read URLs do not agree about."""

_NAME: Final = re.compile(r"[a-zA-Z0-9_-]+(?:\.[a-zA-Z0-9_-]+)*\.?")
_NUMBER: Final = re.compile(r"(?:^|\.)(?:[0-9]+|0[xX][0-9a-fA-F]*)$")
"""The end of a host that some would read as a number: an address in disguise."""

_TRANSLATED: Final = IPv6Network("64:ff9b::/96")
_UNICAST: Final = IPv6Network("2000::/3")
_PROTOCOLS: Final = IPv4Network("192.0.0.0/24")


class Filter:
    """Decides by what the operator allows; where something is allowed, all else is not."""

    def __init__(self, rules: WebDownload) -> None:
        self._rules = rules
        self._allowed = frozenset(map(_normal, rules.allowed_hosts))
        self._disallowed = frozenset(map(_normal, rules.disallowed_hosts))

    def read(self, text: object) -> URL:
        """Read a URL; raise RefusedError where it is none, or may not be fetched."""
        refusal = RefusedError(f"URI for web-download does not pass filtering: {text}")
        if not isinstance(text, str) or _SUSPECT.search(text):
            raise refusal
        try:
            url = URL(text, encoded=True)
            host, port = url.raw_host, url.port
        except ValueError:
            raise refusal from None
        if not host or url.user is not None or url.password is not None:
            raise refusal
        rules = self._rules
        admitted = (
            url.scheme in _SPOKEN
            and _passes(url.scheme, rules.allowed_schemes, rules.disallowed_schemes)
            and _passes(port, rules.allowed_ports, rules.disallowed_ports)
            and _passes(_normal(host), self._allowed, self._disallowed)
            and (_address(host) is not None or _is_name(host))
        )
        if not admitted:
            raise refusal
        return url

    def admits(self, host: str, address: str) -> bool:
        """Say whether a connection to a host may go to this address of it."""
        if self._allowed:
            return _normal(host) in self._allowed
        return _normal(address) not in self._disallowed and _is_public(address)


def _passes(value: object, allowed: Collection[object], disallowed: Collection[object]) -> bool:
    return value in allowed if allowed else value not in disallowed


def _is_name(host: str) -> bool:
    return bool(_NAME.fullmatch(host)) and not _NUMBER.search(host.rstrip("."))


def _normal(host: str) -> str:
    """Give the one form of a host's name or address."""
    address = _address(host)
    return host.rstrip(".").lower() if address is None else str(address)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return _embedded(address) or address


def _embedded(address: IPv4Address | IPv6Address) -> IPv4Address | None:
    """Give the address that one of the other kind stands for."""
    if isinstance(address, IPv4Address):
        return None
    if address in _TRANSLATED:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour


def _is_public(text: str) -> bool:
    """Say whether everybody reaches an address; what future networks are to be, nobody does."""
    address = _address(text)
    if address is None or address.is_multicast or address.is_reserved or not address.is_global:
        return False
    if isinstance(address, IPv4Address):
        return address not in _PROTOCOLS
    return address in _UNICAST
