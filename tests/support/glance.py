"""A plain client of a real Glance, for what a test puts there and for what it finds there.

It shares nothing with the code under test.
"""

import hashlib
import http.client
import json
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from lab import Glance, Postgres

_PATCH_TYPE = "application/openstack-images-v2.1-json-patch"

Json = dict[str, Any]


class RefusedError(Exception):
    """Glance answered with an error; `status` is its code."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status}: {text}")
        self.status = status


class Place:
    """One Glance without authentication: its server and what is in it."""

    def __init__(self, server: Glance, postgres: Postgres | None = None) -> None:
        self.server = server
        self.url = server.url
        self.address = f"127.0.0.1:{server.port}"
        self._postgres = postgres

    def __str__(self) -> str:
        return self.url

    def put(self, name: str | None, data: bytes | None = b"", **attributes: Any) -> str:
        """Make an image with data (None leaves it queued) and give its id."""
        body = {"disk_format": "raw", "container_format": "bare", **attributes}
        protected = body.pop("protected", False)
        hidden = body.pop("os_hidden", False)
        image_id: str = self.call("POST", "/v2/images", {"name": name, **body})["id"]
        if data is not None:
            self.upload(image_id, data)
        later = {"protected": protected, "os_hidden": hidden}
        if changes := {key: value for key, value in later.items() if value}:
            self.change(image_id, **changes)
        return image_id

    def upload(self, image_id: str, data: bytes) -> None:
        """Send an image's data."""
        self.request("PUT", f"/v2/images/{image_id}/file", data, "application/octet-stream")

    def change(self, image_id: str, *, remove: tuple[str, ...] = (), **attributes: Any) -> None:
        """Set attributes and properties, and remove some."""
        patch = [{"op": "add", "path": f"/{k}", "value": v} for k, v in attributes.items()]
        patch += [{"op": "remove", "path": f"/{name}"} for name in remove]
        path = f"/v2/images/{image_id}"
        self.request("PATCH", path, json.dumps(patch).encode(), _PATCH_TYPE)

    def delete(self, image_id: str) -> None:
        """Delete an image; its id is burnt."""
        self.request("DELETE", f"/v2/images/{image_id}")

    def show(self, image_id: str) -> Json:
        """Give one image as the API does."""
        image: Json = self.call("GET", f"/v2/images/{image_id}")
        return image

    def has(self, image_id: str) -> bool:
        """Say whether an image is there, with or without data."""
        try:
            self.show(image_id)
        except RefusedError as error:
            if error.status == http.client.NOT_FOUND:
                return False
            raise
        return True

    def wait_for(self, image_id: str, status: str) -> None:
        """Wait until an image has a status: Glance notices a cut connection a moment later."""
        deadline = time.monotonic() + 10
        while self.show(image_id)["status"] != status:
            assert time.monotonic() < deadline, self.show(image_id)
            time.sleep(0.05)

    def data(self, image_id: str) -> bytes:
        """Give an image's data."""
        return self.request("GET", f"/v2/images/{image_id}/file")

    def hash(self, image_id: str) -> str:
        """Give the SHA-256 of the data as it is read now."""
        return hashlib.sha256(self.data(image_id)).hexdigest()

    def images(self, query: str = "") -> list[Json]:
        """Give every image, hidden ones last."""
        found: list[Json] = []
        for hidden in ("false", "true"):
            path: str | None = f"/v2/images?limit=1000&visibility=all&os_hidden={hidden}{query}"
            while path:
                page = self.call("GET", path)
                found += page["images"]
                path = page.get("next")
        return found

    def statuses(self) -> dict[str, str]:
        """Give the status of every image by its id."""
        return {image["id"]: image["status"] for image in self.images()}

    def named(self, name: str) -> Json:
        """Give the one image of a name; fail where it is not one."""
        found = [image for image in self.images() if image["name"] == name]
        assert len(found) == 1, f"{len(found)} images are called {name!r}"
        return found[0]

    def call(self, method: str, path: str, body: object = None) -> Any:
        """Send JSON and give the JSON of the answer."""
        data = None if body is None else json.dumps(body).encode()
        answer = self.request(method, path, data, "application/json")
        return json.loads(answer) if answer else None

    def request(
        self, method: str, path: str, body: bytes | None = None, media_type: str | None = None
    ) -> bytes:
        """Send one request; raise RefusedError where the answer is an error."""
        headers: Mapping[str, str] = {"Content-Type": media_type} if media_type else {}
        where = urlsplit(self.url)
        connection = http.client.HTTPConnection(str(where.hostname), where.port, timeout=120)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            answer = response.read()
        finally:
            connection.close()
        if response.status >= http.client.BAD_REQUEST:
            raise RefusedError(response.status, answer.decode(errors="replace"))
        return answer

    def wipe(self) -> None:
        """Take every image away as if it had never been: no id stays burnt."""
        self.sql("TRUNCATE images CASCADE")
        for path in self.server.store.iterdir():
            path.unlink()

    def sql(self, statement: str) -> str:
        """Run SQL in the service's database."""
        if self._postgres is None:
            raise AssertionError("this Glance keeps its images in a file")
        database = f"{self.server.name}-{self.server.port}"
        return self._postgres.execute(statement, database)
