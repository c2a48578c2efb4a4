"""Images made and moved by curl, as an Image service's plainest client."""

import json
import subprocess
from pathlib import Path
from typing import Final

_CURL: Final = ("curl", "-sSf")


def create(url: str, title: str, **attributes: str) -> str:
    """Register an image, a raw one unless told otherwise; give its id."""
    formats = {"disk_format": "raw", "container_format": "bare"}
    body = json.dumps({"name": title, "visibility": "private", **formats, **attributes})
    post = [*_CURL, "-X", "POST", "-H", "Content-Type: application/json", "-d", body]
    done = subprocess.run([*post, f"{url}/v2/images"], check=True, capture_output=True)
    return str(json.loads(done.stdout)["id"])


def upload(url: str, image: str, file: Path) -> None:
    """Give an image its data."""
    put = [*_CURL, "-T", str(file), "-H", "Content-Type: application/octet-stream"]
    subprocess.run([*put, f"{url}/v2/images/{image}/file"], check=True)


def uploaded(url: str, file: Path, title: str = "measured", **attributes: str) -> str:
    """Make an image of a file; give its id."""
    image = create(url, title, **attributes)
    upload(url, image, file)
    return image


def upload_at_once(url: str, files: dict[str, Path]) -> None:
    """Give images their data, all at the same time; files by the images' ids."""
    put = [*_CURL, "-H", "Content-Type: application/octet-stream", "-T"]
    _together([[*put, str(file), f"{url}/v2/images/{one}/file"] for one, file in files.items()])


def download(url: str, image: str, readers: int = 1) -> None:
    """Read all data of an image and throw it away, by so many readers at the same time."""
    get = [*_CURL, "-o", "/dev/null", f"{url}/v2/images/{image}/file"]
    _together([get] * readers)


def _together(commands: list[list[str]]) -> None:
    running = [subprocess.Popen(command) for command in commands]
    if failed := [one.returncode for one in running if one.wait()]:
        raise RuntimeError(f"curl ended with {failed[0]}")
