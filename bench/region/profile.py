"""What limits a region: where its processes are at work, as py-spy samples them."""

import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from bench.curl import create, download, upload
from bench.figures import Result, Table
from bench.region.clones import clone
from bench.region.data import hot
from bench.region.requests import requesting
from bench.region.services import Services
from lab import Region

_RATE: Final = 100
_SHOWN: Final = 12


def profile(services: Services) -> Iterator[Result]:
    """Sample a region while it does what is measured."""
    for name, file in (("the raw disk", services.disk), ("random data", services.random)):
        with services.region(hot_images=0) as region:
            image = create(region.url, name)

            def send(url: str = region.url, image: str = image, file: Path = file) -> None:
                upload(url, image, file)

            def read(url: str = region.url, image: str = image) -> None:
                download(url, image)

            yield _sample(services, region, f"Upload of {name}", send)
            yield _sample(services, region, f"Download of {name} from chunks", read)
    with services.region() as region:
        image = hot(region, services.disk)
        readers = services.scale.readers
        title = f"Download of a hot image, {readers} reading"
        yield _sample(services, region, title, lambda: download(region.url, image, readers))
        many = range(10 * services.scale.clones)
        yield _sample(
            *(services, region, f"{len(many)} clones"),
            lambda: [clone(region.url, image) for _ in many],
        )
        for title, work in requesting(services, region.url):
            yield _sample(services, region, title.capitalize(), work)
    yield _imports()


def _imports() -> Table:
    """Say what the start of a worker is made of: the packages that are imported, by their time."""
    code = "import meltemi.region.server, meltemi.region.wiring, meltemi.cli.serve"
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", code], capture_output=True, text=True, check=True
    )
    spent: Counter[str] = Counter()
    for line in done.stderr.splitlines():
        own, _, rest = line.removeprefix("import time:").partition("|")
        if own.strip().isdecimal():
            spent[rest.partition("|")[2].strip().partition(".")[0]] += int(own)
    total = spent.total()
    rows = [
        [name, f"{micros / 1e6:.2f}", f"{micros / total:.0%}"]
        for name, micros in spent.most_common(_SHOWN)
    ]
    about = f"{total / 1e6:.2f} seconds of imports, measured by Python itself, which slows them."
    return Table("Start", ["package", "seconds", "share"], rows, about)


def _sample(services: Services, region: Region, title: str, work: Callable[[], object]) -> Table:
    """Do something; give the functions in which the region's threads were at work meanwhile."""
    stacks = services.folder / "stacks"
    spy = str(Path(sys.executable).with_name("py-spy"))
    command = [spy, "record", "--pid", str(region.pid), "--subprocesses", "--nonblocking"]
    command += ["--format", "raw", "--rate", str(_RATE), "--duration", "3600"]
    command += ["--output", str(stacks)]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, stdout=quiet, stderr=quiet) as sampling:
        try:
            work()
        finally:
            sampling.send_signal(signal.SIGINT)
    found: Counter[str] = Counter()
    for line in stacks.read_text().splitlines():
        stack, _, count = line.rpartition(" ")
        found[_function(stack)] += int(count)
    total = found.total()
    rows = [
        [name, f"{count / _RATE:.2f}", f"{count / total:.0%}"]
        for name, count in found.most_common(_SHOWN)
    ]
    about = f"{total / _RATE:.1f} seconds of all threads, at {_RATE} samples a second."
    return Table(title, ["function", "seconds", "share"], rows, about)


def _function(stack: str) -> str:
    """Give where a stack ends, without the line's number."""
    name, _, place = stack.rpartition(";")[2].rpartition(" (")
    return f"{name} ({place.partition(':')[0].removesuffix(')')})"
