"""Data in and out: of a real disk and of random bytes, hot and cold."""

import os
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from bench.curl import create, download, upload, uploaded
from bench.figures import GIB, Result, at_least, for_reference, ratio, seconds
from bench.region.services import Services
from lab import Region

_COPIED_SECONDS = 120


def uploads(services: Services) -> Iterator[Result]:
    """Upload the disk and random data, to a region that knows nothing of it, and to Glance."""
    for name, file, wanted in (
        ("the raw disk", services.disk, 1.6),
        ("random data", services.random, 1.3),
    ):
        runs: dict[str, list[float]] = defaultdict(list)
        for _ in range(services.scale.runs):
            runs["glance"].append(_upload(services.glance.url, file))
            services.empty_glance()
            with services.region() as region:
                runs["region"].append(_upload(region.url, file))
                runs["region, known"].append(_upload(region.url, file))
        title = f"upload of {name} ({file.stat().st_size / GIB:g} GiB): speed against Glance"
        compared = ratio(runs["glance"], runs["region"])
        yield at_least(title, wanted, compared, "x", dict(runs))
        known = ratio(runs["glance"], runs["region, known"])
        yield for_reference(f"{title}, once more", known, "x", {})


def downloads(services: Services) -> Iterator[Result]:
    """Download both from chunks, and the disk from its hot copy, by one reader and by many."""
    glance = services.glance.url
    for name, file, wanted in (
        ("the raw disk", services.disk, 1.0),
        ("random data", services.random, 0.4),
    ):
        image = uploaded(glance, file)
        with services.region(hot_images=0) as region:
            runs = _alternate(services, image, region, uploaded(region.url, file), 1)
        title = f"download of {name} from chunks: speed against Glance"
        yield at_least(title, wanted, ratio(runs["glance"], runs["region"]), "x", runs)
        services.empty_glance()
    image = uploaded(glance, services.disk)
    with services.region() as region:
        kept = hot(region, services.disk)
        for readers in (1, services.scale.readers):
            runs = _alternate(services, image, region, kept, readers)
            title = f"download of a hot image, {readers} reading: speed against Glance"
            yield at_least(title, 0.95, ratio(runs["glance"], runs["region"]), "x", runs)
    services.empty_glance()


def _upload(url: str, file: Path) -> float:
    os.sync()
    image = create(url, "measured")
    return seconds(lambda: upload(url, image, file))


def _alternate(
    services: Services,
    theirs: str,
    region: Region,
    ours: str,
    readers: int,
) -> dict[str, list[float]]:
    runs: dict[str, list[float]] = {"glance": [], "region": []}
    glance = services.glance.url
    for one, url in ((theirs, glance), (ours, region.url)):
        download(url, one)  # for the page cache
    for _ in range(services.scale.runs):
        runs["glance"].append(seconds(lambda: download(glance, theirs, readers)))
        runs["region"].append(seconds(lambda: download(region.url, ours, readers)))
    return runs


def hot(region: Region, file: Path) -> str:
    """Upload a file and read it until it is kept whole."""
    image = uploaded(region.url, file)
    download(region.url, image)
    download(region.url, image)
    copies = region.folder / "data" / "hot" / "files"
    deadline = time.monotonic() + _COPIED_SECONDS
    while not list(copies.iterdir()):
        if time.monotonic() > deadline:
            raise RuntimeError(f"{region.name}: the image did not become hot")
        time.sleep(0.1)
    return image
