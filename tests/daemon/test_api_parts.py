"""Parts of the API that need no daemon to be seen at work."""

import os
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import yaml

from meltemi.config.load import Api, load
from meltemi.daemon.api.senders import Senders, own_token
from meltemi.errors import ConfigurationError, UnauthorizedError
from meltemi.model.listening import ListeningAddress, parse_listening
from meltemi.model.role import Role


def settings(folder: Path, **daemon: Any) -> Api:
    file = folder / "meltemi.yaml"
    file.write_text(yaml.safe_dump({"version": 1, "libraries": {}, "daemon": daemon}))
    return load(file).daemon.api


@pytest.mark.parametrize(
    ("text", "address", "loopback", "reachable"),
    [
        ("127.0.0.1:9393", ("127.0.0.1", 9393), True, "127.0.0.1:9393"),
        ("localhost:0", ("localhost", 0), True, "localhost:0"),
        ("[::1]:80", ("::1", 80), True, "[::1]:80"),
        ("0.0.0.0:80", ("0.0.0.0", 80), False, "127.0.0.1:80"),
        ("[::]:80", ("::", 80), False, "[::1]:80"),
        ("daemon.example:65535", ("daemon.example", 65535), False, "daemon.example:65535"),
    ],
)
def test_where_a_service_listens(
    text: str, address: tuple[str, int], reachable: str, *, loopback: bool
) -> None:
    read = parse_listening(text)
    assert (read, str(read)) == (ListeningAddress(*address), text)
    assert (read.is_loopback, str(read.reachable)) == (loopback, reachable)


@pytest.mark.parametrize(
    "text", ["", "9393", "host", "host:", ":80", "host:65536", "a b:1", "::1:80"]
)
def test_what_is_no_such_address(text: str) -> None:
    with pytest.raises(ValueError, match="is not where a service can listen; use host:port"):
        parse_listening(text)


def test_roles_include_each_other() -> None:
    assert [[one.includes(other) for other in Role] for one in Role] == [
        [True, False, False],
        [True, True, False],
        [True, True, True],
    ]


def test_settings_of_the_api(tmp_path: Path) -> None:
    digest = sha256(b"secret").hexdigest()
    api = settings(
        tmp_path,
        listen="0.0.0.0:80",
        tokens={"ci": {"role": "operator", "sha256": digest.upper()}},
        tls={"certificate": "a.crt", "key": "/b.key"},
    )
    assert api.listen == ListeningAddress("0.0.0.0", 80)
    assert (api.tokens["ci"].role, api.tokens["ci"].sha256) == (Role.OPERATOR, digest)
    assert api.tls is not None
    assert (api.tls.certificate, api.tls.key) == (tmp_path / "a.crt", Path("/b.key"))
    assert not api.is_for_all_who_read
    assert digest not in repr(api)
    auth = {"auth_url": "http://keystone", "username": "u", "password": "secret"}
    api = settings(tmp_path, listen="daemon:80", keystone={"auth": auth, "token_cache_time": "1m"})
    assert api.keystone is not None
    assert api.keystone.token_cache_time == timedelta(minutes=1)
    assert "secret" not in repr(api)


@pytest.mark.parametrize(
    ("daemon", "words"),
    [
        ({"listen": "0.0.0.0:80"}, "daemon: to listen beyond loopback takes tokens, or keystone"),
        ({"listen": "80"}, "'80' is not where a service can listen"),
        (
            {"tokens": {"a": {"role": "chief", "sha256": "0" * 64}}},
            "'reader', 'operator' or 'admin'",
        ),
        ({"tokens": {"a": {"role": "admin", "sha256": "secret"}}}, "64 hexadecimal digits"),
        ({"tokens": {"a": {"role": "admin"}}}, "daemon.tokens.a.sha256: missing"),
        ({"keystone": {"auth": {"user": "u"}}}, "password has no option 'user'"),
        ({"lisen": "127.0.0.1:1"}, "unknown key; did you mean listen?"),
    ],
)
def test_settings_that_cannot_be_meant(tmp_path: Path, daemon: Any, words: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        settings(tmp_path, **daemon)
    assert words in str(caught.value)
    assert "secret" not in str(caught.value)


async def test_the_token_of_a_daemon_without_settings(tmp_path: Path) -> None:
    api = settings(tmp_path)
    senders = Senders(api)
    token = own_token(api.token_file)
    sender = await senders.authenticate({"X-Auth-Token": token})
    assert (sender.who, sender.role, sender.project) == ("local", Role.ADMIN, None)
    assert (await Senders(api).authenticate({"X-Auth-Token": token})).may(Role.ADMIN)
    assert api.token_file.stat().st_mode & 0o777 == 0o600
    for wrong in ("", token[:-1], f"{token}x", sha256(token.encode()).hexdigest()):
        with pytest.raises(UnauthorizedError):
            await senders.authenticate({"X-Auth-Token": wrong})
    with pytest.raises(UnauthorizedError):
        await senders.authenticate({})


def test_a_token_that_others_may_read_is_none(tmp_path: Path) -> None:
    file = settings(tmp_path).token_file
    own_token(file)
    file.chmod(0o640)
    with pytest.raises(ConfigurationError, match="others may read it"):
        own_token(file)


def test_a_token_that_is_not_there_is_none(tmp_path: Path) -> None:
    file = settings(tmp_path).token_file
    file.touch(0o600)
    with pytest.raises(ConfigurationError, match="no token is in it"):
        own_token(file)
    with pytest.raises(ConfigurationError, match="no token can be had"):
        own_token(tmp_path / "nowhere" / file.name)


def test_two_daemons_have_one_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another makes the file while this one is about to."""
    file = settings(tmp_path).token_file
    link = os.link

    def late(draft: Path, target: Path) -> None:
        target.write_text("theirs")
        target.chmod(0o600)
        link(draft, target)

    monkeypatch.setattr(os, "link", late)
    assert own_token(file) == "theirs"
    assert [one.name for one in tmp_path.glob("*.token*")] == [file.name]
