"""Data of images in a region: what goes in comes out, and nothing else goes in."""

import hashlib
import http.client
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from lab import Region, images
from tests.support.glance import Place, RefusedError, some_data
from tests.support.uploads import Upload

BINARY = "application/octet-stream"
RAW = {"disk_format": "raw", "container_format": "bare"}


@pytest.fixture(scope="module")
def place(shared_region: Place) -> Place:
    return shared_region


@pytest.fixture(scope="module")
def data() -> bytes:
    """Give random bytes with a stretch of zeros, over several batches."""
    return some_data(1, 5 * 2**20 + 12345) + bytes(3 * 2**20) + some_data(2, 2**20 + 1)


@pytest.fixture(scope="module")
def image(place: Place, data: bytes) -> str:
    return place.put("image", data)


def test_what_goes_in_comes_out(place: Place, image: str, data: bytes) -> None:
    shown = place.show(image)
    assert shown["status"] == "active"
    assert shown["size"] == shown["virtual_size"] == len(data)
    assert shown["checksum"] == hashlib.md5(data).hexdigest()
    assert shown["os_hash_algo"] == "sha512"
    assert shown["os_hash_value"] == hashlib.sha512(data).hexdigest()
    assert place.data(image) == data


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        ("bytes=0-0", slice(0, 1)),
        ("bytes=5-9", slice(5, 10)),
        ("bytes=5242870-9500000", slice(5242870, 9500001)),
        ("bytes=-7", slice(-7, None)),
        ("bytes=9000000-", slice(9000000, None)),
        ("bytes=9000000-99999999999", slice(9000000, None)),
        ("bytes=-99999999999", slice(None)),
    ],
)
def test_a_range(place: Place, image: str, data: bytes, asked: str, wanted: slice) -> None:
    status, headers, body = _get(place, image, {"Range": asked})
    first, end, _ = wanted.indices(len(data))
    assert status == 206
    assert body == data[wanted]
    assert headers["Content-Range"] == f"bytes {first}-{end - 1}/{len(data)}"
    assert headers["Content-MD5"] == hashlib.md5(data).hexdigest()


@pytest.mark.parametrize(
    ("asked", "status"),
    [("bytes=99999999-", 416), ("bytes=9-5", 416), ("bites=1-2", 416), ("bytes=1-2,4-5", 400)],
)
def test_no_range(place: Place, image: str, asked: str, status: int) -> None:
    assert _get(place, image, {"Range": asked})[0] == status


def test_an_upload_in_pieces_of_unknown_number(place: Place, data: bytes) -> None:
    queued = place.put("chunked", None)

    def pieces() -> Iterator[bytes]:
        for begin in range(0, len(data), 70_001):
            yield data[begin : begin + 70_001]

    with closing(_connection(place)) as connection:
        headers = {"Content-Type": BINARY}
        connection.request("PUT", f"/v2/images/{queued}/file", pieces(), headers)
        assert connection.getresponse().status == 204
    assert place.data(queued) == data


def test_no_data_at_all(place: Place) -> None:
    empty = place.put("empty", b"")
    assert place.show(empty)["size"] == 0
    assert place.data(empty) == b""
    queued = place.put("queued", None)
    assert place.data(queued) == b""
    with pytest.raises(RefusedError, match="409"):
        place.upload(empty, b"more")


def test_the_same_data_is_stored_once(tmp_path: Path, data: bytes) -> None:
    with Region(tmp_path / "region") as server:
        place = Place(server.url)
        place.put("one", data)
        once = _stored(server)
        place.put("another", data)
        assert _stored(server) - once < 20_000
        assert once >= len(data) - 3 * 2**20


