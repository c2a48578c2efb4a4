"""What a region takes of a machine: time to start, memory."""

import http.client
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Final

from bench.curl import create, download, upload_at_once, uploaded
from bench.figures import MIB, Result, at_most, for_reference
from bench.files import random_file
from bench.region.services import Services
from lab import Region
from lab.process import Server

_SETTLED_SECONDS: Final = 3.0
_LOOK_SECONDS: Final = 0.1
_PSS: Final = "Pss:"


def start(services: Services) -> Iterator[Result]:
    """Start a region that has nothing yet, and one that was there before."""
    first: list[float] = []
    again: list[float] = []
    for _ in range(services.scale.starts):
        with tempfile.TemporaryDirectory(dir=services.folder) as folder:
            region = Region(Path(folder), settings={"workers": 2})
            for took in (first, again):
                took.append(_answering(region))
                region.stop()
    runs = {"new": first, "again": again}
    title = "from the command to the first list of images"
    yield at_most(f"{title}, new region", 1.5, median(first), "s", runs)
    yield at_most(f"{title}, again", 1.5, median(again), "s", {})


def memory(services: Services) -> Iterator[Result]:
    """Sum the memory of all processes: idle, with many downloads, with many uploads."""
    readers, scale = services.scale.readers, services.scale
    glance = services.glance
    yield for_reference("memory of Glance, idle", _pss(glance) / MIB, "MiB", {})
    with services.region(hot_images=0) as region:
        create(region.url, "so that both workers have answered")
        time.sleep(_SETTLED_SECONDS)
        idle = _pss(region) / MIB
        yield at_most("memory of a region of 2 workers, idle", 250, idle, "MiB", {})
        files = [
            random_file(services.folder / f"streamed-{number}", scale.streamed)
            for number in range(readers)
        ]
        images = {create(region.url, "streamed"): file for file in files}
        one, disk = next(iter(images)), uploaded(region.url, services.disk)
        sent = _peak(region, lambda: upload_at_once(region.url, images)) / MIB
        read = _peak(region, lambda: download(region.url, one, readers)) / MIB
        disk_read = _peak(region, lambda: download(region.url, disk, readers)) / MIB
    runs = {"uploads": [sent], "downloads of random data": [read], "of the disk": [disk_read]}
    worst = max(sent, read, disk_read)
    yield at_most(f"memory of a region of 2 workers, {readers} streams", 500, worst, "MiB", runs)


def _answering(region: Region) -> float:
    begun = time.perf_counter()
    region.start(wait=False)
    while True:
        with suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", region.port, timeout=5)
            try:
                connection.request("GET", "/v2/images")
                if connection.getresponse().status == http.client.OK:
                    return time.perf_counter() - begun
            finally:
                connection.close()
        if not region.running:
            raise RuntimeError(region.log.read_text())
        time.sleep(0.005)


def _peak(server: Server, work: Callable[[], None]) -> int:
    """Do something; give the most memory in bytes that a server had meanwhile."""
    done = threading.Event()
    seen = [_pss(server)]

    def watch() -> None:
        while not done.wait(_LOOK_SECONDS):
            seen.append(_pss(server))

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        work()
    finally:
        done.set()
        watching.join()
    return max(seen)


def _pss(server: Server) -> int:
    """Sum the memory of a server's processes, what they share counted once."""
    total = 0
    for entry in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            if os.getpgid(int(entry.name)) == server.pid:
                lines = (entry / "smaps_rollup").read_text().splitlines()
                total += sum(int(one.split()[1]) * 1024 for one in lines if one.startswith(_PSS))
    return total
