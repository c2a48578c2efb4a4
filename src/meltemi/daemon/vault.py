"""Credentials of owners, encrypted: only who has the file of keys can read what the state holds."""

import json
import os
from pathlib import Path
from typing import Final

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from meltemi.errors import ConfigurationError, StateError
from meltemi.model.credential import Credential

_OTHERS: Final = 0o077


class Vault:
    """Encrypts with the first key of a file, one a line, and decrypts with any of them.

    What it gives is bound to its owner and library: moved to another row, it is worth nothing.
    Raise ConfigurationError where there is no such file, others may read it, or it holds no keys.
    """

    def __init__(self, file: Path) -> None:
        keys = _read(file)
        self._first = keys[0]
        self._all = MultiFernet(keys)

    def lock(self, owner: str, library: str, credential: Credential) -> str:
        """Encrypt a credential."""
        body = {"owner": owner, "library": library, "id": credential.id}
        text = json.dumps({**body, "secret": credential.secret})
        return self._all.encrypt(text.encode()).decode()

    def open(self, owner: str, library: str, locked: str) -> Credential:
        """Decrypt a credential; raise StateError where no key fits, or it is another's."""
        try:
            body = json.loads(self._all.decrypt(locked.encode()))
        except InvalidToken:
            raise StateError(
                f"the credential of project {owner} for {library} was encrypted with a key that "
                "the file of keys does not have: put the key back, or have it set again"
            ) from None
        if (body["owner"], body["library"]) != (owner, library):
            raise StateError(f"the credential of project {owner} for {library} is of another one")
        return Credential(body["id"], body["secret"])

    def renewed(self, locked: str) -> str | None:
        """Encrypt with the first key what another one was used for; None where it is so."""
        try:
            self._first.decrypt(locked.encode())
        except InvalidToken:
            try:
                return self._all.rotate(locked.encode()).decode()
            except InvalidToken:
                return None
        return None


def _read(file: Path) -> list[Fernet]:
    try:
        with file.open() as opened:
            mode = os.fstat(opened.fileno()).st_mode
            lines = [line.strip() for line in opened]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file}: no keys can be read: {error}") from error
    if mode & _OTHERS:
        raise ConfigurationError(f"{file}: others may read it; let only its owner (chmod 600)")
    try:
        keys = [Fernet(line) for line in lines if line and not line.startswith("#")]
    except ValueError:
        raise ConfigurationError(
            f"{file}: a key is 32 random bytes in URL-safe base64, one a line"
        ) from None
    if not keys:
        raise ConfigurationError(f"{file}: no key is in it")
    return keys
