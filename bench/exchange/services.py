"""A region that has images, regions that lack some, and the ways between them."""

import os
import shutil
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from bench.children import Run, meltemi
from bench.curl import uploaded
from bench.exchange.delay import delayed
from bench.exchange.link import Link, Traffic, slow_link
from bench.exchange.scale import Scale
from bench.figures import MIB
from bench.files import warm
from lab import Region, images
from meltemi.keys import SigningKey

GOLDEN: Final = "debian-12-20260101"
AGAIN: Final = "another name for the same"
SMALL: Final = "a small disk"
SMALL_AGAIN: Final = "the same small disk"
SNAPSHOT: Final = "snapshot of web-1"
NEXT: Final = "debian-12-20260201"

_TICKS: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Copied:
    """What one copy took: the command, CPU seconds of both regions, and bytes on the link."""

    run: Run
    cpu: Mapping[str, float]
    traffic: Traffic


class FarRegion(Region):
    """A region at the far end of a link."""

    def __init__(self, folder: Path, link: Link, **settings: Any) -> None:
        super().__init__(folder, name="target", settings={"host": link.address, **settings})
        self._link = link
        self.url = f"http://{link.address}:{self.port}"

    def command(self) -> list[str]:
        """Return the command line."""
        return [*self._link.inside, *super().command()]

    def ready(self) -> bool:
        """Tell whether it answers, over the link."""
        try:
            with urllib.request.urlopen(f"{self.url}/healthcheck", timeout=5):  # noqa: S310 - ours
                return True
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False


class Services:
    """Where everything is measured; what a target begins with is made once, and copied."""

    def __init__(self, folder: Path, scale: Scale, stack: ExitStack) -> None:
        self.folder = folder
        self.scale = scale
        self._stack = stack
        self._made = 0

    @cached_property
    def disks(self) -> Mapping[str, Path]:
        """Give the disks, by the names of the images that are made of them; they lie in memory."""
        found = dict(zip((GOLDEN, SNAPSHOT, NEXT), images.generations(), strict=True))
        found[SMALL] = images.debian_disk()
        if self.scale.disk is not None:
            for number, (name, path) in enumerate(found.items()):
                part = self.folder / f"disk{number}.raw"
                with path.open("rb") as whole, part.open("wb") as file:
                    whole.seek(MIB)  # what a partition begins with
                    file.write(whole.read(self.scale.disk >> (name == SMALL)))
                found[name] = part
        return {name: warm(path) for name, path in found.items()}

    @cached_property
    def link(self) -> Link:
        """Make the slow link."""
        return self._stack.enter_context(slow_link())

    @cached_property
    def _key(self) -> Path:
        """Make the key by which the source is trusted."""
        file = self.folder / "key.pem"
        SigningKey.create(file)
        return file

    @cached_property
    def source(self) -> Region:
        """Start the region that has all images."""
        signing = {"signing_key": str(self._key)}
        made = Region(self.folder / "source", name="source", settings=signing)
        region = self._stack.enter_context(made)
        debian = {"os_distro": "debian", "os_version": "12"}
        golden = uploaded(region.url, self.disks[GOLDEN], GOLDEN, **debian)
        uploaded(region.url, self.disks[GOLDEN], AGAIN)
        uploaded(region.url, self.disks[SNAPSHOT], SNAPSHOT, base_image_ref=golden, **debian)
        uploaded(region.url, self.disks[NEXT], NEXT, **debian)
        uploaded(region.url, self.disks[SMALL], SMALL)
        uploaded(region.url, self.disks[SMALL], SMALL_AGAIN)
        return region

    @cached_property
    def _begun(self) -> Path:
        """Make the data of a target that got the golden image and the small one."""
        folder = self.folder / "begun"
        with Region(folder) as region:
            for name in (GOLDEN, SMALL):
                copy(self.source.url, region.url, name)
        return folder / "data"

    @contextmanager
    def target(self, *, empty: bool = False, trusting: bool = True) -> Iterator[FarRegion]:
        """Start a target behind the link, which trusts the source or does not."""
        public = SigningKey.read(self._key).public
        trusted = {"trusted_regions": {"source": public}} if trusting else {}
        with self.room() as folder:
            if not empty:
                shutil.copytree(self._begun, folder / "data")
            os.sync()
            with FarRegion(folder, self.link, **trusted) as region:
                yield region

    @contextmanager
    def near(self, **settings: Any) -> Iterator[Region]:
        """Start a region on loopback that has nothing."""
        with self.room() as folder, Region(folder, settings=settings) as region:
            yield region

    def over_the_link(self, *names: str, empty: bool = False, trusting: bool = True) -> Copied:
        """Copy images over the slow link, from near to far, and see what that takes."""
        source = self.source
        way = self.target(empty=empty, trusting=trusting)
        with way as target, delayed(target.url) as url:
            before = self.link.traffic()
            cpu = {"source": _cpu(source), "target": _cpu(target)}
            run = copy(source.url, url, *names)
            used = {"source": _cpu(source) - cpu["source"], "target": _cpu(target) - cpu["target"]}
            return Copied(run, used, self.link.traffic() - before)

    @contextmanager
    def room(self) -> Iterator[Path]:
        """Give an empty folder for a while."""
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        try:
            yield folder
        finally:
            shutil.rmtree(folder)


def copy(source: str, target: str, *names: str) -> Run:
    """Copy images as a user does."""
    matches = [f"--match=name={name}" for name in names]
    return meltemi("livecopy", source, target, *matches)


def _cpu(region: Region) -> float:
    """Give the CPU seconds that a region of one process has used."""
    facts = Path(f"/proc/{region.pid}/stat").read_text().rpartition(") ")[2].split()
    return sum(map(int, facts[11:13])) / _TICKS


@contextmanager
def services(scale: Scale) -> Iterator[Services]:
    """Give services, each started when it is needed; nothing of them is left behind."""
    folder = Path(tempfile.mkdtemp(prefix="meltemi-bench-"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        yield Services(folder, scale, stack)
