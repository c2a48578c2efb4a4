"""Errors of tasks that run at once are told as any other: in one line, with their exit code."""

from typing import Any

import pytest

from meltemi.cli import main as cli
from meltemi.errors import GuardError, UsageError


@pytest.mark.parametrize(
    ("errors", "code", "words"),
    [
        ([UsageError("wrong")], 2, "wrong"),
        ([ZeroDivisionError("odd"), GuardError("too many"), UsageError("wrong")], 7, "too many"),
        ([ExceptionGroup("inner", [GuardError("too many")]), UsageError("wrong")], 7, "too many"),
        ([ZeroDivisionError("odd")], 70, "a defect in Meltemi: ZeroDivisionError: odd"),
    ],
)
def test_the_first_error_of_a_group_is_told(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    errors: list[Exception],
    code: int,
    words: str,
) -> None:
    def several(*_: Any, **__: Any) -> int:
        raise ExceptionGroup("unhandled errors in a TaskGroup", errors)

    monkeypatch.setattr(cli.meltemi, "main", several)
    with pytest.raises(SystemExit) as caught:
        cli.main(["size", "x"])
    assert caught.value.code == code
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"meltemi: {words}")
