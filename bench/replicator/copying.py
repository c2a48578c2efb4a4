"""Images copied to one target: one large, many small, one huge."""

import subprocess
import sys
from collections.abc import Iterator

from bench.children import meltemi
from bench.figures import MIB, Figure, Result, at_least, for_reference, ratio, seconds
from bench.files import random_file
from bench.replicator import peers
from bench.replicator.scale import Scale
from bench.replicator.services import Services


def one_large(services: Services, scale: Scale) -> Iterator[Result]:
    """One large image to one target, verified, against a pipe."""
    source, target = services.url("source"), services.url("one")
    file = random_file(services.folder / "large", scale.large)
    image_id = services.upload("source", file, "large")
    file.unlink()
    pipe, ours = [], []
    for _ in range(scale.runs):
        services.wipe("one")
        pipe.append(seconds(lambda: peers.curl_pipe(source, image_id, target)))
        services.wipe("one")
        ours.append(meltemi("livecopy", source, target).seconds)
    name = f"one image of {scale.large // MIB} MiB: speed against the pipe"
    yield at_least(name, 0.95, ratio(pipe, ours), "x", {"pipe": pipe, "ours": ours})
    services.wipe("source", "one")


def many_small(services: Services, scale: Scale) -> Iterator[Result]:
    """Many small images, against pipes one after another and the openstack client."""
    source, target = services.url("source"), services.url("one")
    services.fill("source", scale.small, MIB)
    runs: dict[str, list[float]] = {"pipe": [], "8 pipes": [], "ours": []}
    for _ in range(scale.runs):
        services.wipe("one")
        runs["pipe"].append(peers.curl_pipes(source, target, at_once=1))
        services.wipe("one")
        runs["8 pipes"].append(peers.curl_pipes(source, target, at_once=8))
        services.wipe("one")
        runs["ours"].append(meltemi("livecopy", source, target).seconds)
    pipe, ours = runs["pipe"], runs["ours"]
    name = f"{scale.small} images of 1 MiB"
    yield at_least(f"{name}: against one pipe", 1.6, ratio(pipe, ours), "x", runs)
    several = runs["8 pipes"]
    compared = {"8 pipes": several}
    yield for_reference(f"{name}: against 8 pipes at once", ratio(several, ours), "x", compared)
    ids = [line.split()[0] for line in _ids(source)[:4]]
    client = [peers.openstack_copies(services.folder, source, target, ids) * scale.small]
    compared = {"save and create, from 4 images": client}
    yield at_least(f"{name}: against openstack", 50, ratio(client, ours), "x", compared)
    services.wipe("source", "one")
    services.fill("source", scale.small, MIB, visibility="public", os_distro="debian")
    public = []
    for _ in range(scale.long_runs):
        services.wipe("one")
        public.append(meltemi("livecopy", source, target).seconds)
    title = f"{name}, public, one property: against one pipe without"
    yield for_reference(title, ratio(pipe, public), "x", {"ours": public})
    services.wipe("source", "one")


def peak_memory(services: Services, scale: Scale) -> Iterator[Result]:
    """Peak memory of the command for one huge image."""
    source, target = services.url("source"), services.url("one")
    file = services.folder / "huge"
    with file.open("wb") as sparse:
        sparse.truncate(scale.huge)
    services.upload("source", file, "huge")
    peak = meltemi("livecopy", source, target).peak / MIB
    name = f"peak memory for an image of {scale.huge // MIB} MiB"
    yield Figure(name, "under 150 MiB", peak, "MiB", peak < 150, {"MiB": [peak]})
    services.wipe("source", "one")


def _ids(url: str) -> list[str]:
    words = ("compare", url, "./nothing", "-f", "value", "-c", "id")
    command = [sys.executable, "-m", "meltemi", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.splitlines()
