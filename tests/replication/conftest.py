"""What tests of replication share."""

from collections.abc import Iterator

import pytest
import stamina


@pytest.fixture(autouse=True)
def _no_pauses() -> Iterator[None]:
    """Retry at once, and as often as the code means to."""
    with stamina.set_testing(True, attempts=100, cap=True):
        yield
