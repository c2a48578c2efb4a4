"""A network of two ends with a link between them, which is slow, and on which bytes are counted."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab.debian import program
from lab.errors import Unavailable

BANDWIDTH: Final = 100_000_000 // 8
"""Bytes a second, each way."""

_BURST: Final = "32kb"
_LATENCY: Final = "50ms"
"""How long the queue before the link is at most; what comes then is lost, as by any router."""


@dataclass(frozen=True)
class Traffic:
    """Bytes that crossed the link each way, the headers of all layers included."""

    there: int
    back: int

    @property
    def bytes(self) -> int:
        """Give all of them."""
        return self.there + self.back

    def __sub__(self, before: "Traffic") -> "Traffic":
        """Give what has crossed since."""
        return Traffic(self.there - before.there, self.back - before.back)


@dataclass(frozen=True)
class Link:
    """A pair of interfaces: the near end is this network's, the far one that of a namespace."""

    namespace: str
    near: str
    address: str
    """The address at which the far end is reached."""

    @property
    def inside(self) -> tuple[str, ...]:
        """Give the words before a command that make it run at the far end."""
        return str(program("ip", "iproute2")), "netns", "exec", self.namespace

    def traffic(self) -> Traffic:
        """Give what has crossed so far."""
        counters = Path("/sys/class/net", self.near, "statistics")
        sent, received = (int((counters / f"{way}_bytes").read_text()) for way in ("tx", "rx"))
        return Traffic(sent, received)


@contextmanager
def slow_link() -> Iterator[Link]:
    """Make a link of `BANDWIDTH`; raise Unavailable where that is not permitted."""
    number = os.getpid()
    network = f"198.18.{number >> 6 & 255}."  # for benchmarks: RFC 2544
    host = number % 64 * 4
    namespace, near, far = f"bench-{number}", f"near{number}", f"far{number}"
    with ExitStack() as stack:
        _ip("netns", "add", namespace)
        stack.callback(_ip, "netns", "del", namespace)
        _ip("link", "add", near, "type", "veth", "peer", "name", far, "netns", namespace)
        stack.callback(_ip, "link", "del", near)
        _ip("-n", namespace, "link", "set", "lo", "up")
        for name, last, where in ((near, 1, []), (far, 2, ["-n", namespace])):
            _ip(*where, "addr", "add", f"{network}{host + last}/30", "dev", name)
            # Else the kernel hands over many packets as one, and headers would not be counted.
            _ip(*where, "link", "set", name, "up", "gso_max_segs", "1")
            slow = ("tbf", "rate", f"{BANDWIDTH}bps", "burst", _BURST, "latency", _LATENCY)
            _run("tc", *where, "qdisc", "add", "dev", name, "root", *slow)
        yield Link(namespace, near, f"{network}{host + 2}")


def _ip(*words: str) -> None:
    _run("ip", *words)


def _run(name: str, *words: str) -> None:
    command = [str(program(name, "iproute2")), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        what = f"{name} {' '.join(words)}"
        raise Unavailable(f"a slow link, which needs root: {what}: {done.stderr.strip()}")
