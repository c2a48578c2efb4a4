"""The services of the session's one cloud, as their users see them."""

import re
from collections.abc import Iterator
from itertools import count

import pytest

from lab import Cloud
from tests.e2e.islands import Islands, islands_of
from tests.support.accounts import Accounts
from tests.support.cli import User
from tests.support.glance import Service

_numbers = count(1)


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.import_plugin("tests.support.services")


@pytest.fixture
def user(accounts: Accounts, tmp_path_factory: pytest.TempPathFactory) -> User:
    """Give a user of the command line, in an empty folder."""
    return User(tmp_path_factory.mktemp("user"), accounts.variables)


@pytest.fixture(scope="session")
def one(cloud: Cloud, accounts: Accounts) -> Service:
    """Give RegionOne as its administrator sees it."""
    return Service(cloud.regions["RegionOne"], cloud.postgres, token=accounts.token("admin"))


@pytest.fixture(scope="session")
def two(cloud: Cloud, accounts: Accounts) -> Service:
    """Give RegionTwo as its administrator sees it."""
    return Service(cloud.regions["RegionTwo"], cloud.postgres, token=accounts.token("admin"))


@pytest.fixture(scope="session")
def anonymous(cloud: Cloud) -> Service:
    """Give the Glance without authentication."""
    return Service(cloud.anonymous(), cloud.postgres)


@pytest.fixture(scope="session")
def secure(cloud: Cloud) -> Service:
    """Give the Glance behind TLS."""
    return Service(cloud.secure(), cloud.postgres, cafile=cloud.authority.bundle)


@pytest.fixture(scope="session")
def old(cloud: Cloud) -> Service:
    """Give the oldest Glance."""
    return Service(cloud.old(), cloud.postgres)


@pytest.fixture(scope="session")
def others(anonymous: Service, old: Service) -> tuple[Service, Service]:
    """Give both at once."""
    return anonymous, old


@pytest.fixture(scope="session")
def both_islands(
    cloud: Cloud, accounts: Accounts, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Islands]:
    """Give two regions that fetch from each other; for `islands`."""
    with islands_of(cloud, accounts, tmp_path_factory.mktemp("islands")) as islands:
        yield islands


@pytest.fixture
def islands(both_islands: Islands) -> Islands:
    """Give two regions that fetch from each other, where all goes well so far."""
    both_islands.calm()
    return both_islands


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """Give a beginning for the names of the test's images; no other test's begin so."""
    test = re.sub(r"\W+", "-", str(request.node.name).removeprefix("test_"))
    return f"{test}.{next(_numbers)}."
