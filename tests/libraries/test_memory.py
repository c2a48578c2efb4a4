"""The library in memory that other tests rely on keeps the contract of libraries."""

import pytest

from meltemi.libraries.base import Library
from tests.libraries.conformance import LibraryConformance
from tests.support.memory import MemoryLibrary


class TestMemory(LibraryConformance):
    """An administrator's view."""

    @pytest.fixture
    def library(self) -> Library:
        return MemoryLibrary()
