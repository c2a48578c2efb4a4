"""The places that chunk stores are tested in."""

from uuid import uuid4

import pytest

from lab import Radosgw


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.import_plugin("tests.support.services")


@pytest.fixture
def bucket(radosgw: Radosgw, monkeypatch: pytest.MonkeyPatch) -> str:
    """Give the name of an empty bucket, and the environment that leads to it."""
    for key, value in radosgw.environment.items():
        monkeypatch.setenv(key, value)
    name = f"test-{uuid4().hex}"
    radosgw.bucket(name)
    return name
