"""Folders that the real `glance-replicator dump` wrote: both releases of it, loaded into Glance.

It speaks the Image API v1, which no Glance has any more; a small server stands in for that.
"""

import hashlib
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest

from lab import venvs
from lab.glance import NEW, OLD
from tests.support.cli import PATIENCE, User, environment
from tests.support.glance import Service, some_data

pytestmark = pytest.mark.services

Detail = dict[str, Any]


def detail(name: str, data: bytes | None, **attributes: Any) -> Detail:
    """Describe an image as `/v1/images/detail` does; without data it is queued."""
    checksum = None if data is None else hashlib.md5(data, usedforsecurity=False).hexdigest()
    return {
        "id": str(uuid4()),
        "name": name,
        "status": "queued" if data is None else "active",
        "size": len(data or b""),
        "checksum": checksum,
        "owner": "5ef70662f8b34079a6eddb8da9d75fe8",
        "is_public": False,
        "protected": False,
        "disk_format": "raw",
        "container_format": "bare",
        "min_disk": 0,
        "min_ram": 0,
        "created_at": "2014-05-05T17:15:10.000000",
        "updated_at": "2014-05-05T17:15:11.000000",
        "deleted": False,
        "deleted_at": None,
        "virtual_size": None,
        "properties": {},
        **attributes,
    }


@contextmanager
def glance_v1(images: list[tuple[Detail, bytes | None]]) -> Iterator[str]:
    """Serve images as the Image API v1 does; gives host and port."""
    ids = [image["id"] for image, _ in images]

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            where = urlsplit(self.path)
            if where.path == "/v1/images/detail":
                marker = parse_qs(where.query).get("marker", [""])[0]
                start = ids.index(marker) + 1 if marker else 0
                page = [image for image, _ in images[start : start + 2]]
                self._give(json.dumps({"images": page}).encode())
            else:
                self._give(images[ids.index(where.path.rpartition("/")[2])][1] or b"")

        def _give(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def replicate(release: str, *words: object) -> None:
    """Run glance-replicator."""
    program = venvs.environment(release) / "bin" / "glance-replicator"
    done = subprocess.run(
        [str(program), *map(str, words)],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("release", [NEW, OLD])
def test_what_it_dumped_is_loaded(
    user: User, anonymous: Service, release: str, tmp_path: Path, name: str
) -> None:
    kernel = some_data(1)
    boot = detail(f"{name}kernel", kernel, disk_format="aki", container_format="aki")
    machine = detail(
        f"{name}zwölf ☃",
        some_data(2, 2_500_000),
        is_public=True,
        min_disk=5,
        min_ram=512,
        properties={"kernel_id": boot["id"], "os_distro": "debian", "note": "a b=c"},
    )
    empty = detail(f"{name}empty", b"")
    queued = detail(f"{name}queued", None)
    images = [(boot, kernel), (machine, some_data(2, 2_500_000)), (empty, b""), (queued, None)]
    with glance_v1(images) as address:
        replicate(release, "dump", address, tmp_path)
    folder = {path.name for path in tmp_path.iterdir()}
    assert folder == {image["id"] for image, _ in images} | {
        f"{image['id']}.img" for image in (boot, machine, empty)
    }

    results = {row["ID"]: row["Result"] for row in user.rows("load", anonymous, tmp_path)}
    assert results == {image["id"]: "done" for image, _ in images} | {queued["id"]: "left out"}
    for image, data in images[:3]:
        assert anonymous.data(image["id"]) == data
    arrived = anonymous.show(machine["id"])
    wanted = {
        **machine["properties"],
        **{key: machine[key] for key in ("name", "min_disk", "min_ram", "checksum", "disk_format")},
        "visibility": "public",
    }
    assert {key: arrived[key] for key in wanted} == wanted
    assert not anonymous.has(queued["id"])
    assert [row["Result"] for row in user.rows("load", anonymous, tmp_path)] == ["left out"]


def test_a_folder_that_it_dumped_only_in_part_is_refused(
    user: User, anonymous: Service, tmp_path: Path, name: str
) -> None:
    """As where it was interrupted: it writes the metadata first, and does not take up the data."""
    data = some_data(3)
    image = detail(f"{name}a", data)
    with glance_v1([(image, data)]) as address:
        replicate(NEW, "dump", address, tmp_path)
    (tmp_path / f"{image['id']}.img").write_bytes(data[:1000])
    line = user.meltemi("load", anonymous, tmp_path, code=8).complaint
    assert image["id"] in line
    assert not anonymous.has(image["id"])
