"""What Meltemi is measured against: pipes of curl, the `openstack` client, plain listings."""

import asyncio
import json
import shlex
import subprocess
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import aiohttp
import yaml

from bench.curl import create
from lab import venvs


def curl_pipe(source: str, image_id: str, target: str) -> None:
    """Copy one image: POST, then GET into PUT; nothing is verified."""
    new = create(target, "piped")
    get = f"curl -sSf {shlex.quote(f'{source}/v2/images/{image_id}/file')}"
    # Without the empty Expect, curl waits a second for "100 Continue" that uWSGI never sends.
    headers = "-H 'Content-Type: application/octet-stream' -H Expect:"
    put = f"curl -sSf -T - {headers} {target}/v2/images/{new}/file"
    subprocess.run(["bash", "-o", "pipefail", "-c", f"{get} | {put}"], check=True)


def curl_pipes(source: str, target: str, *, at_once: int) -> float:
    """Copy every image of a service with pipes of curl; give the seconds."""
    begun = time.perf_counter()
    url = f"{source}/v2/images?limit=1000"
    listed = subprocess.run(["curl", "-sSf", url], check=True, capture_output=True).stdout
    ids = [image["id"] for image in json.loads(listed)["images"]]
    with ThreadPoolExecutor(at_once) as pool:
        list(pool.map(lambda image_id: curl_pipe(source, image_id, target), ids))
    return time.perf_counter() - begun


def openstack_copies(folder: Path, source: str, target: str, ids: Sequence[str]) -> float:
    """Copy a few images by `openstack image save` and `create`; give the seconds of one."""
    clouds = {
        name: {"auth_type": "none", "auth": {"endpoint": url}, "image_endpoint_override": url}
        for name, url in (("source", source), ("target", target))
    }
    config = folder / "clouds.yaml"
    config.write_text(yaml.safe_dump({"clouds": clouds}))
    client = str(venvs.environment("client") / "bin" / "openstack")
    env = {"OS_CLIENT_CONFIG_FILE": str(config), "PATH": "/usr/bin:/bin", "HOME": str(folder)}
    file = str(folder / "saved")
    begun = time.perf_counter()
    for image_id in ids:
        save = [client, "--os-cloud", "source", "image", "save", "--file", file, image_id]
        subprocess.run(save, check=True, capture_output=True, env=env)
        new = [client, "--os-cloud", "target", "image", "create", "--file", file, "copy"]
        subprocess.run(new, check=True, capture_output=True, env=env)
    return (time.perf_counter() - begun) / len(ids)


async def listings(urls: Sequence[str], page: int) -> float:
    """Read the listings of several services at once, parsed; give the seconds."""
    begun = time.perf_counter()
    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(_listing(session, url, page) for url in urls))
    return time.perf_counter() - begun


async def _listing(session: aiohttp.ClientSession, url: str, page: int) -> None:
    path: str | None = f"/v2/images?limit={page}&sort_key=id&sort_dir=asc"
    while path:
        async with session.get(url + path) as answer:
            path = json.loads(await answer.read()).get("next")
