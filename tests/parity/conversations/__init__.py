"""Conversations written by hand, a module for each part of the API."""

import zlib
from collections import Counter
from collections.abc import Sequence

from tests.parity.asking import Conversation
from tests.parity.conversations import (
    actions,
    caching,
    creating,
    data,
    deleting,
    formats,
    importing,
    limits,
    listing,
    locations,
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

_LARGE_FAMILY = 20


def _thinned(conversations: Sequence[Conversation]) -> list[Conversation]:
    """Keep about half of each large family, always the same ones.

    Those of a family, as `open/create/value/…`, differ in one thing, and cost time.
    """
    families = [str(one).rpartition("/")[0] for one in conversations]
    sizes = Counter(families)
    return [
        one
        for one, family in zip(conversations, families, strict=True)
        if sizes[family] < _LARGE_FAMILY or zlib.crc32(str(one).encode()) % 2
    ]


CONVERSATIONS = _thinned(
    [
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
            locations,
            tasks,
            metadefs,
            caching,
            quotas,
            limits,
        )
        for conversation in module.conversations()
    ]
)
