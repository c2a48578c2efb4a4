"""The clouds.yaml of the tests."""

from collections.abc import Mapping
from typing import Any

import yaml

from lab import Cloud


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

    def variables(self) -> dict[str, str]:
        """Bring the file up to date; give the variables of a user who has it."""
        clouds = yaml.safe_load(self._cloud.clouds_yaml.read_text())["clouds"]
        self._file.write_text(yaml.safe_dump({"clouds": {**clouds, **self._added}}))
        return {"HOME": str(self._home), "OS_CLIENT_CONFIG_FILE": str(self._file)}
