"""What a region tells a real message bus: the same as a real Glance beside it."""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from kombu.connection import Connection
from kombu.exceptions import OperationalError

from lab import Glance, Postgres, RabbitMQ, Region
from meltemi.errors import ConfigurationError
from meltemi.region.notifying import QUEUED, Payload, Queued, check_bus
from tests.support.exchanging import Exchange, delta
from tests.support.glance import Place, RefusedError, some_data
from tests.support.websites import Website

DATA = some_data(10, 100_000)
PRIORITIES = ("info", "error")

Told = tuple[str, str, Any]


@pytest.fixture(scope="module")
def bus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitMQ]:
    with RabbitMQ(tmp_path_factory.mktemp("rabbitmq")) as server:
        yield server


def heard(bus: RabbitMQ, last: str) -> list[Told]:
    """Take what was told, up to an event, out of the queues where it waits for somebody."""
    found: list[tuple[str, Told]] = []
    deadline = time.monotonic() + 300
    while all(event != last for _, (_, event, _) in found):
        assert time.monotonic() < deadline, found
        url = bus.transport_url.replace("rabbit:", "amqp:")
        with Connection(url) as connection:  # type: ignore[no-untyped-call]
            for priority in PRIORITIES:
                found += _taken(connection, priority)
        time.sleep(0.1)
    return [one for _, one in sorted(found, key=lambda pair: pair[0])]


def _taken(connection: Any, priority: str) -> list[tuple[str, Told]]:
    taken = []
    channel = connection.channel()
    try:
        while message := channel.basic_get(f"notifications.{priority}", no_ack=True):
            envelope = json.loads(message.body)
            told = json.loads(envelope["oslo.message"])
            assert told["publisher_id"].startswith("image.")
            taken.append(
                (told["timestamp"], (told["priority"], told["event_type"], told["payload"]))
            )
    except connection.channel_errors:
        pass  # nobody has told anything yet
    return taken


def live(place: Place) -> None:
    """Do with an image whatever is told of."""
    image = place.put("told", None, tags=["t"], os_distro="debian", visibility="shared")
    place.upload(image, DATA)
    place.change(image, name="told again")
    place.request("PUT", f"/v2/images/{image}/tags/u")
    assert place.data(image) == DATA
    place.share(image, "0" * 32, "accepted")
    place.unshare(image, "0" * 32)
    place.act(image, "deactivate")
    place.act(image, "reactivate")
    place.delete(image)


def plain(told: list[Told]) -> list[Told]:
    """Take out what cannot be equal: ids, times, and what each calls its store."""
    text = json.dumps(told)
    text = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "ID", text)
    text = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "TIME", text)
    text = re.sub(r'"backend": "(files|chunks)"', '"backend": "STORE"', text)
    told = [(priority, event, payload) for priority, event, payload in json.loads(text)]
    for _, _, payload in told:
        if "tags" in payload:
            payload["tags"].sort()
    return told


@pytest.mark.services
def test_a_region_tells_what_glance_tells(
    tmp_path: Path, bus: RabbitMQ, postgres: Postgres
) -> None:
    config = {
        "DEFAULT": {"transport_url": bus.transport_url},
        "oslo_messaging_notifications": {"driver": "messagingv2"},
    }
    with Glance(tmp_path / "glance", postgres=postgres, config=config) as glance:
        live(Place(glance.url))
        expected = heard(bus, "image.delete")
    settings = {"notifications": {"transport_url": bus.transport_url}}
    with Region(tmp_path / "region", settings=settings) as region:
        live(Place(region.url))
        told = heard(bus, "image.delete")
    assert len(told) > 10
    assert plain(told) == plain(expected)


@pytest.mark.services
def test_no_request_waits_for_a_bus_that_is_away(tmp_path: Path, bus: RabbitMQ) -> None:
    settings = {"workers": 2, "notifications": {"transport_url": bus.transport_url}}
    bus.stop()
    with Region(tmp_path / "region", settings=settings) as region:
        live(Place(region.url))
        bus.start()
        events = {event for _, event, _ in heard(bus, "image.delete")}
    assert {"image.create", "image.prepare", "image.upload", "image.activate"} <= events


