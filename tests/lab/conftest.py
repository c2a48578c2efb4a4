"""Services that the tests of the lab share."""

from collections.abc import Iterator

import pytest

from lab import Cloud, Postgres, Unavailable


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    try:
        server = Postgres()
    except Unavailable as reason:
        pytest.skip(str(reason))
    with server:
        yield server
    server.remove()


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    try:
        made = Cloud(tmp_path_factory.mktemp("cloud"))
    except Unavailable as reason:
        pytest.skip(str(reason))
    with made:
        yield made
