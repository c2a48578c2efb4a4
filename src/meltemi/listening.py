"""Sockets that a service listens on, and its certificate."""

import socket
import ssl
from pathlib import Path
from typing import Final

from meltemi.errors import UsageError

_BACKLOG: Final = 1024


def listen(host: str, port: int) -> socket.socket:
    """Open the listening socket; raise UsageError where the address cannot be had."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        # Python adds the address, which is named already.
        why = str(error.strerror).partition(" (while")[0]
        raise UsageError(f"cannot listen on {host} port {port}: {why}") from error


def tls_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """Make what a service shows its clients; raise UsageError where that cannot be used."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise UsageError(f"{certificate}: no certificate with its key: {error}") from error
    return context
