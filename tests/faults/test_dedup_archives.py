"""Deduplicated archives whose dump, load or bundle is killed: run again, it does the rest."""

import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import pytest

from lab import Radosgw, images
from meltemi.chunks.opening import open_store
from tests.support.archives import make_archive
from tests.support.cli import Done, meltemi, running, succeed
from tests.support.glance import Service
from tests.support.proxy import FILE, Fault, Proxy

MIB = 2**20
SMALL = images.random_bytes(100_000, 1)
LARGE = images.random_bytes(8 * MIB, 2)


@dataclass(frozen=True)
class Vault:
    """Where an archive is, and the database that is its index where it is in a bucket."""

    address: str
    index: str | None = None

    def run(self, *words: object, code: int = 0) -> Done:
        """Run a command that writes the archive."""
        return meltemi(*words, *self.options, code=code)

    @property
    def options(self) -> tuple[str, ...]:
        return () if self.index is None else ("--index", self.index)

    def release(self) -> None:
        """Take for dead who was killed: a folder's lock is free, a bucket's lease is not yet."""
        if self.index is None:
            return
        store = open_store(self.address, self.index)
        with store.database.exclusive() as connection:
            connection.exec_driver_sql("UPDATE sessions SET seen = 0")
        assert store.sessions.bury(store.sessions.silent())
        store.close()


@pytest.fixture(params=["folder", "bucket"])
def vault(request: pytest.FixtureRequest, tmp_path: Path) -> Vault:
    """Give an archive that is not there yet."""
    if request.param == "folder":
        return Vault(str(tmp_path / "vault"))
    bucket = request.getfixturevalue("bucket")
    return Vault(f"s3://{bucket}/vault", f"sqlite:///{tmp_path}/index.sqlite")


def test_a_dump_that_was_killed(source: Service, target: Service, vault: Vault) -> None:
    small, large = source.put("small", SMALL), source.put("large", LARGE)
    dump = ("dump", source, vault.address, "--dedup")
    vault.run(*dump, "--match", "name=small")
    with Proxy(source.url) as proxy:
        proxy.fault(Fault("GET", FILE, cut_answer=5 * MIB, hang=True))
        words = ("dump", proxy, vault.address, "--dedup", *vault.options)
        with running(*words) as run:
            proxy.wait_for("GET", FILE, hanging=True)
            run.process.kill()
            run.process.wait()
    if vault.index is not None:
        assert "or died less than a quarter of an hour ago" in vault.run(*dump, code=3).complaint
        vault.release()
    vault.run(*dump)
    assert vault.run(*dump).idle
    assert "2 images" in vault.run("store", "check", vault.address).err
    succeed("load", target, vault.address)
    assert (target.data(small), target.data(large)) == (SMALL, LARGE)


def test_a_load_that_was_killed(source: Service, target: Service, vault: Vault) -> None:
    made = {source.put("small", SMALL): SMALL, source.put("large", LARGE): LARGE}
    vault.run("dump", source, vault.address, "--dedup")
    with Proxy(target.url) as proxy:
        proxy.fault(Fault("PUT", FILE, cut_body=3 * MIB, hang=True))
        with running("load", proxy, vault.address) as run:
            proxy.wait_for("PUT", FILE, hanging=True)
            run.process.kill()
            run.process.wait()
    assert all(target.data(image) == made[image] for image in active(target))
    succeed("load", target, vault.address)
    assert {image: target.data(image) for image in active(target)} == made
    assert succeed("load", target, vault.address).idle


def active(place: Service) -> list[str]:
    return [image for image, status in place.statuses().items() if status == "active"]


@pytest.fixture
def carried(bucket: str, tmp_path: Path) -> Vault:
    """Give an archive in a bucket, of which the plain archive `plain` has the images."""
    make_archive(tmp_path / "plain", {"small": SMALL, "large": LARGE})
    near = Vault(f"s3://{bucket}/near", f"sqlite:///{tmp_path}/near.sqlite")
    near.run("dump", tmp_path / "plain", near.address, "--dedup")
    return near


@pytest.fixture
def front(radosgw: Radosgw) -> Iterator[Proxy]:
    """Give a proxy in front of the buckets."""
    with Proxy(radosgw.url) as proxy:
        yield proxy


def ended(front: Proxy, method: str, path: str, end: int, *words: object) -> Done:
    """Run a command, and end it while it waits for the rest of a pack."""
    told = Event()
    front.fault(Fault(method, path, before=told.wait, at=MIB))
    with running(*words, env={"AWS_ENDPOINT_URL": front.url}) as run:
        front.wait_for(method, path, bytes_moved=MIB)
        run.send(end)
        told.set()
        return run.wait()


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_a_set_that_was_not_wholly_made(
    carried: Vault, front: Proxy, tmp_path: Path, end: int
) -> None:
    make = ("bundle", "make", carried.address, tmp_path / "disk", "--size", "2M")
    done = ended(front, "GET", "/near/packs/", end, *make)
    if end != signal.SIGKILL:
        assert (done.code, done.err) == (130, "meltemi: interrupted: no set was made\n")
        assert list((tmp_path / "disk").iterdir()) == []
    assert list((tmp_path / "disk").glob("*.set")) == []
    [made] = meltemi(*make, "-f", "json", code=0).rows
    succeed("bundle", "apply", made["Set"], tmp_path / "far")
    assert succeed("compare", tmp_path / "plain", tmp_path / "far").idle


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_a_set_that_was_not_wholly_applied(
    carried: Vault, front: Proxy, bucket: str, tmp_path: Path, end: int
) -> None:
    make = ("bundle", "make", carried.address, tmp_path / "disk", "--size", "2M", "-f", "json")
    [made] = succeed(*make).rows
    far = Vault(f"s3://{bucket}/far", f"sqlite:///{tmp_path}/far.sqlite")
    apply = ("bundle", "apply", made["Set"], far.address)
    done = ended(front, "PUT", "/far/packs/", end, *apply, *far.options)
    if end == signal.SIGKILL:
        assert "less than a quarter of an hour ago" in far.run(*apply, code=3).complaint
        far.release()
    else:
        told = "meltemi: interrupted: nothing of the set counts; apply it again\n"
        assert (done.code, done.err) == (130, told)
    assert succeed("size", far.address, "-f", "json").rows[0]["Images"] == 0
    far.run(*apply)
    assert succeed("compare", tmp_path / "plain", far.address).idle
    assert "2 images" in far.run("store", "check", far.address).err
