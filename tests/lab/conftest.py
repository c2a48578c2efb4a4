"""Services that the tests of the lab share."""

from collections.abc import Generator, Iterator

import pytest

from lab import Cloud, Postgres, Unavailable


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
def postgres() -> Iterator[Postgres]:
    with Postgres() as server:
        yield server


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with Cloud(tmp_path_factory.mktemp("cloud")) as made:
        yield made
