"""Waiting for what happens by itself."""

import time
from collections.abc import Callable


def eventually(condition: Callable[[], bool]) -> None:
    """Wait until something holds; fail when it does not after minutes."""
    deadline = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)