def test_a_clone_is_an_image_of_its_own(place: Place, data: bytes) -> None:
    first = place.put("first", data, min_disk=3, tags=["t"], os_distro="debian")
    made = place.call("POST", f"/v2/images/{first}/actions/clone", {"name": "clone"})
    assert (made["name"], made["status"], made["min_disk"]) == ("clone", "active", 3)
    assert (made["os_distro"], made["tags"], made["visibility"]) == ("debian", ["t"], "private")
    assert made["os_hash_value"] == place.show(first)["os_hash_value"]
    place.delete(first)
    assert place.data(made["id"]) == data
    place.delete(made["id"])
    assert not place.has(made["id"])


def test_a_clone_needs_data_and_keeps_its_format(place: Place, image: str) -> None:
    queued = place.put("queued", None)
    with pytest.raises(RefusedError, match="409"):
        place.call("POST", f"/v2/images/{queued}/actions/clone", {})
    with pytest.raises(RefusedError, match="403"):
        place.call("POST", f"/v2/images/{image}/actions/clone", {"disk_format": "qcow2"})


def test_an_upload_that_ends_early_is_none(place: Place, data: bytes) -> None:
    queued = place.put("cut", None)
    for head in (
        f"Content-Length: {len(data)}\r\n\r\n".encode() + data[:-1],
        b"Transfer-Encoding: chunked\r\n\r\n10000\r\n" + data[:65536] + b"\r\n",
    ):
        with closing(socket.create_connection(("127.0.0.1", place.port))) as raw:
            line = f"PUT /v2/images/{queued}/file HTTP/1.1\r\nHost: x\r\n"
            raw.sendall(f"{line}Content-Type: {BINARY}\r\n".encode() + head)
        place.wait_for(queued, "queued")
        assert place.data(queued) == b""
    place.upload(queued, data)
    assert place.data(queued) == data


