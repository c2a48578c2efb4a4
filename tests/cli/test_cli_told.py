"""What an operator is told before it is too late: guards, graces, selections of nothing."""

from typing import Any

import pytest

from tests.cli.in_memory import Command
from tests.support.memory import MemoryLibrary

DELETING: dict[str, Any] = {"on_source_deletion": "delete", "grace": "0s", "max_delete": 1}


@pytest.fixture
def both(command: Command) -> tuple[MemoryLibrary, MemoryLibrary]:
    return command.library("athens"), command.library("crete")


def route(**policy: Any) -> dict[str, Any]:
    """Declare the one route of these tests."""
    return {"from": "athens", "to": ["crete"], **policy}


@pytest.mark.parametrize("words", [("plan",), ("sync", "--dry-run")])
def test_a_plan_tells_that_the_guard_would_stop_it(
    command: Command, both: tuple[MemoryLibrary, MemoryLibrary], words: tuple[str, ...]
) -> None:
    images = [both[0].put(name=str(number)) for number in range(2)]
    command.configure(golden=route())
    command.run("sync")
    for image in images:
        both[0].remove(image.id)
    command.configure(golden=route(**DELETING))
    assert {row["Action"] for row in command.run(*words)} == {"delete"}
    [line] = command.errors
    assert "2 replicas would be hidden or deleted, more than max_delete (1) allows" in line
    command.run("sync", code=7)
    assert len(both[1].images) == 2


def test_what_waits_for_the_end_of_its_grace_is_listed(
    command: Command, both: tuple[MemoryLibrary, MemoryLibrary]
) -> None:
    image = both[0].put()
    command.configure(golden=route())
    command.run("sync")
    both[0].remove(image.id)
    command.configure(golden=route(**{**DELETING, "grace": "7d"}))
    command.run("sync")
    for words in (("plan", "--check"), ("sync",)):
        [row] = command.run(*words)
        told = row["Reason" if words[0] == "plan" else "Detail"]
        assert told.startswith("its source is gone; to be deleted after 20")


@pytest.mark.parametrize("words", [("plan",), ("sync", "--dry-run"), ("sync",)])
def test_a_selection_that_fits_nothing_is_told(
    command: Command, both: tuple[MemoryLibrary, MemoryLibrary], words: tuple[str, ...]
) -> None:
    both[0].put(name="debian-13")
    command.configure(golden=route(match={"name": "Debian-13"}))
    assert command.run(*words) == []
    assert command.errors == ["meltemi: no image of athens is selected"]
    command.configure(golden=route(match={"name": "debian-13"}))
    command.run(*words)
    assert command.errors == []
