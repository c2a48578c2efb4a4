"""Copies by pieces that are broken off, or in which something else goes wrong."""

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from meltemi.chunks.exchange import bringing
from meltemi.chunks.exchange.gathering import Span
from meltemi.chunks.exchange.remote import Spend
from meltemi.errors import (
    ConflictError,
    ForbiddenError,
    QuotaError,
    RefusedError,
    UnreachableError,
)
from meltemi.replication.exchange import sending
from meltemi.replication.report import Result
from tests.chunks.making import KIB
from tests.replication.exchanging import BUILD, TEXT, copied, reads, with_golden
from tests.replication.running import BROKEN, carry_out, plan
from tests.support.memory_exchange import ExchangingLibrary

pytestmark = pytest.mark.timeout(120)  # what hangs is to fail


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bringing, "_PAUSE_SECONDS", 0)


# Interruptions


async def test_a_run_goes_on_where_the_last_one_ended(
    athens: ExchangingLibrary, crete: ExchangingLibrary
) -> None:
    athens.tell(largest_batch=128 * KIB)
    image = athens.put(TEXT)
    the_plan = await plan(athens, crete)
    whole = the_plan.bytes
    crete.exchange.room = 3
    run = asyncio.create_task(carry_out(the_plan, athens, crete))
    await crete.exchange.stuck.wait()
    run.cancel()
    await asyncio.gather(run, return_exceptions=True)
    assert len(crete.exchange.kept[image.id]) == 3
    assert crete.images[image.id].status == "queued"

    crete.exchange.room = 10_000
    athens.exchange.sent = 0
    action, outcome = await copied(athens, crete)
    assert action.filling
    assert outcome.wire <= (action.wire or 0) < whole * 3 // 4
    assert athens.exchange.sent < whole * 3 // 4


async def test_what_breaks_is_asked_for_again_in_smaller_batches(
    athens: ExchangingLibrary, crete: ExchangingLibrary
) -> None:
    """As where a proxy cuts every connection after so many bytes."""
    batch, largest = athens.exchange.batch, 200 * KIB

    async def cut(image_id: str, spans: Sequence[Span], spend: Spend) -> bytes:
        found = await batch(image_id, spans, spend)
        if len(found) > largest:
            raise BROKEN
        return found

    athens.exchange.batch = cut  # type: ignore[method-assign]
    athens.put(TEXT)
    await copied(athens, crete)
    assert athens.exchange.sent < 5 * len(TEXT)
    assert reads(athens) == 0


@pytest.mark.parametrize("request_", ["batch", "put_part"])
@pytest.mark.parametrize("error", [BROKEN, UnreachableError("nothing listens there")])
async def test_what_fails_for_a_while_is_tried_again(
    athens: ExchangingLibrary, crete: ExchangingLibrary, request_: str, error: Exception
) -> None:
    athens.tell(largest_batch=256 * KIB)
    athens.put(TEXT)
    (athens if request_ == "batch" else crete).fail(request_, error, times=3)
    await copied(athens, crete)
    assert reads(athens) == 0


async def test_a_batch_that_was_altered_on_its_way_is_brought_again(
    athens: ExchangingLibrary, crete: ExchangingLibrary
) -> None:
    athens.put(TEXT)
    athens.exchange.altered = 1
    await copied(athens, crete)
    assert athens.count("batch") == 2


async def test_a_number_that_somebody_else_has_taken_is_left_alone(
    athens: ExchangingLibrary, crete: ExchangingLibrary
) -> None:
    athens.tell(largest_batch=256 * KIB)
    image = athens.put(TEXT)
    parts = crete.exchange.parts

    async def meanwhile(image_id: str) -> Mapping[int, int]:
        found = await parts(image_id)
        crete.exchange.kept[image_id] |= {0: [b"of somebody else"], 1: [b"too"]}
        return found

    the_plan = await plan(athens, crete)
    crete.exchange.parts = meanwhile  # type: ignore[method-assign]
    [outcome] = await carry_out(the_plan, athens, crete)
    assert outcome.result is Result.DONE
    assert crete.data(image.id) == TEXT
    assert reads(athens) == 0


