"""A real Keystone, bootstrapped, with what Glance needs to validate tokens."""

import base64
import os
from pathlib import Path
from typing import Self

from lab import sqlite, venvs
from lab.identity import Identity
from lab.memcached import Memcached
from lab.postgres import Postgres
from lab.wsgi import Settings, WsgiServer, manage, merge, write_settings


class Keystone(Identity, WsgiServer):
    """One identity service, bootstrapped with the user, project and role `admin`.

    `token_seconds` is how long its tokens live. With `memcached` the services
    that validate tokens remember the answer.
    """

    module = "keystone.wsgi.api:application"
    processes = 1
    service_user = "glance"

    def __init__(
        self,
        folder: Path,
        *,
        postgres: Postgres | None = None,
        memcached: Memcached | None = None,
        token_seconds: int = 3600,
        config: Settings | None = None,
    ) -> None:
        """Make the database and the configuration; nothing runs yet."""
        super().__init__("keystone", folder)
        self.url += "/v3"
        self.venv = venvs.environment("keystone")
        self.memcached = memcached
        self._prepared = False
        for keys in ("token-keys", "credential-keys"):
            _make_keys(folder / keys)
        database = {"database": {"connection": self._database(postgres)}}
        settings = merge(self._settings(token_seconds), database, config or {})
        write_settings(folder / "keystone.conf", settings)
        self.environment["OS_KEYSTONE_CONFIG_DIR"] = str(folder)

    def wait_ready(self, timeout: float = 300) -> Self:
        """Wait until it answers; at its first start, give Glance an account."""
        super().wait_ready(timeout)
        if not self._prepared:
            self.user(self.service_user, self.password, "service", ("admin", "service"))
            self._prepared = True
        return self

    def login(self, user: str = "", project: str = "service") -> dict[str, str]:
        """Say how an account logs in, as keystoneauth has it; by default, the one of Glance."""
        return {
            "auth_url": self.url,
            "username": user or self.service_user,
            "password": self.password,
            "user_domain_id": "default",
            "project_name": project,
            "project_domain_id": "default",
        }

    def _settings(self, token_seconds: int) -> Settings:
        tokens = {"key_repository": self.folder / "token-keys"}
        return {
            # The least that bcrypt can do: the lab's passwords are no secret.
            "identity": {"password_hash_rounds": 4},
            # One process sees every change, so its own memory is a sound cache.
            "cache": {"enabled": True, "backend": "dogpile.cache.memory"},
            "token": {"expiration": token_seconds},
            "fernet_tokens": tokens,
            "fernet_receipts": tokens,
            "credential": {"key_repository": self.folder / "credential-keys"},
        }

    def _database(self, postgres: Postgres | None) -> str:
        def build(url: str) -> None:
            path = self.folder / "sync.conf"
            write_settings(path, merge(self._settings(3600), {"database": {"connection": url}}))
            command = ("keystone-manage", "--config-file", str(path))
            manage(self.venv, *command, "db_sync")
            manage(self.venv, *command, "bootstrap", "--bootstrap-password", self.password)

        schema = f"keystone-{venvs.fingerprint('keystone')}"
        if postgres is None:
            path = self.folder / "keystone.sqlite"
            return sqlite.create_database(path, schema=schema, build=build)
        return postgres.create_database(f"keystone-{self.port}", schema=schema, build=build)


def _make_keys(folder: Path) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    for name in ("0", "1"):
        if not (folder / name).exists():
            (folder / name).write_bytes(base64.urlsafe_b64encode(os.urandom(32)))
