"""What is no batch, no delta, or not what it says is refused, and leaves nothing behind."""

import json
import struct
from collections.abc import Callable, Iterator
from http.client import HTTPConnection

import pytest
import zstandard

from meltemi.chunks.exchange.batch import LARGEST_FRAME, encode_batch
from tests.support.exchanging import BATCH, Exchange, Line, delta, pieces, sha512
from tests.support.glance import Place, RefusedError, some_data

MIB = 2**20
DATA = some_data(81, 2 * MIB + 3)


@pytest.fixture
def exchange(shared_region: Place) -> Exchange:
    return Exchange(shared_region)


def refused(work: Callable[..., object], *given: object, **more: str) -> int:
    with pytest.raises(RefusedError) as caught:
        work(*given, **more)
    return caught.value.status


def test_what_is_no_batch(exchange: Exchange) -> None:
    image = exchange.place.put("image", None)
    batch = encode_batch(pieces(DATA))
    altered = bytearray(batch)
    altered[-1000] ^= 1
    forged = bytearray(zstandard.ZstdDecompressor().decompress(batch))
    forged[-1] ^= 1
    repacked = zstandard.ZstdCompressor().compress(forged)
    for wrong in (b"", b"MLB1", bytes(altered), repacked, batch[:-1], batch + b"x", batch[:50]):
        assert refused(exchange.put_part, image, 0, wrong) == 400
    assert exchange.parts(image) == {}
    exchange.put_part(image, 0, batch)
    assert exchange.parts(image) == {0: len(DATA)}
    assert refused(exchange.put_part, image, 0, batch) == 409


def test_bombs_and_bodies_that_are_too_large(exchange: Exchange) -> None:
    image = exchange.place.put("image", None)
    bomb = zstandard.ZstdCompressor().compress(bytes(2**30))
    unsized = zstandard.ZstdCompressor(write_content_size=False).compress(bytes(2**30))
    for wrong in (bomb, unsized):
        assert len(wrong) < MIB
        assert refused(exchange.put_part, image, 0, wrong) == 400
    assert refused(exchange.put_part, image, 0, bytes(LARGEST_FRAME)) == 400
    assert _sent_in_chunks(exchange.place, image, LARGEST_FRAME + 1) == 413
    assert _announced(exchange.place, f"/v2/images/{image}/parts/0", LARGEST_FRAME + 1) == 413
    assert refused(exchange.batch, _image(exchange), [[n, 1] for n in range(200_000)]) == 413
    assert exchange.parts(image) == {}


