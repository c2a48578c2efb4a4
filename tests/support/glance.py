"""A plain client of a real Image service, for what a test puts there and for what it finds there.

It shares nothing with the code under test.
"""

import hashlib
import http.client
import json
import ssl
import time
from collections.abc import Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from lab import Glance, Postgres, images

_PATCH: Final = "application/openstack-images-v2.1-json-patch"
_DATA: Final = "application/octet-stream"

Json = dict[str, Any]


def some_data(seed: int = 0, size: int = 5000) -> bytes:
    """Give data that is like no other seed's."""
    return images.random_bytes(size, seed)


class RefusedError(Exception):
    """Glance answered with an error; `status` is its code."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status}: {text}")
        self.status = status


class Place:
    """One Image service as one of its users sees it: with a token or without, with TLS or not."""

    def __init__(self, url: str, *, token: str = "", cafile: Path | None = None) -> None:
        self.url = url
        self.port = int(urlsplit(url).port or 0)
        self.address = f"127.0.0.1:{self.port}"
        self._token = token
        self._cafile = cafile

    def __str__(self) -> str:
        return self.url

    @property
    def headers(self) -> Mapping[str, str]:
        """Give what every request says of its sender."""
        return {"X-Auth-Token": self._token} if self._token else {}

    def seen_by(self, token: str) -> "Place":
        """Give the same service to somebody else."""
        return Place(self.url, token=token, cafile=self._cafile)

    # Making and changing

    def put(self, name: str | None, data: bytes | Path | None = b"", **attributes: Any) -> str:
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

    def upload(self, image_id: str, data: bytes | Path) -> None:
        """Send an image's data, or a file's content."""
        self.request("PUT", f"/v2/images/{image_id}/file", data, _DATA)

    def change(self, image_id: str, *, remove: tuple[str, ...] = (), **attributes: Any) -> None:
        """Set attributes and properties, and remove some, whatever their names hold."""
        patch = [{"op": "remove", "path": _pointer(name)} for name in remove]
        patch += [{"op": "add", "path": _pointer(k), "value": v} for k, v in attributes.items()]
        self.request("PATCH", f"/v2/images/{image_id}", json.dumps(patch).encode(), _PATCH)

    def act(self, image_id: str, action: str) -> None:
        """Deactivate or reactivate an image."""
        self.call("POST", f"/v2/images/{image_id}/actions/{action}")

    def delete(self, image_id: str) -> None:
        """Delete an image; its id is burnt."""
        self.request("DELETE", f"/v2/images/{image_id}")

    def share(self, image_id: str, project: str, status: str = "pending") -> None:
        """Offer a shared image to a project."""
        self.call("POST", f"/v2/images/{image_id}/members", {"member": project})
        if status != "pending":
            self.call("PUT", f"/v2/images/{image_id}/members/{project}", {"status": status})

    def unshare(self, image_id: str, project: str) -> None:
        """Withdraw the offer."""
        self.call("DELETE", f"/v2/images/{image_id}/members/{project}")

    # Looking

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
        deadline = time.monotonic() + 120
        while self.show(image_id)["status"] != status:
            assert time.monotonic() < deadline, self.show(image_id)
            time.sleep(0.05)

    def data(self, image_id: str) -> bytes:
        """Give an image's data."""
        return self.request("GET", f"/v2/images/{image_id}/file")

    def hash(self, image_id: str) -> str:
        """Give the SHA-256 of the data as it is read now."""
        return hashlib.sha256(self.data(image_id)).hexdigest()

    def members(self, image_id: str) -> dict[str, str]:
        """Give the members of an image and their status."""
        found = self.call("GET", f"/v2/images/{image_id}/members")["members"]
        return {member["member_id"]: member["status"] for member in found}

    def images(self) -> list[Json]:
        """Give every image, hidden ones last."""
        found: list[Json] = []
        for hidden in ("false", "true"):
            path: str | None = f"/v2/images?limit=1000&visibility=all&os_hidden={hidden}"
            while path:
                page = self.call("GET", path)
                found += page["images"]
                path = page.get("next")
        return found

    def statuses(self) -> dict[str, str]:
        """Give the status of every image by its id."""
        return {image["id"]: image["status"] for image in self.images()}

    def find(self, name: str) -> list[Json]:
        """Give all images of a name that are not hidden."""
        return [i for i in self.images() if i["name"] == name and not i["os_hidden"]]

    def named(self, name: str) -> Json:
        """Give the one image of a name, hidden or not; fail where it is not one."""
        found = [image for image in self.images() if image["name"] == name]
        assert len(found) == 1, f"{len(found)} images are called {name!r}"
        return found[0]

    # Speaking with it

    def call(self, method: str, path: str, body: object = None) -> Any:
        """Send JSON and give the JSON of the answer."""
        data = None if body is None else json.dumps(body).encode()
        answer = self.request(method, path, data, "application/json")
        return json.loads(answer) if answer else None

    def request(
        self, method: str, path: str, body: bytes | Path | None = None, media_type: str = ""
    ) -> bytes:
        """Send one request; raise RefusedError where the answer is an error."""
        headers = self._headers()
        if media_type:
            headers["Content-Type"] = media_type
        with closing(self._connection()) as connection, ExitStack() as files:
            if isinstance(body, Path):
                headers["Content-Length"] = str(body.stat().st_size)
                connection.request(method, path, files.enter_context(body.open("rb")), headers)
            else:
                connection.request(method, path, body, headers)
            response = connection.getresponse()
            answer = response.read()
        if response.status >= http.client.BAD_REQUEST:
            raise RefusedError(response.status, answer.decode(errors="replace"))
        return answer

    def _headers(self) -> dict[str, str]:
        return {"X-Auth-Token": self._token} if self._token else {}

    def _connection(self) -> http.client.HTTPConnection:
        where = urlsplit(self.url)
        host = str(where.hostname)
        if where.scheme == "https":
            tls = ssl.create_default_context(cafile=self._cafile)
            return http.client.HTTPSConnection(host, where.port, timeout=120, context=tls)
        return http.client.HTTPConnection(host, where.port, timeout=120)


class Service(Place):
    """A real Glance, which a test can also start, stop and change behind its back.

    `postgres` is where its database is; without it, nothing can be changed there.
    """

    def __init__(
        self,
        server: Glance,
        postgres: Postgres | None = None,
        *,
        token: str = "",
        cafile: Path | None = None,
    ) -> None:
        super().__init__(server.url, token=token, cafile=cafile)
        self.server = server
        self._postgres = postgres

    def seen_by(self, token: str) -> "Service":
        """Give the same service to somebody else."""
        return Service(self.server, self._postgres, token=token, cafile=self._cafile)

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


def _pointer(name: str) -> str:
    return "/" + name.replace("~", "~0").replace("/", "~1")
