"""Real Glance services keep the contract of libraries: the newest, the oldest, with Keystone."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lab import Cloud
from meltemi.libraries.base import Library
from meltemi.libraries.opening import open_library
from meltemi.model.address import LibraryAddress
from tests.libraries.conformance import LibraryConformance

pytestmark = pytest.mark.services


def open_sockets() -> int:
    """Count the sockets of this process."""
    links = Path("/proc/self/fd").iterdir()
    return sum(link.is_socket() for link in links)


class TestAnonymous(LibraryConformance):
    """The newest release, without authentication."""

    @pytest.fixture
    async def library(self, cloud: Cloud) -> AsyncIterator[Library]:
        library = await open_library(LibraryAddress(url=cloud.anonymous().url), silence=60)
        yield library
        await library.close()


class TestOld(LibraryConformance):
    """The oldest release that still starts."""

    @pytest.fixture
    async def library(self, cloud: Cloud) -> AsyncIterator[Library]:
        library = await open_library(LibraryAddress(url=cloud.old().url), silence=60)
        yield library
        await library.close()


class TestSecure(LibraryConformance):
    """One behind TLS."""

    @pytest.fixture
    async def library(self, cloud: Cloud) -> AsyncIterator[Library]:
        address = LibraryAddress(url=cloud.secure().url, cacert=Path(cloud.authority.bundle))
        before = open_sockets()
        library = await open_library(address, silence=60)
        yield library
        await library.close()
        # asyncio ends connections with TLS a moment after they are closed.
        while open_sockets() > before:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)


class TestKeystone(LibraryConformance):
    """An administrator's view of a region of a cloud."""

    @pytest.fixture
    async def library(
        self, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
    ) -> AsyncIterator[Library]:
        monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(cloud.clouds_yaml))
        library = await open_library(LibraryAddress(cloud="admin", region="RegionTwo"), silence=60)
        yield library
        await library.close()
