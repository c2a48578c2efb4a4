"""What keeps a region from starting: it says so in one line and ends, however many workers."""

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml

from lab import Postgres
from tests.support.cli import meltemi

WRONG: dict[str, tuple[dict[str, Any], int, str]] = {
    "certificate": ({"tls": {"certificate": "no.pem", "key": "no.pem"}}, 2, "no certificate"),
    "policies": ({"policy_file": "no.yaml"}, 2, "no.yaml: cannot be read"),
    "protections": ({"property_protection_file": "no.conf"}, 2, "no.conf: cannot be read"),
    "data": ({"data": "file"}, 2, "file: cannot be made, or is no folder: File exists"),
    "store": ({"store": "file"}, 2, "file: it is no folder"),
    "bucket": ({"store": "s3://images/region"}, 2, "store: one in a bucket needs an index"),
    "database": ({"database": "mysql://db/region"}, 2, "a catalogue cannot be in mysql"),
    "bus": ({"notifications": {"transport_url": "guest@bus"}}, 2, "notifications.transport_url: "),
    "adoption": ({"adopt": {"endpoint": "http://127.0.0.1:1"}}, 2, "is not begun"),
    "keystone": (
        {
            "keystone": {
                "auth": {"auth_url": "http://k", "username": "u", "password": "p"},
                "cacert": "no.pem",
            }
        },
        2,
        "keystone.cacert: cannot use",
    ),
}


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_told_before_anything_starts(
    what: str, workers: int, tmp_path: Path
) -> None:
    settings, code, words = WRONG[what]
    (tmp_path / "file").touch()
    ended = serve(tmp_path, code, workers=workers, **settings)
    assert words in ended
    assert "serving" not in ended


@pytest.mark.parametrize("workers", [1, 2])
def test_a_database_that_is_not_upgraded(workers: int, tmp_path: Path, postgres: Postgres) -> None:
    name = f"misuse-{uuid4().hex}"
    postgres.create_database(name)
    told = serve(tmp_path, 9, workers=workers, database=f"{postgres.url}/{name}")
    assert "meltemi db upgrade" in told


def serve(folder: Path, code: int, **settings: object) -> str:
    """Give the line with which a region ends that was to be served."""
    file = folder / "meltemi-region.yaml"
    file.write_text(yaml.safe_dump({"version": 1, "port": 0, **settings}))
    return str(meltemi("serve", "--config", file, code=code).complaint)
