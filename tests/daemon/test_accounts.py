"""Accounts of owners, as the leader has them from the state."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from meltemi.daemon.accounts import Accounts
from meltemi.daemon.state.records import Act, Cause, Locked, Request
from meltemi.daemon.state.state import State, open_state
from meltemi.daemon.vault import Vault
from meltemi.errors import AuthenticationError
from meltemi.model.credential import Credential

MINE = Credential("an id", "a secret")


@pytest.fixture
async def state(tmp_path: Path) -> AsyncIterator[State]:
    """Give an empty state."""
    opened = await open_state(f"sqlite:///{tmp_path / 'state.sqlite'}")
    yield opened
    await opened.close()


def vault(folder: Path, *keys: bytes) -> Vault:
    file = folder / "keys"
    file.write_bytes(b"\n".join(keys))
    file.chmod(0o600)
    return Vault(file)


async def leave(state: State, locked: str, at: float = 0.0) -> None:
    row = Locked("p", "mars", locked, at, "somebody")
    act = Act(at, "somebody", "reader", "p", "leave credential", "mars", "done", "req-1")
    await state.credentials.put(row, Request(Cause.REQUEST, at, library="mars"), act)


async def test_a_credential_is_had_until_it_is_taken(state: State, tmp_path: Path) -> None:
    kept = vault(tmp_path, Fernet.generate_key())
    accounts = Accounts(state.credentials, lambda: kept)
    assert await accounts.refresh() == set()
    assert not accounts.has("p", "mars")
    await leave(state, kept.lock("p", "mars", MINE))
    assert await accounts.refresh() == {("mars", "p")}
    assert await accounts.refresh() == set()
    assert accounts.has("p", "mars")
    assert accounts.owners("mars") == ["p"]
    assert accounts.owners("venus") == []
    assert accounts.credential("p", "mars") == MINE
    await leave(state, kept.lock("p", "mars", Credential("another", "one")), at=1.0)
    assert await accounts.refresh() == {("mars", "p")}
    assert accounts.credential("p", "mars").id == "another"
    act = Act(2.0, "somebody", "reader", "p", "take credential", "mars", "done", "req-2")
    request = Request(Cause.REQUEST, 2.0, library="mars")
    assert await state.credentials.remove("p", "mars", request, act)
    assert not await state.credentials.remove("p", "mars", request, act)
    assert await accounts.refresh() == {("mars", "p")}
    with pytest.raises(AuthenticationError, match="project p has left no credential"):
        accounts.credential("p", "mars")


async def test_a_new_key_takes_the_place_of_the_old_one(state: State, tmp_path: Path) -> None:
    old, new = Fernet.generate_key(), Fernet.generate_key()
    await leave(state, vault(tmp_path, old).lock("p", "mars", MINE))
    await Accounts(state.credentials, lambda: vault(tmp_path, new, old)).renew()
    accounts = Accounts(state.credentials, lambda: vault(tmp_path, new))
    await accounts.renew()
    await accounts.refresh()
    assert accounts.credential("p", "mars") == MINE
    blind = Accounts(state.credentials, lambda: vault(tmp_path, old))
    await blind.renew()
    await blind.refresh()
    with pytest.raises(AuthenticationError, match="have it set again") as caught:
        blind.credential("p", "mars")
    assert caught.value.library == "mars"


async def test_what_was_set_anew_meanwhile_is_not_overwritten(state: State, tmp_path: Path) -> None:
    kept = vault(tmp_path, Fernet.generate_key())
    await leave(state, kept.lock("p", "mars", MINE))
    [before] = await state.credentials.read()
    newer = kept.lock("p", "mars", Credential("another", "one"))
    await leave(state, newer, at=1.0)
    await state.credentials.relock([(before, "what was encrypted anew")])
    [after] = await state.credentials.read(owner="p")
    assert after.secret == newer


async def test_without_keys_nothing_can_be_had(state: State, tmp_path: Path) -> None:
    key, given = Fernet.generate_key(), list[Vault]()
    await leave(state, vault(tmp_path, key).lock("p", "mars", MINE))
    accounts = Accounts(state.credentials, lambda: given[-1] if given else None)
    await accounts.renew()
    await accounts.refresh()
    with pytest.raises(AuthenticationError):
        accounts.credential("p", "mars")
    # They may be named while the daemon leads.
    given.append(vault(tmp_path, key))
    await accounts.refresh()
    assert accounts.credential("p", "mars") == MINE
