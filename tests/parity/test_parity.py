"""The same requests to a real Glance and to a region: the answers are the same.

What may differ stands in allowed.yaml, with the reason. Some of the conversations are held with
another real Glance, too, the twin. That nothing differs there shows that no more is taken out of
answers before they are compared than what must differ between two services.
"""

import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.parity.asking import OPEN, Conversation
from tests.parity.conversations import CONVERSATIONS
from tests.parity.differing import AllowedList, compare
from tests.parity.generating import conversations
from tests.parity.replaying import recorded
from tests.parity.worlds import World

Worlds = Callable[[str], World]

pytestmark = pytest.mark.services

_WRITTEN = [*CONVERSATIONS, *recorded()]
_BATCHES, _BATCH = 12, 20
_TWIN_HEARS_ONE_OF = 6
_ALLOWED = AllowedList.read(Path(__file__).with_name("allowed.yaml"))
_held: set[str] = set()


@pytest.mark.parametrize("conversation", _WRITTEN, ids=str)
def test_a_region_answers_like_glance(conversation: Conversation, worlds: Worlds) -> None:
    assert not _differences(conversation, worlds(conversation.world))
    _held.add(str(conversation))


@pytest.mark.parametrize("batch", range(_BATCHES))
def test_a_region_answers_what_was_generated_like_glance(
    batch: int, schemas: list[Any], worlds: Worlds
) -> None:
    found = []
    for conversation in conversations(*schemas, batch=batch, count=_BATCH):
        found += _differences(conversation, worlds(OPEN))
    assert not found
    _held.add(str(batch))


def test_every_allowed_difference_is_one() -> None:
    if len(_held) < len(_WRITTEN) + _BATCHES:
        pytest.skip("only known after all conversations have been held")
    assert not _ALLOWED.unused()


def _differences(conversation: Conversation, world: World) -> list[str]:
    peers = dict(world.peers)
    if zlib.crc32(str(conversation).encode()) % _TWIN_HEARS_ONE_OF:
        del peers["twin"]
    with ThreadPoolExecutor(len(peers)) as pool:
        answers = pool.map(lambda peer: (peer.url, peer.hold(conversation)), peers.values())
        heard = dict(zip(peers, answers, strict=True))
    found = _ALLOWED.sift(compare(conversation, heard["reference"], heard["region"]))
    told = [str(one) for one in found]
    if "twin" in heard:
        between = compare(conversation, heard["reference"], heard["twin"])
        told += [f"between two Glances: {one}" for one in between]
    return told