@pytest.mark.services
def test_an_upload_that_fails_is_told_as_an_error(tmp_path: Path, bus: RabbitMQ) -> None:
    settings = {
        "limits": {"image_size_cap": 1000},
        "notifications": {"transport_url": bus.transport_url},
    }
    with Region(tmp_path / "region", settings=settings) as region:
        place = Place(region.url)
        image = place.put("too large", None)
        with pytest.raises(RefusedError, match="413"):
            place.upload(image, DATA)
        place.delete(image)
        told = heard(bus, "image.delete")
    (failure,) = (payload for priority, _, payload in told if priority == "ERROR")
    assert failure.startswith(f"Failed to upload image data for image {image} due to")


@pytest.mark.services
def test_data_that_is_shared_or_fetched_by_a_location_is_told_of(
    tmp_path: Path, bus: RabbitMQ
) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text('service_api: "@"\n')
    with Website() as site:
        settings = {
            "notifications": {"transport_url": bus.transport_url},
            "policy_file": str(policy),
            "http_store": True,
            "web_download": {"allowed_hosts": ["127.0.0.1"], "allowed_ports": [site.port]},
        }
        with Region(tmp_path / "region", settings=settings) as region:
            place = Place(region.url)
            fetched, shared = place.put("fetched", None), place.put("shared", None)
            url = site.put("/data", DATA)
            place.call("POST", f"/v2/images/{fetched}/locations", {"url": url})
            place.wait_for(fetched, "active")
            [own] = place.call("GET", f"/v2/images/{fetched}/locations")
            place.call("POST", f"/v2/images/{shared}/locations", {"url": own["url"]})
            assert place.data(shared) == DATA
            place.delete(shared)
            told = heard(bus, "image.delete")
    events = {
        image: [event for _, event, payload in told if payload.get("id") == image]
        for image in (fetched, shared)
    }
    begun = ["image.create", "image.update", "image.prepare", "image.upload"]
    assert events[fetched] == [*begun, "image.activate", "image.update"]
    assert events[shared] == ["image.create", "image.activate", "image.update", "image.delete"]


@pytest.mark.services
def test_what_is_exchanged_is_told_of_as_uploads_and_downloads_are(
    tmp_path: Path, bus: RabbitMQ
) -> None:
    settings = {"notifications": {"transport_url": bus.transport_url}}
    with Region(tmp_path / "region", settings=settings) as region:
        exchange = Exchange(Place(region.url))
        made, shared, last = (exchange.place.put(None, None) for _ in range(3))
        size = len(DATA)
        exchange.put_part(made, 0, [DATA])
        exchange.put(made, delta(size, [], [[size, "p", 0, 0]]))
        exchange.put(shared, delta(size, [made], [[size, "i", 0, 0]]))
        assert exchange.batch(shared, [[0, 5], [3, 100]]) == [DATA[:5], DATA[3:103]]
        exchange.place.delete(last)
        told = heard(bus, "image.delete")
    events = {
        image: [event for _, event, payload in told if payload.get("id") == image]
        for image in (made, shared)
    }
    begun = ["image.create", "image.update", "image.prepare", "image.upload"]
    assert events[made] == [*begun, "image.activate", "image.update"]
    assert events[shared] == ["image.create", "image.activate", "image.update"]
    [sent] = [payload for _, event, payload in told if event == "image.send"]
    assert (sent["image_id"], sent["bytes_sent"]) == (shared, 105)


def test_what_the_bus_does_not_take_is_lost_and_nothing_else(
    caplog: pytest.LogCaptureFixture,
) -> None:
    goes_on = Event()
    sent: list[tuple[str, str, Payload]] = []

    def send(priority: str, event: str, payload: Payload) -> None:
        goes_on.wait()
        if event == "refused":
            raise OperationalError("no")
        sent.append((priority, event, payload))

    queued = Queued(send)
    queued.tell("refused", {})
    for number in range(QUEUED + 10):
        queued.tell("event", {"number": number})
    goes_on.set()
    while len(sent) < QUEUED - 1:
        time.sleep(0.01)
    queued.close()
    numbers = [payload["number"] for _, _, payload in sent if isinstance(payload, dict)]
    # Whether the first one waits in the queue or is being sent already makes a difference of one.
    assert numbers[: QUEUED - 1] == list(range(QUEUED - 1))
    assert len(numbers) in (QUEUED - 1, QUEUED)
    assert "notifications are being lost" in caplog.text
    assert "notification refused was lost: no" in caplog.text


@pytest.mark.parametrize("url", ["nothing://guest@127.0.0.1/", "guest@127.0.0.1"])
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"notifications\.transport_url: "):
        check_bus(url)
