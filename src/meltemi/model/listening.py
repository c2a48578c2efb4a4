"""Where a service listens: `host:port`."""

import re
from ipaddress import ip_address
from typing import Final, NamedTuple

_FORM: Final = re.compile(r"(?P<host>[\w.-]+|\[[0-9A-Fa-f:.]+\]):(?P<port>[0-9]{1,5})", re.ASCII)
_LAST_PORT: Final = 65535


class ListeningAddress(NamedTuple):
    """A host's name or address, and a port; 0 is any that is free."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Say whether only this machine can reach it."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def reachable(self) -> "ListeningAddress":
        """Give where this machine reaches it: loopback for what listens everywhere."""
        loopback = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - nothing listens by this
        return ListeningAddress(loopback.get(self.host, self.host), self.port)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_listening(text: str) -> ListeningAddress:
    """Read such an address; raise ValueError where it is none."""
    found = _FORM.fullmatch(text)
    if found is None or int(found["port"]) > _LAST_PORT:
        raise ValueError(f"{text!r} is not where a service can listen; use host:port")
    return ListeningAddress(found["host"].strip("[]"), int(found["port"]))
