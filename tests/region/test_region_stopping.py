"""A region that is told to stop: what is being answered is finished, and nobody is left."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lab import Region

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
