"""Message buses in the hands of tests: what a service tells there, what anybody may send."""

import json
from collections.abc import Callable
from typing import Any, Final
from uuid import uuid4

from kombu.connection import Connection

from lab import RabbitMQ

TELLING: Final = {"oslo_messaging_notifications": {"driver": "messagingv2", "retry": "0"}}
"""How a Glance tells its bus: what the bus does not take at once is lost."""


def telling(bus: RabbitMQ) -> dict[str, Any]:
    """Give the settings of a Glance that tells a bus."""
    return {"DEFAULT": {"transport_url": bus.transport_url}, **TELLING}


def connected(bus: RabbitMQ) -> Any:
    """Connect to a bus."""
    connect: Callable[..., Any] = Connection
    return connect(bus.transport_url.replace("rabbit:", "amqp:"))


def notification(event: object, payload: object, **others: object) -> bytes:
    """Write a notification as oslo.messaging does."""
    message = {
        "message_id": str(uuid4()),
        "publisher_id": "image.test",
        "timestamp": "2026-01-01 00:00:00",
        "priority": "INFO",
        "event_type": event,
        "payload": payload,
        "_unique_id": uuid4().hex,
        **others,
    }
    return json.dumps({"oslo.version": "2.0", "oslo.message": json.dumps(message)}).encode()


def send(bus: RabbitMQ, *bodies: bytes) -> None:
    """Send messages to all who listen to image services."""
    with connected(bus) as connection, connection.channel() as channel:
        for body in bodies:
            message = channel.prepare_message(body, content_type="application/json")
            channel.basic_publish(message, exchange="glance", routing_key="notifications.info")


def waiting(bus: RabbitMQ, queue: str) -> int:
    """Count the messages of a queue that nobody has taken yet."""
    with connected(bus) as connection, connection.channel() as channel:
        return int(channel.queue_declare(queue, passive=True).message_count)
