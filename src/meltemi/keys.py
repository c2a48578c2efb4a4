"""Ed25519 keys, and what they sign: JSON Web Signatures in their compact form (RFC 7515, 8037).

What is verified is compared before it is read: the header that a text begins with is the one that
is written here, for a key that is trusted, or the text is not looked at any further.
"""

import json
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Collection
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from meltemi.errors import UsageError

_RAW: Final = serialization.Encoding.Raw, serialization.PublicFormat.Raw


class SigningKey:
    """A key that signs; `public` is the text by which others know it."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.public = _written(private.public_key().public_bytes(*_RAW))

    @classmethod
    def create(cls, file: Path) -> "SigningKey":
        """Make a key, and a file of it that nobody else may read; UsageError where there is one."""
        private = Ed25519PrivateKey.generate()
        pem = private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        try:
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as opened:
                opened.write(pem)
        except OSError as error:
            raise UsageError(f"{file}: no key was made: {error.strerror}") from error
        return cls(private)

    @classmethod
    def read(cls, file: Path) -> "SigningKey":
        """Read a key from its file; UsageError where it is none."""
        try:
            private = serialization.load_pem_private_key(file.read_bytes(), password=None)
        except OSError as error:
            raise UsageError(f"{file}: the key cannot be read: {error.strerror}") from error
        except (ValueError, TypeError, UnsupportedAlgorithm):
            private = None
        if not isinstance(private, Ed25519PrivateKey):
            raise UsageError(
                f"{file}: not a private Ed25519 key in PEM, without a password: make one "
                "(meltemi key create)"
            )
        return cls(private)

    def sign(self, kind: str, payload: bytes) -> str:
        """Sign something of a kind; a signature is good for its kind alone."""
        text = f"{_header(kind, self.public)}.{_written(payload)}"
        return f"{text}.{_written(self._private.sign(text.encode()))}"


def parse_public(text: str) -> str:
    """Give the text of a public key back if it is one; raise UsageError."""
    try:
        Ed25519PublicKey.from_public_bytes(_read(text))
    except ValueError:
        raise UsageError(
            f"{text!r}: not a public Ed25519 key, as `meltemi key show` prints it"
        ) from None
    return text


def verified(text: str, kind: str, trusted: Collection[str]) -> tuple[str, bytes] | None:
    """Give who signed a text of a kind, and what; None where that is nobody who is trusted."""
    for public in trusted:
        if not text.startswith(f"{_header(kind, public)}."):
            continue
        signed, _, signature = text.rpartition(".")
        try:
            key = Ed25519PublicKey.from_public_bytes(_read(public))
            key.verify(_read(signature), signed.encode())
            return public, _read(signed.partition(".")[2])
        except (InvalidSignature, ValueError):
            return None
    return None


def _header(kind: str, public: str) -> str:
    facts = {"alg": "EdDSA", "kid": public, "typ": kind}
    return _written(json.dumps(facts, separators=(",", ":")).encode())


def _written(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _read(text: str) -> bytes:
    """Read base64url in its only form; ValueError where it is none."""
    data = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    if _written(data) != text:
        raise ValueError("not base64url in its only form")
    return data
