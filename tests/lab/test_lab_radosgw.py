"""An S3 of the lab's own starts, keeps objects, and leaves nothing behind."""

from pathlib import Path

import pytest
from obstore.store import S3Store

from lab import LabError, Radosgw
from lab.process import listening


def store(server: Radosgw, bucket: str) -> S3Store:
    """Open a bucket as any client would."""
    facts = server.environment
    return S3Store(
        bucket,
        endpoint=facts["AWS_ENDPOINT_URL"],
        region=facts["AWS_REGION"],
        access_key_id=facts["AWS_ACCESS_KEY_ID"],
        secret_access_key=facts["AWS_SECRET_ACCESS_KEY"],
        client_options={"allow_http": True},
    )


def test_each_bucket_has_its_own_objects(radosgw: Radosgw) -> None:
    one, two = (
        store(radosgw, radosgw.bucket(f"lab-{name}").removeprefix("s3://")) for name in "ab"
    )
    one.put("name", b"data")
    assert bytes(one.get("name").bytes()) == b"data"
    assert two.list().collect() == []


def test_what_it_refuses_is_told(radosgw: Radosgw) -> None:
    with pytest.raises(LabError, match="InvalidBucketName"):
        radosgw.bucket("X")
    with pytest.raises(LabError, match="radosgw-admin failed"):
        radosgw.administer("no", "such", "command")


def test_nothing_of_it_stays_when_it_is_left() -> None:
    server = Radosgw()
    pids: list[int] = []

    def fail() -> None:
        pids.extend(daemon.pid for daemon in (server.monitor, server.storage, server.gateway))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), server:
        fail()
    assert len(pids) == 3
    assert not server.folder.exists()
    assert not listening(server.gateway.port)
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
