"""Requests for metadata: so many a second."""

import http.client
import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from bench.curl import create
from bench.figures import Result, at_least, ratio
from bench.region.services import Services
from lab.debian import program

_FACTOR: Final = 5
_PAGE: Final = 100
_AT_ONCE: Final = 8
_RATE: Final = re.compile(r"Requests/sec:\s*([0-9.]+)")

_POST: Final = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '{"name": "measured", "disk_format": "raw", "container_format": "bare"}'
"""


def metadata(services: Services) -> Iterator[Result]:
    """Create, show and list images, eight clients at once; follow a list to its end."""
    glance = services.glance.url
    with services.region() as region:
        theirs, ours = requesting(services, glance), requesting(services, region.url)
        for (title, one), (_, other) in zip(theirs, ours, strict=True):
            rates: dict[str, list[float]] = {"glance, requests a second": [], "region": []}
            for _ in range(services.scale.runs):
                for rate, found in zip((one, other), rates.values(), strict=True):
                    found.append(rate())
            compared = ratio(rates["region"], rates["glance, requests a second"])
            name = f"{title}: requests a second against Glance"
            yield at_least(name, _FACTOR, compared, "x", rates)
    services.empty_glance()


def requesting(services: Services, url: str) -> Iterator[tuple[str, Callable[[], float]]]:
    """Give what is asked of a service, and how; each gives requests a second."""
    script = services.folder / "post.lua"
    script.write_text(_POST)
    make = partial(_wrk, services, url, "", script)
    yield "create", make
    shown = create(url, "shown")
    yield "show", partial(_wrk, services, url, f"/{shown}")
    _fill(url, services.scale.listed, make)
    yield f"list of {_PAGE}", partial(_wrk, services, url, f"?limit={_PAGE}")
    pages = services.scale.listed // _PAGE
    title = f"list through {services.scale.listed:,} images, {_PAGE} a page"
    yield title, partial(_follow, url, pages)


def _wrk(services: Services, url: str, path: str, script: Path | None = None) -> float:
    """Send the same request again and again for some seconds; give requests a second."""
    wrk = str(program("wrk", "wrk"))
    words = [wrk, "-t1", f"-c{_AT_ONCE}", f"-d{services.scale.seconds}s", "--timeout", "60s"]
    words += ["-s", str(script)] if script else []
    done = subprocess.run(
        [*words, f"{url}/v2/images{path}"], capture_output=True, text=True, check=True
    )
    if (found := _RATE.search(done.stdout)) is None or "Non-2xx" in done.stdout:
        raise RuntimeError(f"wrk: {url}{path}: {done.stdout}")
    return float(found[1])


def _fill(url: str, most: int, make: Callable[[], float]) -> None:
    """Make images until a list is so long."""
    while (there := sum(_pages(url, 1000))) < most:
        if not make():
            raise RuntimeError(f"{url}: {there} images, and no more can be made")


def _follow(url: str, pages: int) -> float:
    """Follow a list page by page; give requests a second."""
    taken = islice(_pages(url, _PAGE), pages)
    begun = time.perf_counter()
    count = sum(1 for page in taken if page == _PAGE)
    if count != pages:
        raise RuntimeError(f"{url}: only {count} whole pages of {pages}")
    return count / (time.perf_counter() - begun)


def _pages(url: str, limit: int) -> Iterator[int]:
    """Give how many images each page has, over one connection; nothing else is looked at."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc)
    path: str | None = f"/v2/images?limit={limit}"
    try:
        while path:
            connection.request("GET", path)
            page = json.loads(connection.getresponse().read())
            yield len(page["images"])
            path = page.get("next")
    finally:
        connection.close()
