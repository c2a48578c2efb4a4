"""Copies by pieces between libraries in memory: data that is alike, and what tests do with it."""

from random import Random

from meltemi.model.image import Image
from meltemi.model.plan import Action, Kind, Plan
from meltemi.replication.report import Outcome, Result
from tests.chunks.making import KIB, MIB, noise
from tests.replication.running import Recorder, carry_out, plan
from tests.support.memory import MemoryLibrary
from tests.support.memory_exchange import ExchangingLibrary

GOLDEN = noise(1, 2 * MIB) + bytes(3 * MIB) + noise(2, MIB)
BUILD = GOLDEN[: 500 * KIB] + noise(3, 300 * KIB) + GOLDEN[700 * KIB :]
"""The same, with something else in one place."""

TEXT = "".join(f"{Random(4).random() * n}\n" for n in range(60_000)).encode()
"""A bit more than a MiB that compresses to less than half."""


def copies(the_plan: Plan) -> list[Action]:
    return [action for action in the_plan.actions if action.kind is Kind.COPY]


async def copied(
    source: ExchangingLibrary, target: MemoryLibrary, result: Result = Result.DONE
) -> tuple[Action, Outcome]:
    """Plan and carry out the one copy that there is to make."""
    the_plan = await plan(source, target)
    [action] = copies(the_plan)
    recorder = Recorder()
    [outcome] = await carry_out(the_plan, source, target, reporter=recorder)
    assert outcome.result is result, outcome.detail
    if result is Result.DONE:
        assert target.data(outcome.target_id) == source.data(action.subject.source_id)
        assert target.images[outcome.target_id].status == "active"
    return action, outcome


async def with_golden(athens: ExchangingLibrary, crete: ExchangingLibrary) -> Image:
    """Let both have a golden image; give it."""
    golden = athens.put(GOLDEN, name="golden-1")
    await copied(athens, crete)
    athens.exchange.sent = crete.exchange.taken = 0
    return golden


def reads(library: MemoryLibrary) -> int:
    return library.count("read")
