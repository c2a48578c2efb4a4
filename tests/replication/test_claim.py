"""Claims: who holds them, when they end, and that nonsense is none."""

import os
import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from meltemi.replication.claim import LASTING, Claim

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOST = socket.gethostname()


@pytest.mark.parametrize("stays", [False, True])
def test_a_claim_reads_back(*, stays: bool) -> None:
    claim = Claim.take(NOW, stays=stays)
    assert claim.until == NOW + LASTING
    assert claim.is_ours
    assert not claim.is_abandoned
    assert Claim.parse(str(claim)) == claim


@pytest.mark.parametrize(
    ("holder", "seconds", "holds"),
    [
        ("elsewhere/1", 1, True),
        ("elsewhere/1", 0, False),
        ("elsewhere/1", -1, False),
        ("{host}/{parent}", 1, True),
        ("{host}/{parent}", -1, False),
        ("{host}/{own}", 1, False),
        ("{host}/1", 1, True),
        ("{host}/999999999", 1, False),
        ("{host}/99999999999999999999999", 1, False),
        ("{host}/²", 1, True),
        ("{host}/-1", 1, True),
        ("{host}/", 1, True),
        ("", 1, True),
    ],
)
def test_who_must_keep_away(holder: str, seconds: int, holds: bool) -> None:
    who = holder.format(host=HOST, parent=os.getppid(), own=os.getpid())
    claim = Claim(who, NOW + timedelta(seconds=seconds))
    assert claim.holds_against(NOW) is holds


def test_a_claim_ends_with_its_process() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    claim = Claim(f"{HOST}/{process.pid}", NOW + LASTING)
    assert claim.holds_against(NOW)
    process.communicate(b"\n")
    assert not claim.holds_against(NOW)
    assert claim.is_abandoned


@given(st.text())
@example("2026-01-01T00:00:00 by x/1")
@example("9999-12-31T23:59:59Z by x/1")
@example("9999-12-31T23:59:59-23:59 by x/1")
@example("0001-01-01T00:00:00+23:59 by x/1")
@example("")
def test_nonsense_breaks_nothing(text: str) -> None:
    for written in (text, f"claimed until {text}"):
        claim = Claim.parse(written)
        if claim is not None:
            claim.holds_against(NOW)
            assert claim.stays == (written == text)
            assert str(claim).startswith("claimed until ") != claim.stays


def test_a_time_alone_is_no_claim() -> None:
    assert Claim.parse("2026-01-01T00:00:00Z") is None
