"""A region that is told to stop: what is being answered is finished, and nobody is left."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing
from http.client import HTTPResponse
from pathlib import Path

import pytest

from lab import Region
from lab.process import listening
from tests.support.glance import Place, some_data
from tests.support.uploads import Upload
from tests.support.waiting import eventually

MANY = 500
"""Images of which a list is larger than what the kernel keeps for one who does not read."""

BINARY = "application/octet-stream"
_TOLD_AT_ONCE = """
import os, signal, sys

def tell_to_stop():
    if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        os.kill(os.getpid(), signal.SIGTERM)

os.register_at_fork(after_in_parent=tell_to_stop)
sys.argv = ["meltemi", *sys.argv[1:]]
from meltemi.cli.main import main
main()
"""
"""A region that is told to stop at the very moment at which it has forked a worker."""


def test_told_to_stop_while_a_worker_is_born(tmp_path: Path) -> None:
    config = Region(tmp_path / "region", settings={"workers": 2}).config
    words = [sys.executable, "-c", _TOLD_AT_ONCE, "serve", "--config", str(config)]
    server = subprocess.Popen(words, start_new_session=True)
    try:
        assert server.wait(timeout=100) == 0
        with pytest.raises(ProcessLookupError):
            os.killpg(server.pid, 0)
    finally:
        if server.poll() is None:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def slow(port: int) -> socket.socket:
    """Connect as one who takes in little at once."""
    link = socket.socket()
    link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    link.settimeout(300)
    link.connect(("127.0.0.1", port))
    return link


def test_an_answer_that_is_not_read_yet(tmp_path: Path) -> None:
    with Region(tmp_path / "region", settings={"workers": 2}) as server:
        place = Place(server.url)
        properties = {f"p{number}": "x" * 255 for number in range(120)}
        for _ in range(MANY):
            place.put("large", None, **properties)
        with slow(server.port) as link, closing(HTTPResponse(link)) as answer:
            link.sendall(b"GET /v2/images?limit=1000 HTTP/1.1\r\nHost: x\r\n\r\n")
            answer.begin()
            assert answer.headers["Connection"] is None
            server.ask_to_stop()
            eventually(lambda: len(server.workers) <= 1)  # the other one has nothing to wait for
            time.sleep(1)  # and this one would be gone as well
            assert len(json.loads(answer.read())["images"]) == MANY


def test_an_idle_connection_does_not_keep_it(tmp_path: Path) -> None:
    with Region(tmp_path / "region") as server, slow(server.port) as link:
        link.sendall(b"GET /healthcheck HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"200 OK" in link.recv(4096)
        server.ask_to_stop()
        eventually(lambda: not server.running)
        assert link.recv(4096) == b""


def test_the_answer_to_whoever_came_in_time_is_the_last(tmp_path: Path) -> None:
    data = some_data(91, 24 * 2**20)
    with Region(tmp_path / "region", settings={"hot_images": 0}) as server:
        place = Place(server.url)
        image = place.put("image", None)
        with slow(server.port) as link, closing(HTTPResponse(link)) as answer:
            head = f"PUT /v2/images/{image}/file HTTP/1.1\r\nHost: x\r\n"
            kind = f"Content-Type: {BINARY}\r\nContent-Length: {len(data)}\r\n\r\n"
            link.sendall((head + kind).encode() + data[:1000])
            place.wait_for(image, "saving")
            server.ask_to_stop()
            eventually(lambda: not listening(server.port))
            link.sendall(data[1000:])
            answer.begin()
            assert (answer.status, answer.headers["Connection"]) == (204, "close")
            assert link.recv(1) == b""
        eventually(lambda: not server.running)
        server.start()
        assert place.data(image) == data


def test_who_does_not_move_is_cut_off(tmp_path: Path) -> None:
    data = some_data(92, 24 * 2**20)
    settings = {"graceful": "1s", "hot_images": 0, "workers": 2}
    with Region(tmp_path / "region", settings=settings) as server:
        place = Place(server.url)
        kept, queued = place.put("kept", data), place.put("queued", None)
        with slow(server.port) as reader, Upload(place, queued, len(data)) as upload:
            reader.sendall(f"GET /v2/images/{kept}/file HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            assert reader.recv(10) == b"HTTP/1.1 2"
            upload.send(data[: 2**20])
            place.wait_for(queued, "saving")
            server.ask_to_stop()
            eventually(lambda: not server.running)
        server.start()
        assert place.statuses() == {kept: "active", queued: "queued"}
        assert place.data(kept) == data
