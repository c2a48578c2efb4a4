"""The files of services, as systemd and this project read them."""

import os
import re
import socket
import subprocess
from pathlib import Path
from typing import Final

import pytest

from lab.debian import program
from meltemi.supervision import tell_ready

DEPLOY: Final = Path(__file__).parents[2] / "deploy"
UNITS: Final = sorted((DEPLOY / "systemd").glob("*.service"))

_PROGRAM: Final = "/opt/meltemi/bin/meltemi"
_LARGEST_EXPOSURE: Final = 15
"""In tenths, of 100: what is left is the network, without which there is nothing to do."""


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_systemd_finds_nothing_wrong(unit: Path, tmp_path: Path) -> None:
    text = unit.read_text()
    assert f"\nExecStart={_PROGRAM} " in text
    # Whether the program is there is not what is asked.
    (tmp_path / unit.name).write_text(text.replace(_PROGRAM, "/bin/true"))
    _analyze("verify", "--man=no", str(tmp_path / unit.name))


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_service_may_do_little(unit: Path) -> None:
    _analyze("security", "--offline=yes", f"--threshold={_LARGEST_EXPOSURE}", str(unit))


def test_services_are_confined_alike() -> None:
    kept = [
        {line for line in unit.read_text().splitlines() if re.match(r"[A-Z]\w+=", line)}
        for unit in UNITS
    ]
    confining = re.compile(
        r"(Protect|Private|Restrict|SystemCall|Capability|NoNew|Lock|Memory|UMask|LimitNOFILE)"
    )
    first, *others = ({line for line in lines if confining.match(line)} for lines in kept)
    assert len(first) > 20
    assert others == [first]


def _analyze(*words: str) -> None:
    done = subprocess.run(
        [program("systemd-analyze", "systemd"), "--no-pager", *words],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "SYSTEMD_COLORS": "0"},
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_service_manager_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    abstract = f"meltemi-test-{os.getpid()}"
    for told, bound in (
        (str(tmp_path / "notify"), str(tmp_path / "notify")),
        (f"@{abstract}", f"\0{abstract}"),
    ):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(bound)
            monkeypatch.setenv("NOTIFY_SOCKET", told)
            tell_ready()
            assert manager.recv(100) == b"READY=1"
    # One that is gone keeps nobody from working.
    tell_ready()
    monkeypatch.delenv("NOTIFY_SOCKET")
    tell_ready()


def test_the_container_is_what_the_installation_is() -> None:
    lines = (DEPLOY / "Containerfile").read_text()
    assert "RUN /source/deploy/install /opt/meltemi\n" in lines
    _, build, final = lines.split("\nFROM ")
    assert "python3-venv" in build
    assert "python3-venv" not in final
    assert "\nUSER 10001:10001\n" in final
