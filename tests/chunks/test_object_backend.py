"""Objects in a bucket: the contract of backends, and what can happen on the way to a store."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from obstore.store import S3Store

from lab import Authority, Radosgw, free_port
from lab.tls import TlsFront
from meltemi.chunks.backends import objects
from meltemi.chunks.backends.objects import ObjectBackend
from meltemi.errors import (
    AuthenticationError,
    MeltemiError,
    QuotaError,
    SilentError,
    StoreError,
    UnreachableError,
    UntrustedError,
    UsageError,
)
from tests.chunks.backend_conformance import BackendConformance, Everything, named
from tests.chunks.making import KIB, MIB, noise
from tests.chunks.writing import killed_at_any_moment, seen_whole, writing
from tests.support.proxy import Fault, Proxy

ALL = ("GET", "PUT", "HEAD", "DELETE")
DATA = noise(1, 200 * KIB)


class TestMemory(BackendConformance):
    """Obstore's own store in memory."""

    @pytest.fixture
    def backend(self) -> ObjectBackend:
        return ObjectBackend("memory:///")

    @pytest.fixture
    def everything(self, backend: ObjectBackend) -> Everything:
        return lambda: {meta["path"] for page in backend._store.list() for meta in page}


class TestRadosgw(BackendConformance):
    """Ceph's object gateway."""

    @pytest.fixture
    def backend(self, bucket: str) -> ObjectBackend:
        return ObjectBackend(f"s3://{bucket}/deep/store")

    @pytest.fixture
    def everything(self, bucket: str) -> Everything:
        store = S3Store(bucket, client_options={"allow_http": True})
        return lambda: {meta["path"] for page in store.list() for meta in page}


class TestBucketOfItsOwn(TestRadosgw):
    """The same without a prefix."""

    @pytest.fixture
    def backend(self, bucket: str) -> ObjectBackend:
        return ObjectBackend(f"s3://{bucket}")


def lying_in(radosgw: Radosgw, bucket: str) -> set[str]:
    """Give the names of all that lies in a bucket, parts of uploads included."""
    found = json.loads(radosgw.administer("bucket", "list", "--bucket", bucket))
    return {entry["name"] for entry in found}


@pytest.fixture
def backend(bucket: str) -> ObjectBackend:
    """Give an empty backend."""
    return ObjectBackend(f"s3://{bucket}/store")


@contextmanager
def patience(retried: float, silent: float = 12) -> Iterator[None]:
    """Let a request that fails be sent again for so many seconds, and wait so long for answers.

    Where an answer is to come, it must be waited for long: the machine may be busy.
    """
    with pytest.MonkeyPatch.context() as patches:
        patches.setattr(objects, "_RETRIED", timedelta(seconds=retried))
        patches.setattr(objects, "_SILENT", timedelta(seconds=silent))
        patches.setattr(objects, "_LARGE_WRITE", timedelta(seconds=4 * silent))
        patches.setattr(objects, "_LONGEST_PAUSE", timedelta(seconds=min(3, retried / 7)))
        yield


@pytest.fixture
def unpersistent() -> Iterator[None]:
    """Give up after a second or two on a store that refuses."""
    with patience(1.5):
        yield


@pytest.fixture
def impatient() -> Iterator[None]:
    """Give up on one that is silent, too."""
    with patience(1.5, 0.7):
        yield


@pytest.fixture
def proxy(radosgw: Radosgw) -> Iterator[Proxy]:
    """Give a proxy in front of the store."""
    with Proxy(radosgw.url) as front:
        yield front


