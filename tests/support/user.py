"""A user with a clouds.yaml, who runs `meltemi` and `openstack` in a folder."""

import os
import re
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from lab import Cloud, venvs
from tests.support import cli
from tests.support.cli import Done


class Accounts:
    """The tests' own clouds.yaml: the lab's clouds, and accounts made for single tests."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._added: dict[str, Any] = {}
        self._file = cloud.folder / "tests-clouds.yaml"
        self._home = cloud.folder / "home"
        self._home.mkdir()

    def add(self, name: str, *, role: str = "member", project: str = "") -> str:
        """Make a user with one role in a project (by default of its own); give its project's id.

        The cloud of that name in clouds.yaml is this user.
        """
        keystone = self._cloud.keystone
        project = project or name
        keystone.user(name, keystone.password, project, [role])
        auth = {
            "auth_url": keystone.url,
            "username": name,
            "password": keystone.password,
            "project_name": project,
            "user_domain_id": "default",
            "project_domain_id": "default",
        }
        self.entry(name, {"auth": auth, "regions": list(self._cloud.regions)})
        return keystone.project(project)

    def change(self, name: str, **facts: Any) -> None:
        """Change an entry; None takes a key away."""
        changed = {**self._added[name], **facts}
        self._added[name] = {key: value for key, value in changed.items() if value is not None}

    def entry(self, name: str, entry: Mapping[str, Any]) -> None:
        """Put an entry of any kind into the file."""
        self._added[name] = dict(entry)

    def token(self, name: str, project: str = "") -> str:
        """Give a token of a user that `add` made, or of `admin`."""
        keystone = self._cloud.keystone
        return keystone.token(name, keystone.password, project or name)

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """Bring the file up to date; give the environment of a user who has it."""
        clouds = yaml.safe_load(self._cloud.clouds_yaml.read_text())["clouds"]
        self._file.write_text(yaml.safe_dump({"clouds": {**clouds, **self._added}}))
        own = {"HOME": str(self._home), "OS_CLIENT_CONFIG_FILE": str(self._file)}
        return cli.environment({**own, **(extra or {})})


class User:
    """Runs commands in one folder, with the tests' clouds.yaml."""

    def __init__(self, accounts: Accounts, folder: Path) -> None:
        self._accounts = accounts
        self.folder = folder

    def meltemi(self, *words: object, code: int = 0, env: Mapping[str, str] | None = None) -> Done:
        """Run meltemi; fail unless it ends with `code`."""
        done = cli.meltemi(*words, env=self._accounts.environment(env), cwd=self.folder)
        shown = f"{' '.join(map(str, words))}: exit code {done.code}\n{done.err}{done.out}"
        assert done.code == code, shown
        return done

    def rows(
        self, *words: object, code: int = 0, env: Mapping[str, str] | None = None
    ) -> list[dict[str, Any]]:
        """Run meltemi with `-f json`; give the rows."""
        return self.meltemi(*words, "-f", "json", code=code, env=env).rows

    def openstack(self, *words: object, cloud: str = "admin", region: str = "") -> str:
        """Run the `openstack` client; give what it prints."""
        program = venvs.environment("client") / "bin" / "openstack"
        where = ["--os-cloud", cloud, *(["--os-region-name", region] if region else [])]
        done = subprocess.run(
            [str(program), *where, *map(str, words)],
            env=self._accounts.environment(),
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def watch(self, *words: object) -> str:
        """Run meltemi with stderr on a terminal, to its success; give what was to be seen."""
        ours, theirs = os.openpty()
        seen = b""
        with subprocess.Popen(
            [*cli.PROGRAM, *map(str, words)],
            env={**self._accounts.environment(), "TERM": "xterm", "COLUMNS": "200"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=theirs,
        ) as process:
            os.close(theirs)
            # Linux answers with an error where the other end of a terminal is closed.
            with suppress(OSError):
                while piece := os.read(ours, 4096):
                    seen += piece
        os.close(ours)
        text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen.decode())
        assert process.returncode == 0, text
        return text

    def write(self, name: str, text: str) -> Path:
        """Write a file into the folder."""
        path = self.folder / name
        path.write_text(text)
        return path
