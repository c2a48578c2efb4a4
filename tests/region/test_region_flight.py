"""One piece of work at a time for the same thing."""

import asyncio

import pytest

from meltemi.region.identity.flight import SingleFlight


class Work:
    """Waits until it may end, and counts how often it began."""

    def __init__(self) -> None:
        self.begun = 0
        self.may_end = asyncio.Event()
        self.error: Exception | None = None

    async def __call__(self) -> int:
        self.begun += 1
        await self.may_end.wait()
        if self.error:
            raise self.error
        return self.begun


async def under_way(flight: SingleFlight[str, int], work: Work, key: str) -> asyncio.Task[int]:
    task = asyncio.create_task(flight.do(key, work))
    await asyncio.sleep(0)
    return task


async def test_all_who_wait_get_one_result_and_who_comes_later_another() -> None:
    flight, work = SingleFlight[str, int](), Work()
    tasks = [await under_way(flight, work, "a") for _ in range(3)]
    work.may_end.set()
    assert await asyncio.gather(*tasks) == [1, 1, 1]
    assert await flight.do("a", work) == 2


async def test_other_things_are_worked_on_at_the_same_time() -> None:
    flight, work = SingleFlight[str, int](), Work()
    tasks = [await under_way(flight, work, key) for key in "ab"]
    work.may_end.set()
    assert await asyncio.gather(*tasks) == [2, 2]


async def test_all_who_wait_get_one_error() -> None:
    flight, work = SingleFlight[str, int](), Work()
    work.error = LookupError("gone")
    tasks = [await under_way(flight, work, "a") for _ in range(3)]
    work.may_end.set()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert found == [work.error] * 3
    work.error = None
    assert await flight.do("a", work) == 2


async def test_who_stops_waiting_does_not_stop_the_others() -> None:
    flight, work = SingleFlight[str, int](), Work()
    first, second = [await under_way(flight, work, "a") for _ in range(2)]
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    work.may_end.set()
    assert (await second, work.begun) == (1, 1)


async def test_an_error_that_nobody_waits_for_any_more_is_no_complaint() -> None:
    complaints: list[object] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _loop, context: complaints.append(context))
    flight, work = SingleFlight[str, int](), Work()
    work.error = LookupError("gone")
    task = await under_way(flight, work, "a")
    (worked,) = flight._flights.values()
    task.cancel()
    work.may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.wait([worked])
    del worked
    assert complaints == []


async def test_closing_gives_up_what_is_under_way() -> None:
    flight, work = SingleFlight[str, int](), Work()
    task = await under_way(flight, work, "a")
    await flight.close()
    with pytest.raises(asyncio.CancelledError):
        await task
