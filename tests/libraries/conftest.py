"""The services and the folders that libraries are tested on."""

import subprocess
from collections.abc import AsyncIterator, Iterator
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


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """Mount a file system of 4 MiB."""
    path = tmp_path / "small"
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "meltemi-test", str(path)]
    done = subprocess.run(mount, check=False, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(
            "A DISK THAT IS FULL, OR CANNOT BE WRITTEN, IS NOT TESTED, for mounting needs root: "
            f"{done.stderr.strip()}"
        )
    yield path
    subprocess.run(["umount", str(path)], check=True)
