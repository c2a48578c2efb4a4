"""Regions that stand in front of a real Glance."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lab import Region
from tests.support.cli import Done, meltemi
from tests.support.glance import Json, Place, Service
from tests.support.waiting import eventually

OWN = ("stores", "direct_url", "locations")
"""What each service says of its own."""


class Adopting(Region):
    """A region that adopts the Image service at a URL."""

    def __init__(
        self, folder: Path, glance: str, *, settings: Mapping[str, Any] | None = None
    ) -> None:
        chosen = {"adopt": {"endpoint": glance}, **(settings or {})}
        super().__init__(folder, settings=chosen)

    @property
    def place(self) -> Place:
        """Give it as its users see it."""
        return Place(self.url)

    def adopt(self, *words: str, code: int | None = 0) -> Done:
        """Run `meltemi adopt`."""
        return meltemi("adopt", *words, "--config", self.config, code=code)

    def status(self) -> Json:
        """Give what `meltemi adopt status` says."""
        done = self.adopt("status", "-f", "json", code=None)
        row: Json = json.loads(done.out)[0]
        return {**row, "code": done.code, "told": done.err}

    def wait_until_filled(self) -> None:
        """Wait until everything is here."""
        eventually(lambda: self.status()["code"] == 0)

    def finish(self, *words: str) -> None:
        """Finish the adoption as soon as everything is here."""
        eventually(lambda: self.adopt("finish", *words, code=None).code == 0)


def seen(place: Place) -> dict[str, Json]:
    """Give all that a service says of its images and their members, but what is its own."""
    found = {}
    for image in place.images():
        members = []
        if image["visibility"] == "shared":
            members = place.call("GET", f"/v2/images/{image['id']}/members")["members"]
        facts = {key: value for key, value in image.items() if key not in OWN}
        facts["tags"] = sorted(facts["tags"])
        facts["members"] = sorted(members, key=lambda member: str(member["member_id"]))
        found[str(image["id"])] = facts
    return found


def data_of(place: Place) -> dict[str, bytes]:
    """Give the data of all images that have some."""
    return {
        image["id"]: place.data(image["id"])
        for image in place.images()
        if image["status"] in ("active", "deactivated")
    }


def damage(glance: Service, image: str) -> None:
    """Change a byte in the middle of an image's data, behind the Glance's back."""
    file = glance.server.store / image
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 0xFF
    file.write_bytes(data)
