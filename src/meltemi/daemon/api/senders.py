"""Who asks a daemon, and what they may: by a token of its own, or one of Keystone."""

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from meltemi.config.load import Api
from meltemi.errors import ConfigurationError, UnauthorizedError
from meltemi.model.role import Role
from meltemi.region.context import Context, request_id
from meltemi.region.identity.opening import open_keystone

_OF_FILE: Final = "local"
"""Who holds the token in the file."""


@dataclass(frozen=True, slots=True)
class Sender:
    """The sender of one request.

    `who` is the name of a token, or the id of a user at Keystone. `project` is the one whose images
    are all that the sender may see; None where that is everything. `is_member` says that what is
    the project's is theirs to change.
    """

    who: str
    role: Role | None
    project: str | None
    request_id: str
    is_member: bool = False

    def may(self, role: Role) -> bool:
        """Say whether the sender may do what takes a role."""
        return self.role is not None and self.role.includes(role)


class Senders:
    """Tells who asks, as the settings say.

    Raise ConfigurationError where they cannot be used.
    """

    def __init__(self, settings: Api) -> None:
        self.settings = settings
        self._tokens = {token.sha256: (name, token.role) for name, token in settings.tokens.items()}
        if settings.is_for_all_who_read:
            digest = _digest(own_token(settings.token_file))
            self._tokens[digest] = (_OF_FILE, Role.ADMIN)
        known = settings.keystone
        self._keystone = open_keystone(known, _is_admin) if known is not None else None

    async def authenticate(self, headers: Mapping[str, str]) -> Sender:
        """Give whom X-Auth-Token speaks for.

        Raise UnauthorizedError where nobody is known by it, IdentityError where Keystone cannot
        say.
        """
        known = self._tokens.get(_digest(headers.get("X-Auth-Token", "").strip()))
        if known is not None:
            name, role = known
            return Sender(name, role, None, request_id(headers))
        if self._keystone is None:
            raise UnauthorizedError(
                "a token is needed that counts here; daemon.keystone is not set, so none of "
                "Keystone does",
                challenge="Meltemi",
            )
        return _sender(await self._keystone.authenticate(headers))

    async def close(self) -> None:
        """End the connections to Keystone."""
        if self._keystone is not None:
            await self._keystone.close()


def own_token(file: Path) -> str:
    """Read the token in a file that only its owner may read; make it where there is none.

    Raise ConfigurationError where that cannot be done, or others may read it, too.
    """
    try:
        if not file.exists():
            _make(file)
        with file.open() as opened:
            mode = os.fstat(opened.fileno()).st_mode
            token = opened.read().strip()
    except OSError as error:
        raise ConfigurationError(f"{file}: no token can be had: {error.strerror}") from error
    if mode & 0o077:
        raise ConfigurationError(f"{file}: others may read it; take it away, and start anew")
    if not token:
        raise ConfigurationError(f"{file}: no token is in it; take it away, and start anew")
    return token


def _make(file: Path) -> None:
    """Make a file that is whole at once, also where another daemon does the same."""
    draft = file.with_name(f"{file.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as opened:
        opened.write(f"{secrets.token_urlsafe(32)}\n")
    try:
        os.link(draft, file)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def _digest(token: str) -> str:
    return sha256(token.encode(errors="replace")).hexdigest()


def _is_admin(context: Context) -> bool:
    return "admin" in context.roles and context.domain is None


def _sender(context: Context) -> Sender:
    """Give what somebody may do by their roles at Keystone.

    Who administers or operates the cloud sees all of it, and so does a reader of the system; a
    reader of a project sees what is the project's. A token of a domain means nothing here.
    """
    role, project = None, context.project
    if context.is_admin:
        role, project = Role.ADMIN, None
    elif "operator" in context.roles and context.domain is None:
        role, project = Role.OPERATOR, None
    elif "reader" in context.roles and (context.project or context.system_scope):
        role = Role.READER
    is_member = "member" in context.roles and project is not None
    return Sender(context.user or "", role, project, context.request_id, is_member)
