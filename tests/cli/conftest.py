"""What tests of the command line share."""

from pathlib import Path

import pytest

from tests.cli.in_memory import Command


@pytest.fixture
def command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """Give the command line over libraries in memory, in a folder of its own."""
    made = Command(tmp_path, capsys)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("meltemi.cli.work.open_library", made.open)
    return made
