"""Memory stays flat, whatever the sizes and counts."""

import hashlib
import uuid
from pathlib import Path

from lab import images
from tests.support.cli import peak_memory
from tests.support.glance import Service
from tests.support.proxy import FILE, Fault, Proxy
from tests.support.services import Fresh

MIB = 2**20
GIB = 2**30
LIMIT = 150 * MIB

_ROWS = """
INSERT INTO images (id, name, size, status, visibility, disk_format, container_format, checksum,
                    os_hash_algo, os_hash_value, min_disk, min_ram, protected, os_hidden, deleted,
                    created_at, updated_at)
SELECT gen_random_uuid()::text, 'image ' || n, 0, 'active', 'private', 'raw', 'bare', '{md5}',
       'sha512', '{sha512}', 0, 0, false, false, false, now(), now()
FROM generate_series(1, {count}) n
"""


def make_sparse(source: Service, size: int) -> str:
    """Make an image of zeros that takes no room on the disk."""
    image = source.put("sparse", b"0")
    path: Path = source.server.store / image
    with path.open("wb") as file:
        file.truncate(size)
    md5, sha512 = hashlib.md5(usedforsecurity=False), hashlib.sha512()
    zeros = bytes(MIB)
    for _ in range(size // MIB):
        md5.update(zeros)
        sha512.update(zeros)
    source.sql(
        f"UPDATE images SET size = {size}, checksum = '{md5.hexdigest()}', "
        f"os_hash_value = '{sha512.hexdigest()}' WHERE id = '{image}'"
    )
    return image


def test_one_huge_image(source: Service, fresh: Fresh) -> None:
    target = fresh("thin", config={"files": {"filesystem_thin_provisioning": True}})
    size = 3 * GIB // 2
    image = make_sparse(source, size)
    done, peak = peak_memory("livecopy", source, target)
    assert done.code == 0, done.err
    assert target.show(image)["size"] == size
    assert peak < LIMIT


def test_three_thousand_images_to_plan(source: Service, target: Service) -> None:
    md5 = hashlib.md5(usedforsecurity=False).hexdigest()
    rows = _ROWS.format(md5=md5, sha512=hashlib.sha512().hexdigest(), count=3000)
    source.sql(rows)
    done, peak = peak_memory("livecopy", source, target, "--dry-run", "-f", "value", "-c", "ID")
    assert done.code == 0, done.err
    assert len({uuid.UUID(line) for line in done.out.splitlines()}) == 3000
    assert peak < LIMIT


def test_many_images_to_a_target_that_lags(source: Service, targets: list[Service]) -> None:
    data = images.random_bytes(8 * MIB, 6) * 5
    for n in range(12):
        source.put(f"image {n}", data)
    with Proxy(targets[0].url) as proxy:
        proxy.fault(Fault("PUT", FILE, rate=4 * MIB))
        done, peak = peak_memory("livecopy", source, proxy, targets[1])
    assert done.code == 0, done.err
    assert peak < 240 * MIB  # unbounded, the half of all that data would be held
