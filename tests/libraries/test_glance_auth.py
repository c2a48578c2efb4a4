"""Clouds of clouds.yaml: files that are wrong, and identity services that say nothing."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from lab.process import clean_environment
from meltemi.errors import ConfigurationError, SilentError
from meltemi.libraries.opening import open_library
from meltemi.model.address import LibraryAddress, parse_address
from tests.support.cli import LISTENING, PROGRAM

Write = Callable[[str], Path]

CLOUD = """\
clouds:
  a:
    auth: {{auth_url: "{url}/v3", username: u, password: p, project_name: n}}
"""


@pytest.fixture
def clouds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write the clouds.yaml that counts."""

    def write(text: str) -> Path:
        path = tmp_path / "clouds.yaml"
        path.write_text(text)
        monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(path))
        return path

    return write


@pytest.mark.parametrize("address", ["a", "a:Region"])
@pytest.mark.parametrize(
    "text",
    [
        "clouds:\n  a: foo\n",
        "clouds:\n  a:\n",
        "clouds:\n  a: [1]\n",
        "clouds: foo\n",
        "- a\n",
        "clouds:\n  a: {password: hunter2\n",
        "\tclouds:\n",
        "clouds:\n  a: {auth: foo}\n",
        "clouds:\n  a: {auth: {auth_url: 5}}\n",
        "clouds:\n  a: {auth_type: no-such-plugin}\n",
        CLOUD.format(url="http://a..b"),
    ],
)
async def test_a_malformed_file_is_named(clouds: Write, text: str, address: str) -> None:
    file = clouds(text)
    with pytest.raises(ConfigurationError) as caught:
        await open_library(parse_address(address))
    assert str(file) in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert caught.value.library == address


@asynccontextmanager
async def silent() -> AsyncIterator[tuple[str, asyncio.Event]]:
    """Listen and say nothing; give the URL, and an event for the first connection."""
    asked, over = asyncio.Event(), asyncio.Event()

    async def wait(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await over.wait()
        writer.close()

    server = await asyncio.start_server(wait, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", asked
    finally:
        over.set()
        server.close()
        await server.wait_closed()


async def test_a_silent_identity_service_is_given_up(clouds: Write) -> None:
    async with silent() as (url, _):
        clouds(CLOUD.format(url=url))
        with pytest.raises(SilentError, match=r"^a: .*identity service for 0\.3 seconds") as caught:
            await open_library(LibraryAddress(cloud="a"), silence=0.3)
    assert caught.value.library == "a"


async def test_an_interrupt_does_not_wait_for_the_identity_service(clouds: Write) -> None:
    async with silent() as (url, asked):
        file = clouds(CLOUD.format(url=url))
        run = await asyncio.create_subprocess_exec(
            *(*LISTENING, *PROGRAM, "size", "a", "--timeout", "1h"),
            env={**clean_environment(), "OS_CLIENT_CONFIG_FILE": str(file)},
            stderr=asyncio.subprocess.PIPE,
        )
        await asked.wait()
        run.send_signal(signal.SIGINT)
        _, complaint = await run.communicate()
    assert run.returncode == 130
    # A line break comes first: a terminal has just shown ^C.
    assert complaint.decode().strip() == "meltemi: interrupted"
