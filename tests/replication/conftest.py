"""What tests of replication share."""

from collections.abc import Iterator

import pytest
import stamina

from tests.support.memory import MemoryLibrary
from tests.support.memory_exchange import ExchangingLibrary


@pytest.fixture(autouse=True)
def _no_pauses() -> Iterator[None]:
    """Retry at once, and as often as the code means to."""
    with stamina.set_testing(True, attempts=100, cap=True):
        yield


@pytest.fixture
def source() -> MemoryLibrary:
    """Give a library to copy from, which is read in small pieces."""
    return MemoryLibrary("source", project="theirs", piece=7)


@pytest.fixture
def target() -> MemoryLibrary:
    """Give a library to copy to, of another project."""
    return MemoryLibrary("target", project="ours")


@pytest.fixture
def targets() -> list[MemoryLibrary]:
    """Give three libraries to copy to."""
    return [MemoryLibrary(f"target{number}") for number in range(3)]


@pytest.fixture
def athens() -> ExchangingLibrary:
    """Give a library that exchanges."""
    return ExchangingLibrary("athens")


@pytest.fixture
def crete() -> ExchangingLibrary:
    """Give another one."""
    return ExchangingLibrary("crete")
