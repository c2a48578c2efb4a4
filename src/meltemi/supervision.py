"""What a service manager wants to know of a service."""

import os
import socket
from contextlib import suppress


def tell_ready() -> None:
    """Say that the service is at work, where somebody wants to know: see sd_notify(3)."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        # A leading @ stands for the zero byte of an address that is no file.
        manager.connect(f"\0{address[1:]}" if address.startswith("@") else address)
        manager.send(b"READY=1")