@pytest.fixture
def behind(bucket: str, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> ObjectBackend:
    """Give a backend behind the proxy."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
    return ObjectBackend(f"s3://{bucket}/store")


Doing = Callable[[ObjectBackend], object]

DOINGS: dict[str, Doing] = {
    "writing": lambda backend: backend.write(named(1), DATA),
    "reading": lambda backend: backend.read(named(1), 5, 1000),
    "looking for": lambda backend: backend.size(named(1)),
    "listing": lambda backend: list(backend.names("packs")),
    "deleting": lambda backend: backend.delete(named(1)),
}


@pytest.fixture(params=DOINGS)
def doing(request: pytest.FixtureRequest) -> Callable[[ObjectBackend], MeltemiError]:
    """Give what fails: it does one thing, sees an error in one line, and gives it."""

    def fails(backend: ObjectBackend) -> MeltemiError:
        with pytest.raises(MeltemiError) as failure:
            DOINGS[request.param](backend)
        text = str(failure.value)
        assert text.startswith(f"{backend.label}: {request.param} packs")
        assert "\n" not in text
        assert len(text) < 300
        assert "retries" not in text
        return failure.value

    return fails


Failing = Callable[[ObjectBackend], MeltemiError]

# What is not there


@pytest.mark.usefixtures("bucket", "impatient")
def test_a_store_that_is_down(doing: Failing, monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    error = doing(ObjectBackend("s3://any/store"))
    assert type(error) is UnreachableError
    assert error.exit_code == 6
    assert str(error).endswith(f"nothing answers at http://127.0.0.1:{port}: Connection refused")


@pytest.mark.usefixtures("bucket", "impatient")
def test_a_store_whose_name_nobody_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://no-such-host.invalid")
    with pytest.raises(UnreachableError, match=r"at http://no-such-host.*: failed"):
        ObjectBackend("s3://any/store").size("store.json")


@pytest.mark.usefixtures("impatient")
def test_a_certificate_that_nobody_vouches_for(
    radosgw: Radosgw, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = Authority(tmp_path / "ca").certificate()
    with TlsFront(tmp_path, "tls", radosgw.gateway.port, certificate) as front:
        monkeypatch.setenv("AWS_ENDPOINT_URL", front.url)
        with pytest.raises(UntrustedError, match=f"certificate of {front.url} is not accepted"):
            ObjectBackend(f"s3://{bucket}").size("store.json")


@pytest.mark.usefixtures("bucket")
def test_a_bucket_that_is_not_there() -> None:
    backend = ObjectBackend("s3://no-such-bucket/store")
    for doing in ("writing", "listing"):
        with pytest.raises(StoreError, match="there is no such bucket") as failure:
            DOINGS[doing](backend)
        assert failure.value.exit_code == 9
    # S3 cannot tell a bucket from an object where it gives no body.
    assert backend.size(named(1)) is None


# Who is not allowed


@pytest.mark.parametrize("key", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_wrong_credentials(
    bucket: str, doing: Failing, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(key, "wrong")
    error = doing(ObjectBackend(f"s3://{bucket}/store"))
    assert type(error) is AuthenticationError
    assert error.exit_code == 5
    assert "it answers 403" in str(error)


@pytest.mark.usefixtures("impatient")
def test_no_credentials(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    # Who runs this may be in a cloud that gives credentials to its machines.
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(AuthenticationError, match="set AWS_ACCESS_KEY_ID and AWS_SECRET"):
        ObjectBackend(f"s3://{bucket}").size("store.json")


def test_a_quota(radosgw: Radosgw, bucket: str, backend: ObjectBackend) -> None:
    backend.write(named(1), DATA)
    quota = ("--quota-scope", "bucket", "--bucket", bucket)
    radosgw.administer("quota", "set", *quota, "--max-objects", "1")
    radosgw.administer("quota", "enable", *quota)
    with pytest.raises(QuotaError, match="it answers 403 QuotaExceeded"):
        backend.write(named(2), DATA)
    assert lying_in(radosgw, bucket) == {f"store/{named(1)}"}
    assert backend.read(named(1), 0, len(DATA)) == DATA


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("s3://", "recognise"),
        ("nothing://bucket", "recognise"),
        ("file:///tmp", "without file://"),
        ("memory://x", "recognise"),
    ],
)
def test_addresses_that_cannot_be(url: str, why: str) -> None:
    with pytest.raises(UsageError, match=why) as failure:
        ObjectBackend(url)
    assert "\n" not in str(failure.value)


# Stores that fail


@pytest.mark.usefixtures("unpersistent")
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, StoreError),
        (401, AuthenticationError),
        (403, AuthenticationError),
        (500, StoreError),
        (503, StoreError),
        (507, QuotaError),
    ],
)
def test_a_store_that_refuses(
    proxy: Proxy, behind: ObjectBackend, doing: Failing, status: int, kind: type[MeltemiError]
) -> None:
    body = "<Error><Code>Broken</Code><Message>of\nmany lines</Message></Error>"
    proxy.fault(*(Fault(method, "", answer=status, body=body) for method in ALL))
    error = doing(behind)
    assert type(error) is kind
    assert f": it answers {status} " in str(error)
    assert (len(proxy.requests) > 1) == (status >= 500), "what may pass is tried again"


def test_a_store_that_fails_for_a_moment(proxy: Proxy, behind: ObjectBackend) -> None:
    def some(**what: object) -> None:
        proxy.fault(*(Fault(method, "", times=2, **what) for method in ALL))  # type: ignore[arg-type]

    for what in ({"answer": 500}, {"answer": 503}, {"cut_answer": -1}):
        some(**what)
        behind.write(named(1), DATA)
        assert behind.read(named(1), 0, len(DATA)) == DATA
        assert behind.size(named(1)) == len(DATA)
        some(**what)
        assert list(behind.names("packs")) == [(named(1), len(DATA))]
        some(**what)
        behind.delete(named(1))
        assert behind.size(named(1)) is None


def test_an_upload_that_breaks_off_is_made_again(
    radosgw: Radosgw, bucket: str, proxy: Proxy, behind: ObjectBackend
) -> None:
    data = noise(1, 3 * MIB)
    proxy.fault(Fault("PUT", "", times=2, cut_body=MIB))
    behind.write(named(1), data)
    assert [request.sent for request in proxy.of("PUT", "")] == [MIB, MIB, len(data)]
    assert behind.read(named(1), 0, len(data)) == data
    assert lying_in(radosgw, bucket) == {f"store/{named(1)}"}


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("size", [200 * KIB, 3 * MIB])
def test_an_upload_that_never_gets_through_leaves_nothing(
    radosgw: Radosgw, bucket: str, proxy: Proxy, behind: ObjectBackend, size: int
) -> None:
    for fault in (
        Fault("PUT", "", cut_body=100 * KIB),
        Fault("PUT", "", cut_body=100 * KIB, hang=True),
    ):
        proxy.fault(fault)
        with pytest.raises(UnreachableError):
            behind.write(named(1), noise(1, size))
        assert lying_in(radosgw, bucket) == set()


@pytest.mark.usefixtures("impatient")
def test_a_store_that_is_silent(proxy: Proxy, behind: ObjectBackend, doing: Failing) -> None:
    proxy.fault(*(Fault(method, "", hang=True) for method in ALL))
    error = doing(behind)
    assert type(error) is SilentError
    assert str(error).endswith(f"{proxy.url} does not answer in time")


def test_half_an_object_is_completed_or_told(
    backend: ObjectBackend, bucket: str, radosgw: Radosgw, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend.write(named(1), DATA)
    with Proxy(radosgw.url) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        for hang in (False, True):
            proxy.fault(Fault("GET", "", times=1, cut_answer=70_000, hang=hang))
            with patience(60, 3):
                behind = ObjectBackend(f"s3://{bucket}/store")
                assert behind.read(named(1), 1000, 150_000) == DATA[1000:151_000]
            proxy.fault(Fault("GET", "", cut_answer=1000, hang=hang))
            with patience(1.5, 0.7), pytest.raises(UnreachableError) as failure:
                ObjectBackend(f"s3://{bucket}/store").read(named(1), 0, len(DATA))
            assert "\n" not in str(failure.value)


def test_a_store_that_gives_all_when_asked_for_a_part_is_noticed(
    proxy: Proxy, behind: ObjectBackend
) -> None:
    proxy.fault(Fault("GET", "", answer=200, body="x" * 5000))
    with pytest.raises(StoreError):
        behind.read(named(1), 100, 1000)


def test_wrong_bytes_are_given_as_they_are(proxy: Proxy, behind: ObjectBackend) -> None:
    """Whoever reads a blob holds it against its name: no backend can do that."""
    behind.write(named(1), DATA)
    proxy.fault(Fault("GET", "", alter=7))
    found = behind.read(named(1), 0, 100)
    assert found == DATA[:7] + bytes([DATA[7] ^ 255]) + DATA[8:100]


def test_a_list_that_breaks_off_is_not_taken_for_whole(proxy: Proxy, behind: ObjectBackend) -> None:
    for number in range(20):
        behind.write(named(number), b"x")
    for hang in (False, True):
        proxy.fault(Fault("GET", "", cut_answer=900, hang=hang))
        with patience(1.5, 0.7), pytest.raises((StoreError, UnreachableError)):
            list(ObjectBackend(behind.label).names("packs"))
        proxy.fault(Fault("GET", "", cut_answer=900, times=1, hang=hang))
        with patience(60, 3):
            assert len(list(ObjectBackend(behind.label).names("packs"))) == 20


def test_a_list_goes_on_where_it_broke_off(proxy: Proxy, behind: ObjectBackend) -> None:
    for number in range(1203):
        behind._store.put(named(number), b"x")
    proxy.fault(Fault("GET", "", times=1), Fault("GET", "", cut_answer=900, times=1))
    found = [name for name, _ in behind.names("packs")]
    assert sorted(found) == sorted(named(number) for number in range(1203))
    # The first thousand, the rest in vain, the rest.
    assert len(proxy.of("GET", "")) == 3


# A store that stands still, and processes that are killed


def test_a_store_that_stands_still_is_told_and_comes_back(
    radosgw: Radosgw, backend: ObjectBackend
) -> None:
    backend.write(named(1), DATA)
    with patience(1.5, 0.7):
        impatient = ObjectBackend(backend.label)
    radosgw.storage.pause()
    try:
        with pytest.raises(SilentError):
            impatient.write(named(2), DATA)
    finally:
        radosgw.storage.resume()
    backend.write(named(3), DATA)
    assert backend.read(named(1), 0, len(DATA)) == DATA
    # What failed may have happened all the same, but then it is whole.
    assert backend.size(named(2)) in {None, len(DATA)}


def test_what_a_killed_process_wrote_is_whole_or_absent(
    radosgw: Radosgw, bucket: str, backend: ObjectBackend
) -> None:
    told = killed_at_any_moment(backend.label, 6)
    seen_whole(backend, told)
    found = {f"store/{name}" for name, _ in backend.names("packs")}
    assert lying_in(radosgw, bucket) == found
    assert backend.tidy() == 0


def test_two_processes_write_at_once(backend: ObjectBackend) -> None:
    with writing(backend.label, 1, 20) as one, writing(backend.label, 2, 20) as two:
        told = set(one.communicate()[0].split()) | set(two.communicate()[0].split())
    assert one.returncode == two.returncode == 0
    assert len(told) == 40
    seen_whole(backend, told)


def test_a_gateway_that_is_started_again_is_waited_for(
    radosgw: Radosgw, backend: ObjectBackend
) -> None:
    backend.write(named(1), DATA)
    radosgw.gateway.kill()
    radosgw.gateway.start(wait=False)
    with patience(300):
        assert ObjectBackend(backend.label).read(named(1), 0, len(DATA)) == DATA
