"""Show the main job: two regions, a real image, the comparison before and after."""

import contextlib
import json
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

from lab import images
from lab.errors import LabError
from lab.region import Region

_IMAGE = {
    "name": "grub-rescue",
    "disk_format": "iso",
    "container_format": "bare",
    "visibility": "public",
    "hw_cdrom_bus": "sata",
    "tags": ["rescue"],
}


def main() -> None:
    """Do it, and leave nothing running."""
    try:
        _show()
    except LabError as error:
        sys.exit(f"demo: {error}")


def _show() -> None:
    _say("Starting two regions: `meltemi serve`, each in a folder of its own")
    with (
        tempfile.TemporaryDirectory(prefix="meltemi-demo-") as folder,
        contextlib.ExitStack() as up,
    ):
        regions = [Region(Path(folder) / name, name=name) for name in ("athens", "crete")]
        for region in regions:
            up.enter_context(region)
        athens, crete = (region.url.removeprefix("http://") for region in regions)
        _say(f"Athens is {athens}, Crete is {crete}; uploading GRUB's rescue CD to Athens")
        _upload(regions[0].url, images.grub_iso())
        _meltemi("compare", athens, crete)
        _meltemi("livecopy", athens, crete)
        _meltemi("compare", athens, crete)


def _upload(url: str, file: Path) -> None:
    body = json.dumps(_IMAGE).encode()
    image = json.loads(_send("POST", f"{url}/v2/images", body, "application/json"))
    data, kind = file.read_bytes(), "application/octet-stream"
    _send("PUT", f"{url}/v2/images/{image['id']}/file", data, kind)


def _send(method: str, url: str, body: bytes, media_type: str) -> bytes:
    request = urllib.request.Request(  # noqa: S310 - a service of this script on loopback
        url, method=method, data=body, headers={"Content-Type": media_type}
    )
    with urllib.request.urlopen(request) as answer:  # noqa: S310
        return bytes(answer.read())


def _meltemi(*words: str) -> None:
    _say("$ meltemi " + " ".join(words))
    done = subprocess.run([sys.executable, "-m", "meltemi", *words], check=False)
    _say(f"exit code {done.returncode}")


def _say(text: str) -> None:
    print(f"\n{text}", flush=True)


if __name__ == "__main__":
    main()
