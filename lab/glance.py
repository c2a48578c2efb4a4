"""A real Glance with a file store, with or without Keystone in front."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from lab import limits as unified
from lab import sqlite, venvs
from lab.keystone import Keystone
from lab.postgres import Postgres
from lab.tls import Certificate, TlsFront
from lab.wsgi import Settings, WsgiServer, manage, merge, write_settings

NEW, OLD = "glance", "glance-old"


class Glance(WsgiServer):
    """One image service in a folder of its own.

    Without `keystone` everyone is an administrator. With it, tokens are
    validated, and the endpoint is registered in `region` at the first start, for
    which Keystone must be running. Without `postgres` the database is a file, which
    bears one writer at a time. With `tls` a front speaks TLS, and `url` is its own.
    `limits` are unified limits, such as {"image_count_total": 2}, for each project.
    `environment` is NEW or OLD, and `store` the folder with the image data. With
    `definitions` the metadata definitions that come with Glance are loaded.
    """

    def __init__(
        self,
        folder: Path,
        *,
        name: str = "glance",
        postgres: Postgres | None = None,
        keystone: Keystone | None = None,
        region: str = "RegionOne",
        tls: Certificate | None = None,
        limits: Mapping[str, int] | None = None,
        processes: int = 2,
        threads: int = 4,
        config: Settings | None = None,
        policy: Mapping[str, str] | None = None,
        environment: str = NEW,
        definitions: bool = False,
    ) -> None:
        """Make the database and the configuration; nothing runs yet."""
        super().__init__(name, folder)
        self._registered = False
        self.venv = venvs.environment(environment)
        # The old release has no module with a ready-made application.
        old = environment == OLD
        self.module = f"glance.{'common.wsgi_app:init_app()' if old else 'wsgi.api:application'}"
        self.processes, self.threads = processes, threads
        self.keystone = keystone
        self.region = region
        self._limits = limits
        self.store = folder / "store"
        self._front = TlsFront(folder, f"{name}-tls", self.port, tls) if tls else None
        if self._front:
            self.url = self._front.url
        self._definitions = [str(self.shipped_definitions)] if definitions else []
        kind = "glance-definitions" if definitions else "glance"
        self._schema = f"{kind}-{venvs.fingerprint(environment)}"
        settings = self._settings(self._database(postgres))
        if keystone is not None:
            settings = merge(settings, _authentication(keystone, region))
            if limits is not None:
                settings = merge(settings, unified.settings(keystone, region))
        write_settings(folder / "glance-api.conf", merge(settings, config or {}))
        (folder / "policy.json").write_text(json.dumps({**self._rules(), **(policy or {})}))
        self.environment["OS_GLANCE_CONFIG_DIR"] = str(folder)

    def start(self, *, wait: bool = True) -> Self:
        """Start the service, and its front if it has one."""
        if self._front:
            self._front.start(wait=False)
        return super().start(wait=wait)

    def wait_ready(self, timeout: float = 300) -> Self:
        """Wait until the service and its front answer; register it the first time."""
        if self._front:
            self._front.wait_ready(timeout)
        if self.keystone and not self._registered:
            self.keystone.endpoint("image", self.region, self.url)
            if self._limits is not None:
                unified.register(self.keystone, self.region, self._limits)
            self._registered = True
        return super().wait_ready(timeout)

    @property
    def shipped_definitions(self) -> Path:
        """The folder of the metadata definitions that come with Glance."""
        return self.venv / "etc/glance/metadefs"

    def kill(self) -> None:
        """End the service at once, and its front."""
        if self._front:
            self._front.kill()
        super().kill()

    def _database(self, postgres: Postgres | None) -> str:
        def build(url: str) -> None:
            path = self.folder / "sync.conf"
            write_settings(path, {"database": {"connection": url}})
            # Isolated, or this package's own `glance` would hide the real one.
            script = Path(__file__).with_name("glance_sync.py")
            manage(self.venv, "python", "-I", str(script), str(path), *self._definitions)

        if postgres is None:
            path = self.folder / "glance.sqlite"
            return sqlite.create_database(path, schema=self._schema, build=build)
        name = f"{self.name}-{self.port}"
        return postgres.create_database(name, schema=self._schema, build=build)

    def _settings(self, database: str) -> Settings:
        def place(name: str) -> str:
            (self.folder / name).mkdir(exist_ok=True)
            return str(self.folder / name)

        pipelines = self.venv / "etc/glance/glance-api-paste.ini"
        return {
            "DEFAULT": {
                "enabled_backends": "files:file",
                "public_endpoint": self.url,
                "worker_self_reference_url": self.url,
            },
            "glance_store": {"default_backend": "files"},
            "files": {"filesystem_store_datadir": place("store")},
            "os_glance_staging_store": {"filesystem_store_datadir": place("staging")},
            "os_glance_tasks_store": {"filesystem_store_datadir": place("tasks")},
            "database": {"connection": database},
            "oslo_concurrency": {"lock_path": place("locks")},
            "oslo_policy": {"policy_file": str(self.folder / "policy.json")},
            "paste_deploy": {"config_file": shutil.copy(pipelines, self.folder)},
        }

    def _rules(self) -> dict[str, str]:
        # Old releases have no rules of their own and refuse what no file allows.
        shipped = self.venv / "etc/glance/policy.json"
        rules: dict[str, str] = json.loads(shipped.read_text()) if shipped.exists() else {}
        if self.keystone is None:
            rules = {key: "@" if rule == "role:admin" else rule for key, rule in rules.items()}
            rules["context_is_admin"] = "@"
        return rules


def _authentication(keystone: Keystone, region: str) -> Settings:
    cache = {"memcached_servers": keystone.memcached.address} if keystone.memcached else {}
    return {
        "paste_deploy": {"flavor": "keystone"},
        "keystone_authtoken": {
            "auth_type": "password",
            "auth_url": keystone.url,
            "www_authenticate_uri": keystone.url,
            "interface": "public",
            "region_name": region,
            "username": keystone.service_user,
            "password": keystone.password,
            "user_domain_id": "default",
            "project_name": "service",
            "project_domain_id": "default",
            "service_token_roles_required": True,
            **cache,
        },
    }
