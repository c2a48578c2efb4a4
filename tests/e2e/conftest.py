"""What the tests against real services share: one cloud for the whole session."""

from collections.abc import Generator, Iterator

import pytest

from lab import Cloud, Unavailable
from tests.support.user import Accounts, Cli


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Generator[None]:
    yield from _skip_by_name()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None]:
    yield from _skip_by_name()


def _skip_by_name() -> Generator[None]:
    try:
        yield
    except Unavailable as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """Keystone with two regions; the Glances without authentication start when asked for."""
    with Cloud(tmp_path_factory.mktemp("cloud")) as made:
        yield made


@pytest.fixture(scope="session")
def accounts(cloud: Cloud) -> Accounts:
    """Give the clouds.yaml of the tests: the cloud's own, and whatever accounts tests add."""
    return Accounts(cloud)


@pytest.fixture
def cli(accounts: Accounts, tmp_path_factory: pytest.TempPathFactory) -> Cli:
    """Give the command line, in an empty folder of its own."""
    return Cli(accounts.environment(), tmp_path_factory.mktemp("cli"))
