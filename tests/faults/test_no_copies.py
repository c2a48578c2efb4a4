"""Images go from one place to another without being laid down anywhere in between."""

import subprocess
import sys
from pathlib import Path

from lab import images
from tests.support.cli import PROGRAM, environment
from tests.support.glance import Service
from tests.support.proxy import FILE, Fault, Proxy

MIB = 2**20
SIZE = 200 * MIB
NO_FILE_LONGER_THAN = 64 * 2**10
NO_MORE_MEMORY_THAN = 150 * MIB

_LIMITED = """
import resource, subprocess, sys
longest = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (longest, longest))
code = subprocess.call(sys.argv[2:])
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
print(usage.ru_maxrss * 1024, usage.ru_oublock * 512)
sys.exit(code)
"""


def limited(folder: Path, *words: object) -> tuple[int, int]:
    """Run the command to its success where no file can grow; give its memory and its writing.

    The kernel holds every file to the limit, one without a name as well.
    """
    places = {key: str(folder) for key in ("HOME", "TMPDIR", "TEMP", "XDG_CACHE_HOME")}
    done = subprocess.run(
        [sys.executable, "-c", _LIMITED, str(NO_FILE_LONGER_THAN), *PROGRAM, *map(str, words)],
        env=environment({**places, "PYTHONDONTWRITEBYTECODE": "1"}),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    memory, written = done.stdout.splitlines()[-1].split()
    return int(memory), int(written)


def test_no_temporary_copy_is_made(source: Service, targets: list[Service], tmp_path: Path) -> None:
    """Neither in a file nor in memory, with a target that lags among them."""
    one, two, _ = targets
    image = source.put("large", images.random_bytes(8 * MIB, 5) * (SIZE // (8 * MIB)))
    with Proxy(two.url) as proxy:
        proxy.fault(Fault("PUT", FILE, rate=60 * MIB))
        memory, written = limited(tmp_path, "livecopy", source, one, proxy)
    wanted = source.show(image)["os_hash_value"]
    assert [place.show(image)["os_hash_value"] for place in (one, two)] == [wanted, wanted]
    assert one.hash(image) == two.hash(image) == source.hash(image)
    assert memory < NO_MORE_MEMORY_THAN < SIZE
    assert written < MIB
    assert list(tmp_path.iterdir()) == []


def test_the_limit_would_be_noticed(tmp_path: Path) -> None:
    """An archive is a file that grows: this is what a copy on the way would come to."""
    (tmp_path / "big").write_bytes(bytes(2 * NO_FILE_LONGER_THAN))
    copy = ["cp", "big", "copy"]
    done = subprocess.run(
        [sys.executable, "-c", _LIMITED, str(NO_FILE_LONGER_THAN), *copy],
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    assert done.returncode != 0
