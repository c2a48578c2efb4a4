"""`meltemi store …` with its index in PostgreSQL, and its data in an S3."""

from pathlib import Path
from uuid import uuid4

import pytest

from lab import Postgres, Radosgw
from tests.chunks.commanding import Keeper
from tests.chunks.making import MIB, holey, noise


@pytest.fixture
def index(postgres: Postgres) -> str:
    """Give the URL of an empty database."""
    name = f"index-{uuid4().hex}"
    postgres.create_database(name)
    return f"{postgres.url}/{name}"


def work(keeper: Keeper) -> None:
    """Do everything that a user does."""
    keeper.run("init")
    keeper.put("one", holey(1))
    keeper.put("two", noise(50, 2 * MIB))
    assert keeper.put("three", noise(50, 2 * MIB))["Stored"] == 0
    assert keeper.get("one") == holey(1)
    assert keeper.piped("range", "two", "1MiB", "1k").stdout == noise(50, 2 * MIB)[MIB:][:1024]
    keeper.run("delete", "two", "three")
    assert keeper.row("gc")["Freed"] > 2 * MIB
    assert keeper.rows("check") == []
    assert keeper.rows("scrub") == []
    assert keeper.row("reindex")["Images"] == 1
    assert keeper.get("one") == holey(1)
    assert [row["Name"] for row in keeper.rows("list")] == ["one"]


def test_an_index_in_postgresql(tmp_path: Path, postgres: Postgres, index: str) -> None:
    keeper = Keeper(tmp_path, env={"MELTEMI_INDEX": index})
    work(keeper)
    dump = postgres.execute("SELECT name FROM heads", database=index.rpartition("/")[2])
    assert dump == "one"


def test_an_index_in_postgresql_that_is_lost(
    tmp_path: Path, postgres: Postgres, index: str
) -> None:
    keeper = Keeper(tmp_path, env={"MELTEMI_INDEX": index})
    keeper.run("init")
    keeper.put("one", holey(1))
    other = f"index-{uuid4().hex}"
    postgres.create_database(other)
    keeper.env = {"MELTEMI_INDEX": f"{postgres.url}/{other}"}
    assert "rebuild it (meltemi store reindex store)" in keeper.run("list", code=9).complaint
    keeper.run("reindex")
    assert keeper.get("one") == holey(1)


def test_a_database_that_does_not_exist(tmp_path: Path, postgres: Postgres) -> None:
    keeper = Keeper(tmp_path, env={"MELTEMI_INDEX": f"{postgres.url}/nothing"})
    assert 'database "nothing" does not exist' in keeper.run("init", code=9).complaint


def test_data_in_a_bucket(tmp_path: Path, radosgw: Radosgw, bucket: str, index: str) -> None:
    env = {**radosgw.environment, "MELTEMI_INDEX": index}
    keeper = Keeper(tmp_path, f"s3://{bucket}/images", env)
    work(keeper)
    keeper.env = {**env, "AWS_SECRET_ACCESS_KEY": "wrong"}
    assert keeper.run("list", code=5).complaint.startswith(f"meltemi: s3://{bucket}/images: ")
    keeper.env = env
    nowhere = Keeper(tmp_path, "s3://nowhere/images", env)
    assert "s3://nowhere/images: " in nowhere.run("list", code=2).complaint
