"""What a test needs made in Keystone, made through its own API."""

import json
import urllib.error
import urllib.request
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from lab.errors import LabError


class Identity:
    """A client of the Identity API that acts as the administrator."""

    url: str
    admin = "admin"
    password = "secret"  # noqa: S105
    _token = ""

    def call(self, method: str, path: str, body: object = None) -> Any:
        """Send one request as the administrator and return the JSON of the answer."""
        if not self._token:
            self._token = self.token(self.admin, self.password, "admin")
        try:
            return _request(method, self.url + path, body, self._token)[1]
        except urllib.error.HTTPError as answer:
            with answer:
                if answer.code != HTTPStatus.UNAUTHORIZED:
                    text = answer.read().decode()
                    raise LabError(f"{method} {path}: {answer.code} {text}") from answer
        # The token has run out: they may be short-lived here.
        self._token = ""
        return self.call(method, path, body)

    def token(self, user: str, password: str, project: str) -> str:
        """Return a token of a user of the default domain, scoped to a project."""
        default = {"id": "default"}
        identity = {
            "methods": ["password"],
            "password": {"user": {"name": user, "domain": default, "password": password}},
        }
        scope = {"project": {"name": project, "domain": default}}
        body = {"auth": {"identity": identity, "scope": scope}}
        token: str = _request("POST", f"{self.url}/auth/tokens", body)[0]["X-Subject-Token"]
        return token

    def region(self, name: str) -> None:
        """Create a region unless it exists.

        It gets the identity endpoint without which keystonemiddleware fails.
        """
        if not any(region["id"] == name for region in self.call("GET", "/regions")["regions"]):
            self.call("POST", "/regions", {"region": {"id": name}})
            self.endpoint("identity", name, self.url)

    def endpoint(self, service: str, region: str, url: str) -> None:
        """Register the public endpoint of a service in a region, or move it."""
        self.region(region)
        name = {"image": "glance", "identity": "keystone"}.get(service, service)
        service_id = self.ensure("service", name, {"type": service})
        query = f"?interface=public&service_id={service_id}&region_id={region}"
        known = self.call("GET", f"/endpoints{query}")["endpoints"]
        if known:
            self.call("PATCH", f"/endpoints/{known[0]['id']}", {"endpoint": {"url": url}})
            return
        facts = {"interface": "public", "region_id": region, "service_id": service_id}
        self.call("POST", "/endpoints", {"endpoint": {**facts, "url": url}})

    def withdraw(self, kind: str) -> None:
        """Take the services of a type out of the catalog, with their endpoints."""
        for service in self.call("GET", f"/services?type={kind}")["services"]:
            self.call("DELETE", f"/services/{service['id']}")

    def project(self, name: str) -> str:
        """Create a project unless it exists, and return its id."""
        return self.ensure("project", name, {"domain_id": "default"})

    def user(
        self, name: str, password: str, project: str, roles: Sequence[str] = ("member",)
    ) -> str:
        """Create a user unless it exists, with roles in a project, and return its id."""
        project_id = self.project(project)
        user_id = self.ensure("user", name, {"password": password, "domain_id": "default"})
        for role in roles:
            role_id = self.ensure("role", role, {})
            self.call("PUT", f"/projects/{project_id}/users/{user_id}/roles/{role_id}")
        return user_id

    def application_credential(
        self, user: str, password: str, project: str, name: str
    ) -> tuple[str, str]:
        """Create an application credential as that user; return its id and secret."""
        user_id = self.ensure("user", user, {})
        path = f"{self.url}/users/{user_id}/application_credentials"
        body = {"application_credential": {"name": name}}
        made = _request("POST", path, body, self.token(user, password, project))[1]
        credential = made["application_credential"]
        return credential["id"], credential["secret"]

    def ensure(self, kind: str, name: str, facts: dict[str, Any]) -> str:
        """Return the id of the thing of that kind and name, created if it is absent."""
        for one in self.call("GET", f"/{kind}s?name={name}")[f"{kind}s"]:
            if one["name"] == name:
                return str(one["id"])
        made = self.call("POST", f"/{kind}s", {kind: {"name": name, **facts}})
        return str(made[kind]["id"])


def _request(method: str, url: str, body: object, token: str = "") -> tuple[Any, Any]:
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(url, method=method, data=data)  # noqa: S310
    request.add_header("Content-Type", "application/json")
    if token:
        request.add_header("X-Auth-Token", token)
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
        text = answer.read()
        return answer.headers, json.loads(text) if text else None
