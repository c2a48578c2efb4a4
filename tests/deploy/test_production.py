"""docs/production.md: what it says to type, typed on a machine with systemd."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from lab import Cloud, Machine, free_port
from lab.debian import install
from meltemi import __version__
from tests.support.accounts import Accounts
from tests.support.glance import Service, some_data
from tests.support.waiting import eventually

pytestmark = pytest.mark.services

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs" / "production.md"
_BLOCK: Final = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


class Operator:
    """Follows the page, with this machine's names in place of its own."""

    def __init__(self, machine: Machine, names: dict[str, str], variables: dict[str, str]) -> None:
        self._machine = machine
        self._names = names
        self._variables = variables
        self._blocks = [
            (kind, self._named(text)) for kind, text in _BLOCK.findall(PAGE.read_text())
        ]

    def _named(self, text: str) -> str:
        for theirs, ours in self._names.items():
            text = text.replace(theirs, ours)
        return text

    def follow(self, until: str = "") -> str:
        """Do what the blocks say, up to the first that has a text; give what that one printed."""
        while self._blocks:
            kind, text = self._blocks.pop(0)
            said = ""
            if kind == "yaml":
                path = text.splitlines()[0].removeprefix("# ")
                self.run(f"cat > {path} <<'END'\n{text}END")
            elif kind == "sh":
                said = self.run(text)
            if until and until in text:
                return said
        assert not until, f"no block has {until!r}"
        return ""

    def run(self, script: str) -> str:
        """Do something else."""
        return self._machine.run(f"cd {ROOT}\n{script}", self._variables)


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    if subprocess.run(["/usr/bin/python3", "-c", "import ensurepip"], check=False).returncode:
        install("python3-venv")
    with Machine(tmp_path / "machine") as made:
        yield made


@pytest.fixture(autouse=True)
def withdrawn(cloud: Cloud) -> Iterator[None]:
    """Take out of the catalog, which others share, what the page puts there."""
    yield
    cloud.keystone.withdraw("image-replication")


def test_what_the_page_says(cloud: Cloud, accounts: Accounts, machine: Machine) -> None:
    cloud.keystone.project("service")
    token = accounts.token("admin")
    athens, crete = (
        Service(cloud.regions[name], cloud.postgres, token=token)
        for name in ("RegionOne", "RegionTwo")
    )
    southern = athens.put("debian-13", some_data(1), visibility="public")
    northern = crete.put("olive", some_data(2), visibility="public")
    port, image_port = free_port(), free_port()
    certificate = cloud.authority.certificate("localhost")
    server = cloud.postgres
    names = {
        "https://keystone.example.org/v3": cloud.keystone.url,
        "db.example.org": f"127.0.0.1:{server.port}",
        "meltemi.example.org:9393": f"localhost:{port}",
        "0.0.0.0:9393": f"127.0.0.1:{port}",
        "Athens": "RegionOne",
        "Crete": "RegionTwo",
        "VERSION": __version__,
        # What this takes a minute for has been shown by the first installation.
        "deploy/install /opt/meltemi-NEWER": f"cp -a /opt/meltemi-{__version__} /opt/meltemi-newer",
        "NEWER": "newer",
        "port: 9292": f"port: {image_port}",
    }
    variables = {
        **accounts.variables(),
        "OS_CLOUD": "admin",
        "PATH": f"{server._bin}:/usr/sbin:/usr/bin:/sbin:/bin:{Path(sys.executable).parent}",
        "PGHOST": "127.0.0.1",
        "PGPORT": str(server.port),
        "PGUSER": "lab",
        "PGDATABASE": "postgres",
        "MELTEMI_CACERT": str(certificate.bundle),
        "CURL_CA_BUNDLE": str(certificate.bundle),
    }
    operator = Operator(machine, names, variables)
    operator.follow("install -d -m 750 -g meltemi /etc/meltemi")
    # Neither what installed it nor what compiles is left.
    assert operator.run("ls /opt/meltemi/bin | grep -c ^pip || true").strip() == "0"
    for name in ("tls.crt", "tls.key"):
        operator.run(f"cat {certificate.pem} > /etc/meltemi/{name}")
    plan = operator.follow("meltemi plan")
    assert southern in plan
    assert northern in plan
    journal = operator.follow("enable --now meltemi-daemon")
    assert "active" in journal
    assert re.search(rf"at work; postgresql\S+@127.0.0.1:{server.port}/meltemi; https://", journal)
    operator.follow("meltemi wait debian-13")
    operator.run(
        f"export OS_CLIENT_CONFIG_FILE=/etc/meltemi/clouds.yaml OS_CLOUD=production\n"
        f"/opt/meltemi/bin/meltemi wait olive --in athens --daemon https://localhost:{port}"
    )
    assert crete.data(southern) == some_data(1)
    assert athens.data(northern) == some_data(2)
    operator.run("echo 'nonsense: 1' >> /etc/meltemi/meltemi.yaml")
    operator.follow("systemctl reload")
    # systemd does not wait until the daemon has looked.
    written = "journalctl --unit meltemi-daemon --no-pager"
    eventually(lambda: "the configuration before it stays in force" in operator.run(written))
    operator.run("sed -i '/^nonsense/d' /etc/meltemi/meltemi.yaml")
    assert operator.follow("curl").startswith("OK")
    operator.follow("pg_restore")
    restored = operator.follow("meltemi-newer /opt/meltemi")
    assert "error" not in restored.lower()
    operator.follow("meltemi retry")
    operator.follow("disable --now meltemi-daemon")
    stopped = operator.run("journalctl --unit meltemi-daemon --no-pager --lines 5")
    assert "what was under way goes on at the next start" in stopped
    operator.follow("enable --now meltemi-region")
    operator.follow()
    # Ready is said once it answers, so the first request is answered.
    assert operator.run(f"curl --fail --silent http://127.0.0.1:{image_port}/v2/images")
    athens.delete(southern)
    crete.delete(northern)
    for place, image in ((crete, southern), (athens, northern)):
        place.delete(image)
