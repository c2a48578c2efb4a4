"""OpenStack services the way operators run them: a WSGI application under uWSGI."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

from lab.errors import LabError
from lab.process import Server

Settings = Mapping[str, Mapping[str, object]]


class WsgiServer(Server):
    """A service under uWSGI, with its own threads and processes."""

    module: str
    venv: Path
    processes = 2
    threads = 4

    def command(self) -> list[str]:
        """Return the uWSGI command line."""
        options = {
            "http-socket": f"127.0.0.1:{self.port}",
            "module": self.module,
            "processes": self.processes,
            "threads": self.threads,
            "buffer-size": 65535,
            # The default of 4 seconds would cut off a client that pauses, or waits for its turn.
            "socket-timeout": 300,
            "listen": 100,
            # What has come of a body in chunks is kept; beyond the default of 1 MiB it is refused.
            "chunked-input-limit": 64 * 2**20,
            # It closes after each answer, and clients that keep connections must know.
            "add-header": "Connection: close",
        }
        switches = ("master", "enable-threads", "lazy-apps", "die-on-term", "no-orphans")
        return [
            str(self.venv / "bin" / "uwsgi"),
            *(f"--{switch}" for switch in (*switches, "thunder-lock", "need-app")),
            *(word for key, value in options.items() for word in (f"--{key}", str(value))),
        ]


def merge(*layers: Settings) -> dict[str, dict[str, object]]:
    """Lay settings over each other: what comes later wins, section by section."""
    merged: dict[str, dict[str, object]] = {}
    for layer in layers:
        for section, options in layer.items():
            merged.setdefault(section, {}).update(options)
    return merged


def write_settings(path: Path, settings: Settings) -> None:
    """Write settings as an oslo.config file; a list gives the option several times."""
    lines = []
    for section, options in settings.items():
        lines.append(f"[{section}]")
        for key, value in options.items():
            values = value if isinstance(value, list) else [value]
            lines += [f"{key} = {one}" for one in values]
    path.write_text("\n".join(lines) + "\n")


def manage(venv: Path, tool: str, *arguments: str) -> None:
    """Run one of a service's management commands."""
    done = subprocess.run(
        [str(venv / "bin" / tool), *arguments], capture_output=True, text=True, cwd="/", check=False
    )
    if done.returncode:
        raise LabError(f"{tool} {' '.join(arguments)} failed:\n{done.stderr[-3000:]}")