# What falls back


async def test_a_base_that_is_gone_by_then_is_done_without(
    athens: ExchangingLibrary, crete: ExchangingLibrary
) -> None:
    golden = await with_golden(athens, crete)
    image = athens.put(BUILD + TEXT, name="golden-2")
    the_plan = await plan(athens, crete)
    held = crete.hold("put_part")
    run = asyncio.create_task(carry_out(the_plan, athens, crete))
    await held.reached.wait()
    crete.remove(golden.id)  # after it was compared
    held.go.set()
    [outcome] = await run
    assert outcome.result is Result.DONE
    assert crete.data(image.id) == BUILD + TEXT
    assert outcome.detail == the_plan.actions[0].reason or outcome.detail == ""


async def test_a_base_that_was_gone_before_is_done_without(
    athens: ExchangingLibrary, crete: ExchangingLibrary
) -> None:
    golden = await with_golden(athens, crete)
    image = athens.put(TEXT, name="golden-2")
    the_plan = await plan(athens, crete)
    assert the_plan.actions[0].bases == (golden.id,)
    crete.remove(golden.id)
    [outcome] = await carry_out(the_plan, athens, crete)
    assert outcome.result is Result.DONE
    assert crete.data(image.id) == TEXT
    assert reads(athens) == 0


async def test_of_what_the_target_has_only_a_part_nothing_is_made(
    athens: ExchangingLibrary, crete: ExchangingLibrary
) -> None:
    """Neither where it is like the image, nor where it is the same; but its source may be such."""
    golden = await with_golden(athens, crete)
    crete.exchange.lent.add(golden.id)
    for name, data in (("golden-2", TEXT), ("golden-3", athens.data(golden.id) or b"")):
        image = athens.put(data, name=name)
        athens.exchange.lent.add(image.id)
        the_plan = await plan(athens, crete)
        assert golden.id in the_plan.actions[0].bases
        [outcome] = await carry_out(the_plan, athens, crete)
        assert outcome.result is Result.DONE
        assert crete.data(image.id) == data
        crete.exchange.lent.add(image.id)
    assert reads(athens) == 0


@pytest.mark.parametrize("error", [ForbiddenError("no"), QuotaError("full"), RefusedError("what?")])
async def test_who_refuses_parts_gets_the_whole(
    athens: ExchangingLibrary,
    crete: ExchangingLibrary,
    error: Exception,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sending, "_ATTEMPTS", 2)
    athens.put(TEXT)
    crete.fail("put_part", error, times=10**6)
    _, outcome = await copied(athens, crete)
    assert outcome.detail == f"as a whole: {error}"
    assert outcome.wire >= len(TEXT)


async def test_an_image_that_cannot_be_compared_is_sent_as_a_whole(
    athens: ExchangingLibrary, crete: ExchangingLibrary
) -> None:
    athens.put(TEXT)
    athens.fail("batch_size", RefusedError("what?"))
    action, _ = await copied(athens, crete)
    assert action.reason == "it is missing; as a whole: its pieces cannot be compared (what?)"


async def test_a_source_that_is_deleted_meanwhile_ends_the_copy(
    athens: ExchangingLibrary, crete: ExchangingLibrary
) -> None:
    athens.tell(largest_batch=128 * KIB)
    image = athens.put(TEXT)
    the_plan = await plan(athens, crete)
    crete.exchange.room = 2
    run = asyncio.create_task(carry_out(the_plan, athens, crete))
    await crete.exchange.stuck.wait()
    athens.remove(image.id)
    [outcome] = await run
    assert outcome.result is Result.FAILED
    assert "no image" in outcome.detail
    assert crete.images[image.id].status == "queued"


async def test_whoever_filled_the_image_meanwhile_is_not_disturbed(
    athens: ExchangingLibrary, crete: ExchangingLibrary
) -> None:
    athens.put(TEXT)
    crete.fail("put_part", ConflictError("its state changed meanwhile"))
    await copied(athens, crete)
    assert reads(athens) == 0
