"""A small cloud: one Keystone, two regions, and more kinds of Glance on demand."""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from lab import venvs
from lab.errors import LabError
from lab.glance import OLD, Glance
from lab.keystone import Keystone
from lab.memcached import Memcached
from lab.postgres import Postgres
from lab.process import Server, clean_environment
from lab.tls import Authority

REGIONS = ("RegionOne", "RegionTwo")
MEMBER, PROJECT = "member", "demo"


class Cloud:
    """Keystone and a Glance in each region, with a clouds.yaml that leads to them.

    The file's clouds: `admin`, `member` (a user with no more than that role),
    `credential` (the same user's application credential), and one for each
    Glance without Keystone that was asked for: `anonymous`, `secure`, `old`.
    """

    def __init__(
        self, folder: Path, *, regions: Sequence[str] = REGIONS, token_seconds: int = 3600
    ) -> None:
        """Remember what is wanted; nothing runs yet."""
        self.folder = folder
        self.clouds_yaml = folder / "clouds.yaml"
        self.regions: dict[str, Glance] = {}
        self.others: dict[str, Glance] = {}
        self._names = regions
        self._clouds: dict[str, Any] = {}
        self._started: list[Server] = []
        folder.mkdir(parents=True, exist_ok=True)
        self.authority = Authority(folder / "tls")
        self.postgres = Postgres()
        self.memcached = Memcached(folder / "memcached")
        self._token_seconds = token_seconds

    def start(self) -> Self:
        """Start everything, as much of it at once as can be."""
        self._begin(self.memcached)
        self._begin(self.postgres).wait_ready()
        self.keystone = Keystone(
            self.folder / "keystone",
            postgres=self.postgres,
            memcached=self.memcached,
            token_seconds=self._token_seconds,
        )
        self._begin(self.keystone)
        for region in self._names:
            self.regions[region] = Glance(
                self.folder / region,
                name=region,
                postgres=self.postgres,
                keystone=self.keystone,
                region=region,
            )
            self._begin(self.regions[region])
        self.keystone.wait_ready()
        self._accounts()
        for server in self._started:
            server.wait_ready()
        return self

    def _begin(self, server: Server) -> Server:
        self._started.append(server)
        return server.start(wait=False)

    def stop(self) -> None:
        """Stop everything and drop the databases."""
        for server in self._started:
            if server is not self.postgres:
                server.ask_to_stop()
        while self._started:
            self._started.pop().stop()
        self.postgres.remove()

    def anonymous(self) -> Glance:
        """Return a Glance without authentication, started at the first call."""
        return self._other("anonymous")

    def secure(self) -> Glance:
        """Return one behind TLS, without authentication."""
        return self._other("secure", tls=self.authority.certificate())

    def old(self) -> Glance:
        """Return one of the oldest release, without authentication."""
        return self._other("old", environment=OLD)

    def openstack(self, *arguments: str, cloud: str = "admin", region: str = "") -> str:
        """Run the `openstack` client against this cloud and return what it prints."""
        where = ["--os-cloud", cloud, *(["--os-region-name", region] if region else [])]
        program = venvs.environment("client") / "bin" / "openstack"
        done = subprocess.run(
            [str(program), *where, *arguments],
            env={**clean_environment(), "OS_CLIENT_CONFIG_FILE": str(self.clouds_yaml)},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise LabError(f"openstack {' '.join(arguments)}: {done.stderr}")
        return done.stdout

    def _other(self, name: str, **options: Any) -> Glance:
        if name not in self.others:
            glance = Glance(self.folder / name, name=name, postgres=self.postgres, **options)
            self._begin(glance).wait_ready()
            self.others[name] = glance
            self._clouds[name] = {
                "auth_type": "none",
                "auth": {"endpoint": glance.url},
                "image_endpoint_override": glance.url,
                **({"cacert": str(self.authority.bundle)} if "tls" in options else {}),
            }
            self._write()
        return self.others[name]

    def _accounts(self) -> None:
        keystone = self.keystone
        keystone.user(MEMBER, keystone.password, PROJECT)
        account = (MEMBER, keystone.password, PROJECT)
        identifier, secret = keystone.application_credential(*account, "lab")
        self._clouds["admin"] = self._entry(keystone.admin, "admin")
        self._clouds["member"] = self._entry(MEMBER, PROJECT)
        self._clouds["credential"] = self._entry() | {
            "auth_type": "v3applicationcredential",
            "auth": {
                "auth_url": keystone.url,
                "application_credential_id": identifier,
                "application_credential_secret": secret,
            },
        }
        self._write()

    def _entry(self, user: str = "", project: str = "") -> dict[str, Any]:
        auth = {
            "auth_url": self.keystone.url,
            "username": user,
            "password": self.keystone.password,
            "project_name": project,
            "user_domain_id": "default",
            "project_domain_id": "default",
        }
        return {"auth": auth, "regions": list(self._names), "interface": "public"}

    def _write(self) -> None:
        self.clouds_yaml.write_text(yaml.safe_dump({"clouds": self._clouds}, sort_keys=False))

    def __enter__(self) -> Self:
        """Start the cloud for the length of a `with` block."""
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop it."""
        self.stop()