def test_only_one_of_two_uploads_fills_an_image(place: Place, data: bytes) -> None:
    queued = place.put("contested", None)
    with Upload(place, queued, len(data)) as slow:
        slow.send(data[: len(data) // 2])
        place.wait_for(queued, "saving")
        with pytest.raises(RefusedError, match="409"):
            place.upload(queued, b"something else")
        slow.send(data[len(data) // 2 :])
        assert slow.status() == 204
    assert place.data(queued) == data


def test_an_image_deleted_while_it_is_filled(place: Place, data: bytes) -> None:
    queued = place.put("deleted", None)
    with Upload(place, queued, len(data)) as slow:
        slow.send(data[:1000])
        place.wait_for(queued, "saving")
        place.delete(queued)
        slow.send(data[1000:])
        assert slow.status() == 410


def test_an_image_deleted_while_it_is_read(place: Place, data: bytes) -> None:
    image = place.put("read", data)
    with closing(_connection(place)) as slow:
        slow.request("GET", f"/v2/images/{image}/file")
        answer = slow.getresponse()
        first = answer.read(1000)
        place.delete(image)
        assert first + answer.read() == data


@pytest.mark.parametrize("name", ["backing", "data file", "declared"])
def test_what_is_not_safe_or_not_declared_is_refused(
    place: Place, tmp_path: Path, name: str
) -> None:
    disk = tmp_path / "disk.qcow2"
    options = {
        "backing": ("-b", "/etc/passwd", "-F", "raw", str(disk), "1M"),
        "data file": ("-o", f"data_file={tmp_path / 'data'},data_file_raw=on", str(disk), "1M"),
        "declared": (str(disk), "1M"),
    }[name]
    unchecked = ["-u"] if name == "backing" else []
    images.qemu_img("create", "-q", *unchecked, "-f", "qcow2", *options)
    declared = "vmdk" if name == "declared" else "qcow2"
    queued = place.put(name, None, disk_format=declared)
    with pytest.raises(RefusedError, match="415"):
        place.upload(queued, disk)
    assert place.show(queued)["status"] == "queued"
    assert place.data(queued) == b""


def test_the_size_of_the_disk_within_is_told(place: Place, tmp_path: Path) -> None:
    disk = tmp_path / "disk.qcow2"
    images.qemu_img("create", "-q", "-f", "qcow2", str(disk), "7M")
    image = place.put("qcow2", disk, disk_format="qcow2")
    assert place.show(image)["virtual_size"] == 7 * 2**20
    assert place.show(image)["size"] == disk.stat().st_size


def test_an_image_larger_than_allowed(tmp_path: Path) -> None:
    limits = {"limits": {"image_size_cap": "1MiB"}}
    with Region(tmp_path / "region", settings=limits) as server:
        place = Place(server.url)
        queued = place.put("large", None)
        with pytest.raises(RefusedError, match="413"):
            place.upload(queued, some_data(3, 2**20 + 1))
        assert place.show(queued)["status"] == "queued"
        place.upload(queued, some_data(3, 2**20))


def test_a_deactivated_image_is_read_by_nobody_else(place: Place, data: bytes) -> None:
    image = place.put("deactivated", data)
    place.act(image, "deactivate")
    assert place.show(image)["status"] == "deactivated"
    assert place.data(image) == data  # whoever asks here is an administrator
    place.act(image, "reactivate")
    assert place.show(image)["status"] == "active"


def test_who_has_the_data_already(place: Place, image: str, data: bytes) -> None:
    md5 = hashlib.md5(data).hexdigest()
    asked = ("If-None-Match", "If-Match", "If-Range")
    for header, value, status, wanted in (
        (asked[0], f'"{md5}"', 304, b""),
        (asked[0], f'"x", W/"{md5}"', 304, b""),
        (asked[0], "*", 304, b""),
        (asked[0], '"x"', 206, data[3:10]),
        (asked[0], md5, 206, data[3:10]),
        (asked[1], f'"x", "{md5}"', 206, data[3:10]),
        (asked[1], "*", 206, data[3:10]),
        (asked[1], '"x"', 412, None),
        (asked[1], f'W/"{md5}"', 412, None),
        (asked[2], f'"{md5}"', 206, data[3:10]),
        (asked[2], f'W/"{md5}"', 200, data),
        (asked[2], '"x"', 200, data),
    ):
        found, headers, body = _get(place, image, {"Range": "bytes=3-9", header: value})
        assert (found, wanted in (body, None)) == (status, True), (header, value)
        if status != 412:
            assert headers["Etag"] == f'"{md5}"'


def test_a_connection_goes_on_after_nothing_was_sent(place: Place, image: str, data: bytes) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", place.port, timeout=300)) as connection:
        for headers, status, wanted in (
            ({"If-None-Match": "*"}, 304, b""),
            ({}, 200, data),
            ({"If-None-Match": "*"}, 304, b""),
            ({}, 200, data),
        ):
            connection.request("GET", f"/v2/images/{image}/file", headers=headers)
            answer = connection.getresponse()
            assert (answer.status, answer.read()) == (status, wanted)


def test_several_requests_sent_at_once(place: Place, image: str, data: bytes) -> None:
    with socket.create_connection(("127.0.0.1", place.port), timeout=300) as link:
        ask = f"GET /v2/images/{image}/file HTTP/1.1\r\nHost: x\r\n"
        link.sendall((f"{ask}\r\n" * 2 + f"{ask}Connection: close\r\n\r\n").encode())
        received = bytearray()
        while piece := link.recv(2**20):
            received += piece
    rest = bytes(received)
    for _ in range(3):
        head, _, rest = rest.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK")
        assert rest[: len(data)] == data
        rest = rest[len(data) :]
    assert rest == b""


def _get(place: Place, image: str, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
    with closing(_connection(place)) as connection:
        connection.request("GET", f"/v2/images/{image}/file", headers=headers)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()


def _connection(place: Place) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", place.port, timeout=120)


def _stored(server: Region) -> int:
    packs = server.folder / "data" / "store" / "packs"
    return sum(path.stat().st_size for path in packs.rglob("*") if path.is_file())
