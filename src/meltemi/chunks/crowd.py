"""Those who write to a store in one process: the more they are, the less memory each may take."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Crowd:
    """Counts them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0

    @contextmanager
    def joined(self) -> Iterator[None]:
        """Count one more for a while."""
        with self._lock:
            self._count += 1
        try:
            yield
        finally:
            with self._lock:
                self._count -= 1

    def share(self, most: int, least: int) -> int:
        """Give how many bytes one may take of what one alone would take at most."""
        return max(least, most // max(1, self._count))
