"""`meltemi db upgrade` on a file."""

from pathlib import Path

import pytest

from meltemi.catalogue.migrations import versions
from tests.cli.starting import meltemi, succeed

REVISIONS = Path(versions.__file__).parent.glob("revision_*.py")
NEWEST = max(path.stem.removeprefix("revision_") for path in REVISIONS)


@pytest.fixture
def database(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'region.sqlite'}"


def test_a_database_is_prepared_once(database: str) -> None:
    rows = succeed("db", "upgrade", "--database", database, "-f", "json").rows
    assert rows == [{"Before": "empty", "Now": NEWEST}]
    again = succeed(
        "db", "upgrade", "-f", "csv", "-c", "before", env={"MELTEMI_DATABASE": database}
    )
    assert again.out == f"Before\n{NEWEST}\n"


def test_a_wrong_url_is_a_usage_error(tmp_path: Path) -> None:
    wrong = meltemi("db", "upgrade", "--database", "mysql://host/x", code=2)
    assert wrong.complaint.startswith("meltemi: a catalogue cannot be in mysql: give sqlite:////")
    assert "Missing option '--database'" in meltemi("db", "upgrade", code=2).complaint
    unknown = meltemi(
        *("db", "upgrade", "--database", f"sqlite:///{tmp_path / 'x'}", "-c", "no"), code=2
    )
    assert "no column 'no': there are Before, Now" in unknown.complaint
    assert list(tmp_path.iterdir()) == []


def test_a_database_that_fails(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'no folder' / 'region.sqlite'}"
    failed = meltemi("db", "upgrade", "--database", url, code=9)
    assert failed.complaint == f"meltemi: {url}: the catalogue: unable to open database file"
    away = meltemi("db", "upgrade", "--database", "postgresql://u:secret@127.0.0.1:1/x", code=9)
    assert "127.0.0.1" in away.complaint
    assert "secret" not in away.complaint
