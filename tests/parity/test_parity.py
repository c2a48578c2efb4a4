"""The same requests to a real Glance and to a region: the answers are the same.

What may differ stands in allowed.yaml, with the reason. Some of the conversations are held with
two real Glances: that nothing differs there shows that what must differ between two services is
taken out of answers before they are compared.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.parity.asking import OPEN, TWINS, Conversation
from tests.parity.conversations import CONVERSATIONS
from tests.parity.differing import AllowedList, Difference, compare
from tests.parity.generating import conversations
from tests.parity.replaying import recorded
from tests.parity.worlds import World

Worlds = Callable[[str], World]

pytestmark = pytest.mark.services

_WRITTEN = [*CONVERSATIONS, *recorded()]
_BATCHES, _BATCH = 5, 60
_TWIN_HEARS_ONE_OF = 30
_ALLOWED = AllowedList.read(Path(__file__).with_name("allowed.yaml"))
_held: set[str] = set()


@pytest.mark.parametrize("conversation", _WRITTEN, ids=str)
def test_a_region_answers_like_glance(conversation: Conversation, worlds: Worlds) -> None:
    assert not _differences(conversation, worlds(conversation.world))
    _held.add(str(conversation))


@pytest.mark.parametrize("batch", range(_BATCHES))
def test_a_region_answers_what_was_generated_like_glance(
    batch: int, schema: Any, worlds: Worlds
) -> None:
    found = []
    for conversation in conversations(schema, batch=batch, count=_BATCH):
        found += _differences(conversation, worlds(OPEN))
    assert not found
    _held.add(str(batch))


def test_every_allowed_difference_is_one() -> None:
    if len(_held) < len(_WRITTEN) + _BATCHES:
        pytest.skip("only known after all conversations have been held")
    assert not _ALLOWED.unused()


def test_two_glances_answer_alike(worlds: Worlds) -> None:
    world = worlds(TWINS)
    asked = [one for one in _WRITTEN if one.world == OPEN][::_TWIN_HEARS_ONE_OF]
    assert [str(one) for conversation in asked for one in _compared(conversation, world)] == []


def _differences(conversation: Conversation, world: World) -> list[str]:
    return [str(one) for one in _ALLOWED.sift(_compared(conversation, world))]


def _compared(conversation: Conversation, world: World) -> list[Difference]:
    """Hold a conversation with both services of a world at once, and compare what they say."""
    with ThreadPoolExecutor(len(world.peers)) as pool:
        one, other = pool.map(lambda peer: (peer.url, peer.hold(conversation)), world.peers)
    return compare(conversation, one, other)
