"""A Glance as one of its users sees it: a `Place` that takes a token, TLS and large files."""

import http.client
import json
import ssl
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

from lab import Glance, Postgres, images
from tests.support.glance import Json, Place, RefusedError

_PATCH: Final = "application/openstack-images-v2.1-json-patch"


class Service(Place):
    """One Image service, spoken to with one token or none."""

    def __init__(
        self, server: Glance, postgres: Postgres, *, token: str = "", cafile: Path | None = None
    ) -> None:
        super().__init__(server, postgres)
        self._database = postgres
        self.token = token
        self._tls = ssl.create_default_context(cafile=cafile) if cafile else None

    def seen_by(self, token: str) -> "Service":
        """Give the same service to somebody else."""
        return Service(self.server, self._database, token=token)

    def put_file(self, name: str, file: Path, **attributes: Any) -> str:
        """Make an image of a file's content and give its id."""
        image_id = self.put(name, None, **attributes)
        with file.open("rb") as data:
            self._send("PUT", f"/v2/images/{image_id}/file", data, "application/octet-stream")
        return image_id

    def find(self, name: str, *, hidden: bool = False) -> list[Json]:
        """Give all images of a name."""
        query = f"name={quote(name)}&visibility=all&os_hidden={str(hidden).lower()}"
        found: list[Json] = self.call("GET", f"/v2/images?{query}")["images"]
        return found

    def change(self, image_id: str, *, remove: tuple[str, ...] = (), **attributes: Any) -> None:
        """Set attributes and properties, and remove some, whatever their names hold."""
        patch = [{"op": "remove", "path": _pointer(name)} for name in remove]
        patch += [{"op": "add", "path": _pointer(k), "value": v} for k, v in attributes.items()]
        self.request("PATCH", f"/v2/images/{image_id}", json.dumps(patch).encode(), _PATCH)

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

    def request(
        self, method: str, path: str, body: bytes | None = None, media_type: str | None = None
    ) -> bytes:
        """Send one request; raise RefusedError where the answer is an error."""
        return self._send(method, path, body, media_type)

    def _send(self, method: str, path: str, body: Any, media_type: str | None) -> bytes:
        parts = urlsplit(self.url)
        address = (str(parts.hostname), parts.port)
        connection = (
            http.client.HTTPSConnection(*address, timeout=120, context=self._tls)
            if parts.scheme == "https"
            else http.client.HTTPConnection(*address, timeout=120)
        )
        headers = {"X-Auth-Token": self.token} if self.token else {}
        if media_type:
            headers["Content-Type"] = media_type
        if body is not None and not isinstance(body, bytes):
            headers["Content-Length"] = str(Path(body.name).stat().st_size)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            answer = response.read()
        finally:
            connection.close()
        if response.status >= http.client.BAD_REQUEST:
            raise RefusedError(response.status, answer.decode(errors="replace"))
        return answer


def some_data(seed: int = 0, size: int = 5000) -> bytes:
    """Give data that is like no other seed's."""
    return images.random_bytes(size, seed)


def _pointer(name: str) -> str:
    return "/" + name.replace("~", "~0").replace("/", "~1")
