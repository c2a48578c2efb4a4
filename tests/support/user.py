"""The real command line, and the real `openstack` client, as subprocesses."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from lab import Cloud, venvs
from lab.process import clean_environment

_SECONDS: Final = 300
"""After which a command that hangs is a failure."""


class Accounts:
    """The tests' own clouds.yaml: the lab's clouds, and accounts made for single tests."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._added: dict[str, Any] = {}
        self.file = cloud.folder / "tests-clouds.yaml"

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

    def entry(self, name: str, entry: Mapping[str, Any]) -> None:
        """Put an entry of any kind into the file."""
        self._added[name] = dict(entry)

    def token(self, name: str, project: str = "") -> str:
        """Give a token of a user that `add` made, or of `admin`."""
        keystone = self._cloud.keystone
        return keystone.token(name, keystone.password, project or name)

    def environment(self) -> dict[str, str]:
        """Give the environment of a user with this file, and bring the file up to date."""
        clouds = yaml.safe_load(self._cloud.clouds_yaml.read_text())["clouds"]
        self.file.write_text(yaml.safe_dump({"clouds": {**clouds, **self._added}}))
        kept = {k: v for k, v in clean_environment().items() if not k.startswith("MELTEMI_")}
        home = self._cloud.folder / "home"
        home.mkdir(exist_ok=True)
        return {**kept, "HOME": str(home), "OS_CLIENT_CONFIG_FILE": str(self.file)}


@dataclass(frozen=True)
class Done:
    """How a command ended: its exit code and what it printed."""

    words: Sequence[str]
    code: int
    out: str
    err: str

    def rows(self) -> list[dict[str, Any]]:
        """Give the rows that `-f json` printed."""
        rows: list[dict[str, Any]] = json.loads(self.out)
        return rows

    def column(self, name: str) -> list[Any]:
        """Give one column of what `-f json` printed."""
        return [row[name] for row in self.rows()]

    @property
    def message(self) -> str:
        """Give the one line of an error; more than one is a failure."""
        lines = [line for line in self.err.splitlines() if line.startswith("meltemi: ")]
        assert len(lines) == 1, self.err
        return lines[0].removeprefix("meltemi: ")

    def __str__(self) -> str:
        return f"{' '.join(self.words)}: exit code {self.code}\n{self.out}\n{self.err}"


class Cli:
    """Runs commands in one folder with one environment."""

    def __init__(self, environment: Mapping[str, str], folder: Path) -> None:
        self.environment = dict(environment)
        self.folder = folder

    def meltemi(self, *words: object, code: int | None = 0, **variables: str) -> Done:
        """Run meltemi; fail unless it ends with `code` (None: any). Keywords are variables."""
        done = self._run([*self._program, *map(str, words)], variables)
        assert "Traceback" not in done.err, done
        assert code is None or done.code == code, done
        return done

    def rows(self, *words: object, code: int | None = 0, **variables: str) -> list[dict[str, Any]]:
        """Run meltemi with `-f json`; give the rows."""
        return self.meltemi(*words, "-f", "json", code=code, **variables).rows()

    def openstack(self, *words: object, cloud: str = "admin", region: str = "") -> Done:
        """Run the `openstack` client; fail unless it succeeds."""
        program = venvs.environment("client") / "bin" / "openstack"
        where = ["--os-cloud", cloud, *(["--os-region-name", region] if region else [])]
        done = self._run([str(program), *where, *map(str, words)], {})
        assert done.code == 0, done
        return done

    def start(self, *words: object, **variables: str) -> subprocess.Popen[str]:
        """Start meltemi without waiting for it."""
        return subprocess.Popen(
            [*self._program, *map(str, words)],
            env={**self.environment, **variables},
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @property
    def _program(self) -> list[str]:
        return [str(Path(sys.executable).with_name("meltemi"))]

    def _run(self, words: Sequence[str], variables: Mapping[str, str]) -> Done:
        done = subprocess.run(
            words,
            env={**self.environment, **variables},
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        return Done(words, done.returncode, done.stdout, done.stderr)
