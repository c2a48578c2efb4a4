"""The webhook of a real daemon: what its senders sign is done, and nothing else."""

import hashlib
import hmac
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from meltemi.config.schema import WebhookEntry
from meltemi.daemon.events.webhook import LARGEST, PATH, WINDOW, read_secret
from meltemi.daemon.state.records import Cause
from meltemi.errors import ConfigurationError
from tests.daemon.asking import Answer, Asked, Shelves, settled
from tests.support.daemon import Daemon
from tests.support.waiting import eventually

BODY = b'{"library": "src", "images": ["00000000-0000-4000-8000-000000000000"]}'
SECRET = "0123456789abcdef0123456789abcdef"


@pytest.fixture(scope="module")
def shelves(tmp_path_factory: pytest.TempPathFactory) -> Shelves:
    shelves = Shelves(tmp_path_factory.mktemp("daemon"))
    shelves.put(0, "first", b"data")
    return shelves


@pytest.fixture(scope="module")
def asked(shelves: Shelves) -> Iterator[Asked]:
    (shelves.folder / "secret").write_text(f"{SECRET}\n")
    settings = shelves.configuration(webhook={"secret_file": "secret"})
    with Daemon(shelves.folder, settings) as daemon:
        asked = Asked(daemon)
        settled(asked, 2)
        yield asked


def signed(body: bytes, at: object = None, secret: str = SECRET) -> dict[str, str]:
    timestamp = str(int(time.time()) if at is None else at)
    signature = hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256)
    return {"Meltemi-Timestamp": timestamp, "Meltemi-Signature": signature.hexdigest()}


def post(asked: Asked, body: bytes, headers: dict[str, str]) -> Answer:
    return asked.call("POST", PATH, body, token=None, headers=headers)


def events(asked: Asked) -> list[int | None]:
    """Give how many images each look was about that an event caused; None is all."""
    return [run.images for run in asked.daemon.runs() if run.cause is Cause.EVENT]


def test_what_is_signed_is_looked_at_once(asked: Asked) -> None:
    headers = signed(BODY)
    answer = post(asked, BODY, headers)
    assert (answer.status, answer.body) == (202, "")
    eventually(lambda: events(asked) == [1])
    again = post(asked, BODY, headers)
    assert (again.status, again.message) == (401, "that has come before")
    assert again.headers["WWW-Authenticate"] == "Meltemi-Signature"
    everything = b'{"library": "src"}'
    assert post(asked, everything, signed(everything)).status == 202
    eventually(lambda: events(asked) == [None, 1])
    # Neither a new process nor another daemon of the same state takes it twice.
    asked.daemon.kill()
    asked.daemon.start()
    assert post(asked, BODY, headers).status == 401


@pytest.mark.parametrize(
    ("headers", "why"),
    [
        ({}, "it is not signed by our secret"),
        (signed(BODY, secret="another secret that is long"), "it is not signed by our secret"),
        (signed(BODY + b" "), "it is not signed by our secret"),
        ({**signed(BODY), "Meltemi-Timestamp": "1"}, "it is not signed by our secret"),
        ({**signed(BODY), "Meltemi-Signature": "\xe9"}, "it is not signed by our secret"),
        (signed(BODY, "soon"), "its timestamp is no whole number"),
        (signed(BODY, ""), "its timestamp is no whole number"),
        (signed(BODY, "-5"), "its timestamp is no whole number"),
        (signed(BODY, 1), f"it was signed more than {WINDOW} seconds ago, or ahead"),
        (signed(BODY, "9" * 4000), f"it was signed more than {WINDOW} seconds ago, or ahead"),
        (signed(BODY, 2**40), f"it was signed more than {WINDOW} seconds ago, or ahead"),
    ],
)
def test_what_is_forged_or_old_is_refused(asked: Asked, headers: Any, why: str) -> None:
    before = events(asked)
    answer = post(asked, BODY, headers)
    assert (answer.status, answer.message) == (401, why)
    assert events(asked) == before


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "the body is no JSON"),
        (b"[" * 60_000, "the body is no JSON"),
        (b"\xff", "the body is no JSON"),
        (b"[]", "the body has to be an object of library and images"),
        (b'{"library": "src", "more": 1}', "the body has to be an object of library and images"),
        (b'{"library": "nowhere"}', "library has to name one of meltemi.yaml"),
        (b'{"library": ["src"]}', "library has to name one of meltemi.yaml"),
        (b'{"library": "src", "images": "one"}', "images has to be a list of ids"),
        (b'{"library": "src", "images": ["../x"]}', "images has to be a list of ids"),
        (b'{"library": "src", "images": [1]}', "images has to be a list of ids"),
    ],
)
def test_what_is_signed_and_wrong_is_told_so(asked: Asked, body: bytes, why: str) -> None:
    answer = post(asked, body, signed(body))
    assert (answer.status, answer.message) == (400, why)


def test_what_is_too_long_is_not_read(asked: Asked) -> None:
    body = b'{"library": "src"}' + b" " * LARGEST
    assert post(asked, body, signed(body)).status == 413


def test_without_a_secret_there_is_no_webhook(tmp_path: Path) -> None:
    shelves = Shelves(tmp_path)
    shelves.put(0, "first", b"data")
    with Daemon(tmp_path, shelves.configuration()) as daemon:
        asked = Asked(daemon)
        assert post(asked, BODY, signed(BODY)).status == 404
        daemon.configure(shelves.configuration(webhook={"secret_file": str(tmp_path / "none")}))
        eventually(lambda: "a new configuration is in force" in daemon.said)
        answer = post(asked, BODY, signed(BODY))
        assert (answer.status, answer.message) == (503, "the webhook has no secret")
        assert str(tmp_path / "none") in daemon.said


def test_a_secret_is_in_a_file_or_in_a_variable(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(f" {SECRET}\n")
    assert read_secret(WebhookEntry(secret_file=file)) == SECRET.encode()
    variable = WebhookEntry(secret_env="THE_SECRET")
    assert read_secret(variable, {"THE_SECRET": SECRET}) == SECRET.encode()
    for environment in ({}, {"THE_SECRET": "short"}):
        with pytest.raises(ConfigurationError, match=r"\$THE_SECRET holds fewer than 16 bytes"):
            read_secret(variable, environment)
    with pytest.raises(ConfigurationError, match="nowhere: No such file"):
        read_secret(WebhookEntry(secret_file=tmp_path / "nowhere"))
