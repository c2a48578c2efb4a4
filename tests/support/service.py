"""A Glance as its users see it: plain HTTP, without any code of Meltemi."""

import http.client
import json
import ssl
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final
from urllib.parse import quote, urlsplit

from lab import images

_PATCH: Final = "application/openstack-images-v2.1-json-patch"


class Refused(Exception):  # noqa: N818 - it names what the service did
    """The service answered with an error."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status}: {text}")
        self.status = status


class Service:
    """One Image service, spoken to with one token or none."""

    def __init__(self, url: str, token: str = "", cafile: Path | None = None) -> None:
        self.url = url
        self.token = token
        self._tls = ssl.create_default_context(cafile=cafile) if cafile else None

    @property
    def address(self) -> str:
        """Give it as host:port."""
        return urlsplit(self.url).netloc

    def create(self, name: str | None, data: bytes | Path | None = b"data", **facts: Any) -> str:
        """Register an image, send its data unless that is None, and give its id.

        It is private, raw and bare unless told otherwise; `properties` holds keys that are no
        Python names.
        """
        body = {
            "id": str(uuid.uuid4()),
            "name": name,
            "visibility": "private",
            "disk_format": "raw",
            "container_format": "bare",
            **facts.pop("properties", {}),
            **facts,
        }
        image_id: str = self.call("POST", "/v2/images", body)["id"]
        if data is not None:
            self.upload(image_id, data)
        return image_id

    def upload(self, image_id: str, data: bytes | Path) -> None:
        """Send an image's data."""
        path = f"/v2/images/{image_id}/file"
        if isinstance(data, bytes):
            self._send("PUT", path, data, "application/octet-stream", len(data))
            return
        with data.open("rb") as file:
            self._send("PUT", path, file, "application/octet-stream", data.stat().st_size)

    def show(self, image_id: str) -> dict[str, Any]:
        """Give everything the service says of an image."""
        shown: dict[str, Any] = self.call("GET", f"/v2/images/{image_id}")
        return shown

    def exists(self, image_id: str) -> bool:
        """Say whether the image is there."""
        try:
            self.show(image_id)
        except Refused as answer:
            if answer.status == http.client.NOT_FOUND:
                return False
            raise
        return True

    def named(self, name: str, *, hidden: bool = False) -> list[dict[str, Any]]:
        """Give all images of a name, in order of ids."""
        query = f"name={quote(name)}&visibility=all&os_hidden={str(hidden).lower()}"
        found = self.call("GET", f"/v2/images?{query}")["images"]
        return sorted(found, key=lambda image: str(image["id"]))

    def data(self, image_id: str) -> bytes:
        """Give an image's data."""
        return self._send("GET", f"/v2/images/{image_id}/file")

    def set(
        self, image_id: str, properties: Mapping[str, Any] | None = None, **facts: Any
    ) -> dict[str, Any]:
        """Set attributes and properties."""
        changed: dict[str, Any] = self._patch(
            image_id,
            [
                {"op": "add", "path": _pointer(key), "value": value}
                for key, value in {**(properties or {}), **facts}.items()
            ],
        )
        return changed

    def remove(self, image_id: str, *names: str) -> None:
        """Remove properties."""
        self._patch(image_id, [{"op": "remove", "path": _pointer(name)} for name in names])

    def delete(self, image_id: str) -> None:
        """Delete an image."""
        self.call("DELETE", f"/v2/images/{image_id}")

    def act(self, image_id: str, action: str) -> None:
        """Deactivate or reactivate an image."""
        self.call("POST", f"/v2/images/{image_id}/actions/{action}")

    def share(self, image_id: str, project: str, status: str = "pending") -> None:
        """Offer a shared image to a project."""
        self.call("POST", f"/v2/images/{image_id}/members", {"member": project})
        if status != "pending":
            self.call("PUT", f"/v2/images/{image_id}/members/{project}", {"status": status})

    def unshare(self, image_id: str, project: str) -> None:
        """Withdraw the offer."""
        self.call("DELETE", f"/v2/images/{image_id}/members/{project}")

    def members(self, image_id: str) -> dict[str, str]:
        """Give the members of an image and their status."""
        found = self.call("GET", f"/v2/images/{image_id}/members")["members"]
        return {member["member_id"]: member["status"] for member in found}

    def call(self, method: str, path: str, body: object = None) -> Any:
        """Send one request; give the JSON of its answer, or raise Refused."""
        data = None if body is None else json.dumps(body).encode()
        answer = self._send(method, path, data, "application/json")
        return json.loads(answer) if answer else None

    def _patch(self, image_id: str, operations: list[dict[str, Any]]) -> Any:
        body = json.dumps(operations).encode()
        return json.loads(self._send("PATCH", f"/v2/images/{image_id}", body, _PATCH))

    def _send(
        self,
        method: str,
        path: str,
        body: bytes | BinaryIO | None = None,
        media_type: str = "",
        length: int | None = None,
    ) -> bytes:
        parts = urlsplit(self.url)
        address = (parts.hostname or "", parts.port)
        connection = (
            http.client.HTTPSConnection(*address, timeout=120, context=self._tls)
            if parts.scheme == "https"
            else http.client.HTTPConnection(*address, timeout=120)
        )
        headers = {"X-Auth-Token": self.token} if self.token else {}
        if media_type:
            headers["Content-Type"] = media_type
        if length is not None:
            headers["Content-Length"] = str(length)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        if answer.status >= http.client.BAD_REQUEST:
            raise Refused(answer.status, content.decode(errors="replace"))
        return content


def some_data(seed: int = 0, size: int = 5000) -> bytes:
    """Give data that is like no other seed's."""
    return images.random_bytes(size, seed)


def wait_until(true: Any, seconds: float = 30) -> None:
    """Wait until a function gives something true; fail after so many seconds."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.05)


def _pointer(name: str) -> str:
    return "/" + name.replace("~", "~0").replace("/", "~1")
