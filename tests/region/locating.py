"""Locations in a running region behind a real Keystone, in the hands of tests."""

import hashlib
import json
from collections.abc import Callable
from typing import Final

from lab import Keystone, Region
from tests.support.glance import Json, Place
from tests.support.waiting import eventually

_PATCH: Final = "application/openstack-images-v2.1-json-patch"

ACCOUNTS: Final = {
    "alice": ("red", ("member",)),
    "amy": ("red", ("reader",)),
    "bob": ("blue", ("member",)),
    "nova": ("service", ("service",)),
}
"""Each user: the project, and the roles in it."""


class People:
    """A region as each of its users sees it."""

    def __init__(self, keystone: Keystone, server: Region) -> None:
        self.server = server
        self._keystone = keystone
        self.projects = {name: keystone.project(name) for name in ("red", "blue", "service")}
        for user, (project, roles) in ACCOUNTS.items():
            keystone.user(user, keystone.password, project, roles)
        accounts = {user: project for user, (project, _) in ACCOUNTS.items()} | {"admin": "admin"}
        self.tokens = {
            user: keystone.token(user, keystone.password, project)
            for user, project in accounts.items()
        }

    def __call__(self, user: str) -> Place:
        return Place(self.server.url, token=self.tokens[user])


def behind(keystone: Keystone) -> Json:
    """Give the settings of a region behind a Keystone."""
    auth = keystone.login()
    return {"keystone": {"auth": auth}}


def location(data: bytes) -> str:
    return f"meltemi://chunks/sha512/{hashlib.sha512(data).hexdigest()}"


def post(place: Place, image: str, url: str, **validation: str) -> None:
    body = {"url": url, **({"validation_data": validation} if validation else {})}
    place.call("POST", f"/v2/images/{image}/locations", body)


def patch(place: Place, image: str, *changes: Json) -> Json:
    body = json.dumps(changes).encode()
    shown: Json = json.loads(place.request("PATCH", f"/v2/images/{image}", body, _PATCH))
    return shown


def add(place: Place, image: str, url: str, **validation: str) -> Json:
    value = {"url": url, "metadata": {}}
    if validation:
        value["validation_data"] = validation
    return patch(place, image, {"op": "add", "path": "/locations/-", "value": value})


def replace(place: Place, image: str, url: str) -> Json:
    value = [{"url": url, "metadata": {}}]
    return patch(place, image, {"op": "replace", "path": "/locations", "value": value})


def task_of(place: Place, image: str) -> Json:
    """Wait for the end of an image's one task, and give it."""

    def tasks() -> list[Json]:
        found: list[Json] = place.call("GET", f"/v2/images/{image}/tasks")["tasks"]
        return found

    eventually(lambda: tasks()[0]["status"] in ("success", "failure"))
    [task] = tasks()
    assert task["type"] == "location_import"
    return task


class Serving(Place):
    """A region as a service sees it that passes on what a user asks."""

    def __init__(self, url: str, token: str, service: str) -> None:
        super().__init__(url, token=token)
        self._service = service

    def _headers(self) -> dict[str, str]:
        return {**super()._headers(), "X-Service-Token": self._service}


WAYS: Final[dict[str, Callable[[Place, str, str], object]]] = {
    "post": post,
    "add": add,
    "replace": replace,
}
"""By which a location is given to an image: the request of its own, and patches of two kinds."""
