"""Sets that are signed, and sets that are not."""

import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from meltemi.errors import ArchiveError, UsageError
from meltemi.libraries.archive.bundles import signing
from tests.chunks.commanding import flip
from tests.libraries.archiving import ID, image
from tests.libraries.carrying import apply, make, names, seen, writing
from tests.libraries.handling import DATA, pieces

KEY = Ed25519PrivateKey.generate()
OTHER = Ed25519PrivateKey.generate()


@pytest.fixture
async def near(tmp_path: Path) -> Path:
    """Give an archive of one image."""
    library = writing(tmp_path / "near")
    await library.create(image())
    await library.upload(ID, len(DATA), pieces(DATA))
    await library.close()
    return tmp_path / "near"


async def test_a_signed_set_is_applied(near: Path, tmp_path: Path) -> None:
    made = make(near, tmp_path / "disk", key=KEY)
    apply(made.path, tmp_path / "far", KEY.public_key())
    assert await seen(tmp_path / "far") == await seen(near)
    apply(made.path, tmp_path / "careless")
    assert await seen(tmp_path / "careless") == await seen(near)


def test_any_other_is_refused(near: Path, tmp_path: Path) -> None:
    far = tmp_path / "far"
    made = make(near, tmp_path / "disk", key=KEY)
    signature = made.path.with_name(f"{made.path.name}.sig")
    with pytest.raises(ArchiveError, match="not by that key"):
        apply(made.path, far, OTHER.public_key())
    for at in range(signature.stat().st_size):
        flip(signature, at)
        with pytest.raises(ArchiveError, match="not by that key"):
            apply(made.path, far, KEY.public_key())
        flip(signature, at)
    flip(made.path, 100)
    with pytest.raises(ArchiveError, match="not by that key"):
        apply(made.path, far, KEY.public_key())
    flip(made.path, 100)
    whole = signature.read_bytes()
    for wrong in (b"", whole[:-1], whole + b"\n"):
        signature.write_bytes(wrong)
        with pytest.raises(ArchiveError, match=made.path.name):
            apply(made.path, far, KEY.public_key())
    unsigned = make(near, tmp_path / "disk")
    with pytest.raises(
        ArchiveError, match=rf"is not signed: there is no {unsigned.path.name}\.sig"
    ):
        apply(unsigned.path, far, KEY.public_key())
    # The signature of another set is none.
    signature.write_bytes(whole)
    shutil.copy(signature, unsigned.path.with_name(f"{unsigned.path.name}.sig"))
    with pytest.raises(ArchiveError, match="not by that key"):
        apply(unsigned.path, far, KEY.public_key())
    assert names(far) == []


def test_what_is_signed_binds_the_bundles(near: Path, tmp_path: Path) -> None:
    made = make(near, tmp_path / "disk", key=KEY)
    [bundle, *_] = sorted((tmp_path / "disk").glob("*.bundle"))
    flip(bundle, bundle.stat().st_size - 1)
    with pytest.raises(ArchiveError, match=bundle.name):
        apply(made.path, tmp_path / "far", KEY.public_key())


def test_openssl_agrees(near: Path, tmp_path: Path) -> None:
    made = make(near, tmp_path / "disk", key=KEY)
    public = tmp_path / "public.pem"
    public.write_bytes(
        KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    verify = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", str(public), "-rawin"]
    files = ["-in", str(made.path), "-sigfile", f"{made.path}.sig"]
    done = subprocess.run([*verify, *files], check=True, capture_output=True, text=True)
    assert "Verified Successfully" in done.stdout


def test_keys_that_are_none(tmp_path: Path) -> None:
    elliptic = generate_private_key(SECP256R1())
    private = elliptic.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = elliptic.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    file = tmp_path / "key"
    for wrong in (b"", b"ssh-ed25519 AAAA", private, public, bytes(100_000)):
        file.write_bytes(wrong)
        for read in (signing.read_private_key, signing.read_public_key):
            with pytest.raises(UsageError, match=str(file)):
                read(file)
    with pytest.raises(UsageError, match="no such file"):
        signing.read_public_key(tmp_path / "nothing")
