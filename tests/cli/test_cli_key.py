"""`meltemi key`: keys that are made, shown, and taken from elsewhere."""

import stat
import subprocess
from pathlib import Path

import pytest

from meltemi.errors import UsageError
from meltemi.keys import SigningKey, parse_public, verified
from tests.cli.starting import meltemi, succeed


def test_a_key_is_made_once_and_shown(tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    [made] = succeed("key", "create", file, "-f", "json").rows
    assert made["File"] == str(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert succeed("key", "show", file, "-f", "value", "-c", "key").out == f"{made['Key']}\n"
    before = file.read_bytes()
    again = meltemi("key", "create", file, code=2)
    assert again.complaint == f"meltemi: {file}: no key was made: File exists"
    assert file.read_bytes() == before
    public = made["Key"]
    assert parse_public(public) == public


def test_a_key_that_openssl_has_made(tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    made = ["openssl", "genpkey", "-algorithm", "ed25519", "-out", str(file)]
    subprocess.run(made, check=True, capture_output=True)
    shown = subprocess.run(
        ["openssl", "pkey", "-in", str(file), "-pubout", "-outform", "DER"],
        check=True,
        capture_output=True,
    )
    [row] = succeed("key", "show", file, "-f", "json").rows
    key = SigningKey.read(file)
    assert row["Key"] == key.public
    raw = shown.stdout[-32:]
    assert verified(key.sign("kind", raw), "kind", [key.public]) == (key.public, raw)


@pytest.mark.parametrize("kind", ["rsa", "x25519"])
def test_what_is_no_key_that_signs(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "key.pem"
    made = ["openssl", "genpkey", "-algorithm", kind, "-out", str(file)]
    subprocess.run(made, check=True, capture_output=True)
    wrong = meltemi("key", "show", file, code=2).complaint
    assert wrong.startswith(f"meltemi: {file}: not a private Ed25519 key in PEM")
    file.write_text("-----BEGIN PRIVATE KEY-----\nno\n-----END PRIVATE KEY-----\n")
    assert "not a private Ed25519 key" in meltemi("key", "show", file, code=2).complaint
    gone = meltemi("key", "show", tmp_path / "gone", code=2).complaint
    assert (
        gone == f"meltemi: {tmp_path / 'gone'}: the key cannot be read: No such file or directory"
    )


@pytest.mark.parametrize("text", ["", "x", "A" * 42, "A" * 44, "é" * 43, "A" * 42 + "B", "+" * 43])
def test_what_is_no_public_key(text: str) -> None:
    with pytest.raises(UsageError, match="not a public Ed25519 key"):
        parse_public(text)


def test_a_signature_is_good_for_its_text_its_kind_and_its_key(tmp_path: Path) -> None:
    one, other = (SigningKey.create(tmp_path / name) for name in ("one", "other"))
    text = one.sign("kind", b"words")
    assert verified(text, "kind", [other.public, one.public]) == (one.public, b"words")
    assert verified(text, "another", [one.public]) is None
    assert verified(text, "kind", [other.public]) is None
    assert verified(text, "kind", []) is None
    for place in range(0, len(text), 3):
        changed = chr(ord(text[place]) ^ 1)
        assert verified(text[:place] + changed + text[place + 1 :], "kind", [one.public]) is None
    for odd in ("", ".", "..", text + ".", text + "=", text + "A", "." + text, text.upper()):
        assert verified(odd, "kind", [one.public]) is None
