"""Ids of secrets stay in an archive, and leave it only for where they mean something."""

from pathlib import Path
from typing import Any

import pytest

from meltemi.libraries.archive import open_archive
from meltemi.libraries.base import Library
from meltemi.model.route import Limits, Policy, Route
from meltemi.replication.report import Result
from meltemi.replication.run import Libraries, plan_route, run_plan
from tests.replication.running import Recorder, own_properties
from tests.support.memory import MemoryLibrary

SECRETS = {
    "img_signature_certificate_uuid": "certificate",
    "cinder_encryption_key_id": "volume key",
    "cinder_encryption_key_deletion_policy": "on_image_deletion",
    "os_encrypt_key_id": "image key",
    "os_encrypt_key_deletion_policy": "do_not_delete",
}
PLAIN = {"img_signature": "signature", "colour": "red"}


async def carry(source: Library, target: Library, **policy: Any) -> None:
    """Carry everything, after which nothing is left to do."""
    route = Route("route", source.name, (target.name,), policy=Policy(**policy))
    libraries = Libraries({source.name: source, target.name: target}, {})
    plan = await plan_route(route, libraries)
    outcomes = await run_plan(plan, libraries, Recorder(), limits=Limits(), max_delete=0)
    assert [outcome.result for outcome in outcomes] == [Result.DONE]
    assert not (await plan_route(route, libraries)).differs


@pytest.fixture
def source() -> MemoryLibrary:
    return MemoryLibrary("source")


@pytest.fixture
def target() -> MemoryLibrary:
    return MemoryLibrary("target")


async def dumped(source: MemoryLibrary, folder: Path) -> str:
    """Dump an image with secrets; give its id."""
    image = source.put(b"sealed", properties={**SECRETS, **PLAIN})
    archive = open_archive(folder, name="archive", writable=True)
    try:
        await carry(source, archive)
        assert (await archive.show(image.id)).properties == {**SECRETS, **PLAIN}
    finally:
        await archive.close()
    return image.id


@pytest.mark.parametrize(
    ("values", "arriving"),
    [
        ({}, {}),
        (
            {"img_signature_certificate_uuid": {"certificate": "theirs"}},
            {"img_signature_certificate_uuid": "theirs"},
        ),
        (
            {"cinder_encryption_key_id": {"volume key": "theirs", "image key": "no"}},
            {
                "cinder_encryption_key_id": "theirs",
                "cinder_encryption_key_deletion_policy": "on_image_deletion",
            },
        ),
        (
            {"os_encrypt_key_id": {"image key": "theirs"}},
            {"os_encrypt_key_id": "theirs", "os_encrypt_key_deletion_policy": "do_not_delete"},
        ),
        ({"os_encrypt_key_id": {"another key": "theirs"}}, {}),
    ],
    ids=["none", "certificate", "volume key", "image key", "unknown"],
)
async def test_an_archive_keeps_ids_of_secrets_and_a_load_takes_those_it_can_map(
    source: MemoryLibrary,
    target: MemoryLibrary,
    tmp_path: Path,
    values: dict[str, dict[str, str]],
    arriving: dict[str, str],
) -> None:
    image = await dumped(source, tmp_path / "vault")
    archive = open_archive(tmp_path / "vault", name="archive", writable=False)
    try:
        await carry(archive, target, values=values)
    finally:
        await archive.close()
    assert own_properties(target.images[image]) == {**PLAIN, **arriving}
    assert target.data(image) == b"sealed"


async def test_a_copy_of_an_archive_keeps_them_too(source: MemoryLibrary, tmp_path: Path) -> None:
    image = await dumped(source, tmp_path / "vault")
    archive = open_archive(tmp_path / "vault", name="archive", writable=False)
    copy = open_archive(tmp_path / "copy", name="copy", writable=True)
    try:
        await carry(archive, copy)
        assert (await copy.show(image)).properties == {**SECRETS, **PLAIN}
    finally:
        await archive.close()
        await copy.close()
