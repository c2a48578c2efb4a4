"""Conversations written by hand, a module for each part of the API."""

from tests.parity.asking import Conversation
from tests.parity.conversations import (
    actions,
    caching,
    creating,
    data,
    deleting,
    formats,
    importing,
    listing,
    members,
    metadefs,
    patching,
    people,
    quotas,
    routing,
    showing,
    tags,
    tasks,
)

CONVERSATIONS: list[Conversation] = [
    conversation
    for module in (
        routing,
        creating,
        showing,
        listing,
        patching,
        deleting,
        data,
        formats,
        tags,
        actions,
        members,
        people,
        importing,
        tasks,
        metadefs,
        caching,
        quotas,
    )
    for conversation in module.conversations()
]
