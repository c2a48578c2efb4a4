"""The daemon that leads: what it lets its database have."""

import time
from pathlib import Path
from typing import Any

import pytest

from meltemi.config.load import load
from meltemi.daemon.accounts import Accounts
from meltemi.daemon.board import Board
from meltemi.daemon.counters import Counters
from meltemi.daemon.keeper import Keeper
from meltemi.daemon.owners import Owners
from meltemi.daemon.shelf import Shelf
from meltemi.daemon.state.state import State
from meltemi.errors import StateError
from meltemi.model.placement import Observed, Place, Placement

pytestmark = pytest.mark.parametrize("state", ["sqlite"], indirect=True)

_CONFIGURATION = """
version: 1
libraries: {s: {path: s}, t: {path: t}, u: {path: u}}
routes:
  r: {from: s, to: [t, u]}
"""


def keeper_of(state: State, board: Board, folder: Path) -> Keeper:
    """Make one that leads, and has nothing to do."""
    file = folder / "meltemi.yaml"
    file.write_text(_CONFIGURATION)
    accounts = Accounts(state.credentials, lambda: None)

    async def opened(*_: object) -> Any:
        raise AssertionError

    return Keeper(
        load(file),
        state,
        Shelf({}, opened, accounts.credential),
        board=board,
        counters=Counters(),
        owners=Owners(board, [], accounts.has, time.time),
        accounts=accounts,
        holder="one",
    )


async def test_what_has_been_kept_is_not_kept_again(
    state: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place("s", "i", "t")
    known = Placement(place, "r", wanted=True, observed=Observed.COPYING, since=1.0)
    board = Board([known], time.time)  # it is queued anew, which is a change
    await state.lead("one", 60, lambda _: False)
    keeper = keeper_of(state, board, tmp_path)

    async def fails(*_: object) -> None:
        raise StateError("the database is away")

    with monkeypatch.context() as patch:
        patch.setattr(state.troubles, "keep", fails)
        with pytest.raises(StateError):
            await keeper._keep()
    await keeper._keep()
    assert len(await state.changes(most=10)) == 1
