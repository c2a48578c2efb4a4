"""Credentials of owners, as they are kept."""

import base64
import os
from pathlib import Path

import pytest

from meltemi.daemon.vault import Vault
from meltemi.errors import ConfigurationError, StateError
from meltemi.model.credential import Credential

MINE = Credential("an id", "a secret")


def key() -> str:
    return base64.urlsafe_b64encode(os.urandom(32)).decode()


def keys(folder: Path, *lines: str, mode: int = 0o600) -> Path:
    file = folder / "keys"
    file.write_text("".join(f"{line}\n" for line in lines))
    file.chmod(mode)
    return file


def test_what_is_locked_can_be_opened_and_says_nothing(tmp_path: Path) -> None:
    vault = Vault(keys(tmp_path, "# since 2026", "", key()))
    locked = vault.lock("p", "mars", MINE)
    assert vault.open("p", "mars", locked) == MINE
    for text in (locked, repr(MINE), str(MINE), str(base64.urlsafe_b64decode(locked))):
        assert MINE.secret not in text


def test_what_is_moved_to_another_row_is_worth_nothing(tmp_path: Path) -> None:
    vault = Vault(keys(tmp_path, key()))
    locked = vault.lock("p", "mars", MINE)
    for owner, library in (("q", "mars"), ("p", "venus")):
        with pytest.raises(StateError, match="of another one"):
            vault.open(owner, library, locked)


def test_a_key_is_replaced_by_another(tmp_path: Path) -> None:
    old, new = key(), key()
    before = Vault(keys(tmp_path, old))
    locked = before.lock("p", "mars", MINE)
    both = Vault(keys(tmp_path, new, old))
    assert both.open("p", "mars", locked) == MINE
    renewed = both.renewed(locked)
    assert renewed is not None
    assert both.renewed(renewed) is None
    after = Vault(keys(tmp_path, new))
    assert after.open("p", "mars", renewed) == MINE
    assert after.renewed(locked) is None
    with pytest.raises(StateError, match="have it set again"):
        after.open("p", "mars", locked)


@pytest.mark.parametrize(
    ("lines", "mode", "problem"),
    [
        ([key()], 0o640, "others may read it"),
        (["no key"], 0o600, "a key is 32 random bytes"),
        ([" ", "# nothing"], 0o600, "no key is in it"),
    ],
)
def test_a_file_of_keys_that_cannot_be_used(
    tmp_path: Path, lines: list[str], mode: int, problem: str
) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        Vault(keys(tmp_path, *lines, mode=mode))


def test_a_file_of_keys_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no keys can be read"):
        Vault(tmp_path / "nowhere")
