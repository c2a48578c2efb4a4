"""Signatures of sets: Ed25519 (RFC 8032), over the file that binds a set together."""

from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from meltemi.errors import ArchiveError, UsageError
from meltemi.libraries.archive.bundles import sealing
from meltemi.libraries.archive.bundles.manifest import SIGNATURE
from meltemi.libraries.archive.files import shown

_LENGTH: Final = 64
_LARGEST_KEY: Final = 64 * 2**10


def read_private_key(path: Path) -> Ed25519PrivateKey:
    """Read a key to sign with, from a PEM file without a password; raise UsageError."""
    try:
        key = load_pem_private_key(_read(path), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise UsageError(f"{shown(path)}: not a private key in PEM without a password") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise UsageError(f"{shown(path)}: not a key of Ed25519")
    return key


def read_public_key(path: Path) -> Ed25519PublicKey:
    """Read a key to verify with, from a PEM file; raise UsageError."""
    try:
        key = load_pem_public_key(_read(path))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise UsageError(f"{shown(path)}: not a public key in PEM") from error
    if not isinstance(key, Ed25519PublicKey):
        raise UsageError(f"{shown(path)}: not a key of Ed25519")
    return key


def verify(path: Path, content: bytes, key: Ed25519PublicKey) -> None:
    """Hold what stands in a file against the signature beside it; raise ArchiveError."""
    beside = path.with_name(path.name + SIGNATURE)
    try:
        signature = sealing.read_file(beside, _LENGTH)
    except UsageError:
        raise ArchiveError(
            f"{shown(path)} is not signed: there is no {beside.name}; nothing was applied"
        ) from None
    try:
        key.verify(signature, content)
    except InvalidSignature:
        raise ArchiveError(
            f"{shown(path)}: its signature is not by that key, or it was altered; nothing was "
            "applied"
        ) from None


def _read(path: Path) -> bytes:
    try:
        return sealing.read_file(path.resolve(), _LARGEST_KEY)
    except ArchiveError as error:
        raise UsageError(str(error)) from error