def _sent_in_chunks(place: Place, image: str, size: int) -> int:
    connection = HTTPConnection("127.0.0.1", place.port, timeout=300)
    body: Iterator[bytes] = iter([bytes(size // 7)] * 7 + [bytes(size % 7)])
    try:
        connection.request("PUT", f"/v2/images/{image}/parts/0", body, {"Content-Type": BATCH})
        return connection.getresponse().status
    except (BrokenPipeError, ConnectionResetError):
        return connection.getresponse().status
    finally:
        connection.close()


def _announced(place: Place, path: str, size: int) -> int:
    connection = HTTPConnection("127.0.0.1", place.port, timeout=300)
    try:
        connection.putrequest("PUT", path)
        connection.putheader("Content-Type", BATCH)
        connection.putheader("Content-Length", str(size))
        connection.endheaders()
        return connection.getresponse().status
    finally:
        connection.close()


def test_a_part_has_a_number_and_a_type(exchange: Exchange) -> None:
    image = exchange.place.put("image", None)
    for number in ("10000", "-1", "01", "x", "", "1/2"):
        path = f"/v2/images/{image}/parts/{number}"
        batch = encode_batch([b"x"])
        assert refused(exchange.place.request, "PUT", path, batch, BATCH) in (404, 405)
    path = f"/v2/images/{image}/parts/9999"
    assert refused(exchange.place.request, "PUT", path, batch, "application/json") == 415
    exchange.put_part(image, 9999, [b"x"])
    assert exchange.parts(image) == {9999: 1}


@pytest.mark.parametrize(
    "wrong",
    [
        *([], {}, None, 1, "x", [1], [[1]], [[1, 2, 3]], [["0", "0"]], [[0, -1]], [[0.0, 1]]),
        *([[True, False]], [[0, 0]], [[0, 2**18 + 1]], [[2 * MIB + 3, 1]], [[2 * MIB, 2**18]]),
        *([[2**64, 1]], [[0, 1]] * 4097, [[0, 2**18]] * 129),
    ],
)
def test_pieces_that_cannot_be_asked_for(exchange: Exchange, wrong: object) -> None:
    image = _image(exchange)
    assert refused(exchange.place.call, "POST", f"/v2/images/{image}/batch", wrong) == 400
    many = [[0, 2**18]] * 129
    if wrong != many:
        assert refused(exchange.place.call, "POST", f"/v2/images/{image}/batch/size", wrong) == 400


def _image(exchange: Exchange) -> str:
    found = exchange.place.find("of pieces")
    return found[0]["id"] if found else exchange.place.put("of pieces", DATA)


@pytest.mark.parametrize(
    "wrong", [[], {}, [[0]], [[0, 1]], [[1, 0]], [[5, 0]], [[2**62, 0]], [[0, 0]] * 65, [[-1, 0]]]
)
def test_segments_that_there_are_not(exchange: Exchange, wrong: object) -> None:
    """All of this image's manifest is in its root."""
    image = _image(exchange)
    path = f"/v2/images/{image}/segments"
    assert refused(exchange.place.call, "POST", path, wrong) == 400
    assert refused(exchange.place.call, "POST", path, [[0, 0]]) == 400


WRONG: list[tuple[str, bytes]] = [
    ("nothing", b""),
    ("no JSON", b"x\n"),
    ("no end", delta(1, [], [[1]])[:-1]),
    ("a line too long", b" " * 8192 + delta(1, [], [[1]])),
    ("a first line without an end", b" " * 2**20),
    ("a line too long later", delta(1, [], []) + b" " * 2**20),
    ("another format", delta(1, [], [[1]]).replace(b'"format": 1', b'"format": 2')),
    ("too short", delta(2, [], [[1]])),
    ("nothing of it", delta(2, [], [])),
    ("too long", delta(1, [], [[1], [1]])),
    ("too long at once", delta(1, [], [[2]])),
    ("more than all", delta(0, [], [[1]])),
    ("no id", delta(1, ["x"], [[1]])),
    ("no such image", delta(1, [], [[1, "i", 0, 0]])),
    ("no such part", delta(1, [], [[1, "p", 0, 0]])),
    ("a negative number", delta(1, [], [[-1], [2]])),
    ("more nested than Python can", b"[" * 8000 + b"\n"),
]


@pytest.mark.parametrize("wrong", [body for _, body in WRONG], ids=[name for name, _ in WRONG])
def test_what_is_no_delta(exchange: Exchange, wrong: bytes) -> None:
    image = exchange.place.put("image", None)
    assert refused(exchange.put, image, wrong) == 400
    assert exchange.place.show(image)["status"] == "queued"


def test_what_is_not_within_a_base_or_a_part(exchange: Exchange) -> None:
    base, image = _image(exchange), exchange.place.put("image", None)
    exchange.put_part(image, 0, pieces(DATA))
    size = len(DATA)
    for name in ("i", "p"):
        for length, offset in ((size + 1, 0), (1, size), (size, 1), (1, 2**62), (2**40, 0)):
            lines: list[Line] = [[1, name, 0, 0], [length, name, 0, offset]]
            assert refused(exchange.put, image, delta(length + 1, [base], lines)) in (400, 413)
    assert exchange.parts(image) == {0: size}
    exchange.put(image, delta(size, [base], [[size, "p", 0, 0]]))
    assert exchange.place.data(image) == DATA


def test_more_than_an_image_may_have(exchange: Exchange) -> None:
    image = exchange.place.put("image", None)
    assert refused(exchange.put, image, delta(2**40 + 1, [], [[2**40 + 1]])) == 413
    too_many = [_image(exchange)] * 17
    assert refused(exchange.put, image, delta(1, too_many, [[1]])) == 400
    assert exchange.place.show(image)["status"] == "queued"


def test_what_does_not_fit_what_was_said_beforehand(exchange: Exchange) -> None:
    base, image = _image(exchange), exchange.place.put("image", None)
    size = len(DATA)
    whole = delta(size, [base], [[size, "i", 0, 0]])
    halves = delta(size, [base], [[MIB, "i", 0, 0], [size - MIB, "i", 0, MIB]])
    for body in (whole, halves):
        for header in (
            {"x-openstack-image-size": "5"},
            {"x-openstack-image-size": "x"},
            {"x-meltemi-hash": sha512(b"other")[7:]},
            {"x-meltemi-hash": "md5:d41d8cd98f00b204e9800998ecf8427e"},
        ):
            exchange.put_part(image, 0, [b"kept"])
            assert refused(exchange.put, image, body, **header) == 400
            assert exchange.parts(image) == {0: 4}
            assert exchange.place.show(image)["status"] == "queued"
            _forget(exchange, image)
    given = {"x-openstack-image-size": str(size)}
    given["x-meltemi-hash"] = f"sha512:{sha512(DATA)[7:].upper()}"
    exchange.put(image, halves, **given)
    assert exchange.place.data(image) == DATA


def _forget(exchange: Exchange, image: str) -> None:
    """Have an image's parts forgotten, as they are where the hash is another."""
    body = delta(4, [], [[4, "p", 0, 0]])
    wrong = {"x-meltemi-hash": sha512(b"other")}
    with pytest.raises(RefusedError, match="its parts are forgotten") as caught:
        exchange.put(image, body, **wrong)
    assert caught.value.status == 400
    assert exchange.parts(image) == {}
    assert exchange.place.show(image)["status"] == "queued"


def test_a_whole_base_with_another_hash_is_not_shared(exchange: Exchange) -> None:
    base, image = _image(exchange), exchange.place.put("image", None)
    exchange.put_part(image, 0, [b"x"])
    body = delta(len(DATA), [base], [[len(DATA), "i", 0, 0]])
    assert refused(exchange.put, image, body, **{"x-meltemi-hash": sha512(b"other")}) == 400
    assert exchange.parts(image) == {}
    shown = exchange.place.show(image)
    assert (shown["status"], shown["checksum"]) == ("queued", None)


def test_a_delta_is_inspected_as_any_upload(exchange: Exchange) -> None:
    """Also where it is all of an image that is called something else, or of parts."""
    place = exchange.place
    hostile = _qcow2_with_a_backing_file()
    aside = place.put("image", hostile, disk_format="iso", container_format="docker")
    size = len(hostile)
    for kind in ("qcow2", "raw"):
        image = place.put("image", None, disk_format=kind)
        exchange.put_part(image, 0, [hostile])
        every: list[list[Line]] = [
            [[size, "i", 0, 0]],
            [[size, "p", 0, 0]],
            [[4, "i", 0, 0], [size - 4, "p", 0, 4]],
        ]
        for lines in every:
            assert refused(exchange.put, image, delta(size, [aside], lines)) == 415
            assert place.show(image)["status"] == "queued"
    assert refused(place.put, "image", hostile, disk_format="qcow2") == 415
    without = place.put("image", None, disk_format=None)
    assert refused(exchange.put, without, delta(1, [], [[1]])) == 400


def _qcow2_with_a_backing_file() -> bytes:
    name = b"/etc/passwd"
    header = struct.pack(
        ">4sIQIIQIIQQIIQQQQII",
        b"QFI\xfb",
        3,
        112,
        len(name),
        16,
        MIB,
        0,
        1,
        2**17,
        2**16,
        1,
        0,
        0,
        0,
        0,
        0,
        4,
        104,
    )
    return (header + bytes(112 - len(header)) + name).ljust(2**18, b"\0")


def test_an_image_of_which_nobody_waits_for_parts(exchange: Exchange) -> None:
    image = exchange.place.put("image", DATA)
    assert refused(exchange.parts, image) == 409
    assert refused(exchange.put_part, image, 0, [b"x"]) == 409
    assert refused(exchange.put, image, delta(1, [], [[1]])) == 409
    assert exchange.place.data(image) == DATA
    assert json.loads(exchange.place.request("GET", f"/v2/images/{image}"))["size"] == len(DATA)
