"""Images copied over the slow link: bytes, and the time that they take."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Final

from bench.curl import create, upload
from bench.exchange.delay import delayed
from bench.exchange.link import BANDWIDTH
from bench.exchange.services import AGAIN, GOLDEN, NEXT, SMALL_AGAIN, SNAPSHOT, Copied, Services
from bench.figures import MIB, Result, Table, at_least, at_most, ratio, seconds
from lab import images

_KIB: Final = 2**10
_UNKNOWN: Final = "an image of which nothing is known"
_ALL: Final = "all three, of which nothing is known"


def link(services: Services) -> Iterator[Result]:
    """Copy images to a region that has the golden one; the next build as a stream, too."""
    copied = {
        "an identical image": _runs(services, AGAIN),
        "an identical image of a small disk": _runs(services, SMALL_AGAIN),
        "the snapshot": _runs(services, SNAPSHOT),
        "the next build": _runs(services, NEXT),
        _UNKNOWN: _runs(services, GOLDEN, empty=True),
        _ALL: _runs(services, GOLDEN, SNAPSHOT, NEXT, empty=True),
        "the next build, to who trusts nobody": _runs(services, NEXT, trusting=False),
    }
    for name in ("an identical image", "an identical image of a small disk"):
        crossed = [one.traffic.bytes / _KIB for one in copied[name]]
        yield at_most(f"{name}: on the wire", 64, median(crossed), "KiB", {"KiB": crossed})
    for name, most in (("the snapshot", 62), ("the next build", 56)):
        crossed = [one.traffic.bytes / MIB for one in copied[name]]
        yield at_most(f"{name}: on the wire", most, median(crossed), "MiB", {"MiB": crossed})
    for name in ("the snapshot", "the next build", _UNKNOWN, _ALL):
        least = [one.traffic.there / BANDWIDTH for one in copied[name]]
        took = _seconds(copied[name])
        runs = {"bytes divided by bandwidth": least, "seconds": took}
        title = f"{name}: bytes divided by bandwidth, against the time"
        yield at_least(title, 0.95, ratio(least, took), "x", runs)
    yield from _streamed(services, _seconds(copied["the next build"]))
    yield _everything(copied)


def _runs(services: Services, *names: str, **how: bool) -> Sequence[Copied]:
    return [services.over_the_link(*names, **how) for _ in range(services.scale.runs)]


def _seconds(copied: Sequence[Copied]) -> list[float]:
    return [one.run.seconds for one in copied]


def _streamed(services: Services, ours: Sequence[float]) -> Iterator[Result]:
    """Upload the next build as it is, of which a part is enough, and compressed."""
    disk = services.disks[NEXT]
    part, compressed = services.folder / "part.raw", services.folder / "next.qcow2"
    with disk.open("rb") as whole, part.open("wb") as file:
        file.write(whole.read(services.scale.streamed))
    images.qemu_img("convert", "-c", "-f", "raw", "-O", "qcow2", disk, compressed)
    times = disk.stat().st_size / part.stat().st_size
    raw = [_upload(services, part, "raw") * times]
    title = "the next build: speed against an upload of the raw disk"
    yield at_least(title, 40, ratio(raw, ours), "x", {"raw": raw, "ours": ours})
    qcow2 = [_upload(services, compressed, "qcow2")]
    title = "the next build: speed against an upload as qcow2, compressed"
    yield at_least(title, 2.5, ratio(qcow2, ours), "x", {"qcow2": qcow2, "ours": ours})


def _upload(services: Services, file: Path, kind: str) -> float:
    with services.target(empty=True) as target, delayed(target.url) as url:
        image = create(url, "streamed", disk_format=kind)
        return seconds(lambda: upload(url, image, file))


def _everything(copied: dict[str, Sequence[Copied]]) -> Table:
    rows = []
    for name, runs in copied.items():
        told = [
            [one.run.seconds for one in runs],
            [one.traffic.there / MIB for one in runs],
            [one.traffic.back / MIB for one in runs],
            [one.run.cpu for one in runs],
            [one.cpu["source"] for one in runs],
            [one.cpu["target"] for one in runs],
        ]
        rows.append([name, *(f"{median(values):.2f}" for values in told)])
    columns = [
        *("copy of", "seconds", "MiB there", "MiB back"),
        *("CPU seconds of the replicator", "of the source", "of the target"),
    ]
    return Table("What copies over the link take", columns, rows, "Medians.")
