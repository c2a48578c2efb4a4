"""An image of which nothing is known, on loopback: by pieces, and as the plain stream."""

from collections.abc import Iterator

from bench.curl import uploaded
from bench.exchange.services import GOLDEN, Services, copy
from bench.figures import GIB, Result, at_least, for_reference, ratio, seconds
from bench.replicator.peers import curl_pipe


def loopback(services: Services) -> Iterator[Result]:
    """Copy the golden image to regions that have nothing, from one that exchanges and one not."""
    disk = services.disks[GOLDEN]
    runs: dict[str, list[float]] = {"pieces": [], "stream": [], "pipe": []}
    # What projects do not share is not exchanged.
    with services.near() as source, services.near(dedup_scope="project") as plain:
        image = uploaded(source.url, disk, GOLDEN)
        uploaded(plain.url, disk, GOLDEN)
        for _ in range(services.scale.runs):
            for name, origin in (("pieces", source), ("stream", plain)):
                with services.near() as target:
                    runs[name].append(copy(origin.url, target.url, GOLDEN).seconds)
            with services.near() as target:
                url = target.url
                runs["pipe"].append(seconds(lambda: curl_pipe(source.url, image, url)))  # noqa: B023
    title = f"an image of which nothing is known ({disk.stat().st_size / GIB:g} GiB)"
    compared = ratio(runs["stream"], runs["pieces"])
    yield at_least(f"{title}: speed against the stream", 1, compared, "x", runs)
    pipe = ratio(runs["pipe"], runs["pieces"])
    yield for_reference(f"{title}: speed against curl's GET into PUT", pipe, "x", {})
