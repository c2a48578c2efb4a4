"""The services and the folders that libraries are tested on."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from meltemi.libraries.archive import open_archive
from meltemi.libraries.base import Library


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.import_plugin("tests.support.services")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give the folder of an archive, which is not there yet."""
    return tmp_path / "archive"


@pytest.fixture
async def archive(folder: Path) -> AsyncIterator[Library]:
    """Give an empty archive that can be written."""
    library = open_archive(folder, name="archive", writable=True)
    yield library
    await library.close()
