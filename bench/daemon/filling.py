"""Many replicas without copying them: rows made of those of one that was copied."""

import json
import uuid
from collections.abc import Sequence

import psycopg

from bench.children import meltemi
from bench.replicator.services import Services
from meltemi.model.provenance import short

_NEW = "CREATE TEMPORARY TABLE new (id text, name text, written text) ON COMMIT DROP"
_IMAGES = """
INSERT INTO images SELECT (jsonb_populate_record(old, to_jsonb(new) - 'written')).*
FROM images old, new WHERE old.id = %s
"""
_PROPERTIES = """
INSERT INTO image_properties (image_id, name, value, created_at, deleted)
SELECT new.id, old.name, CASE old.name
    WHEN 'meltemi_source' THEN replace(old.value, old.image_id, new.id)
    WHEN 'meltemi_written' THEN new.written ELSE old.value END, old.created_at, old.deleted
FROM image_properties old, new WHERE old.image_id = %s
"""


def fill_with_replicas(services: Services, source: str, targets: Sequence[str], count: int) -> None:
    """Give the source so many images, and every target a replica of each, as if copied.

    One image is copied; the rows of the others are made of its own, in the services' databases.
    """
    services.fill(source, 1, 16, hw_disk_bus="virtio", os_distro="debian")
    meltemi("livecopy", services.url(source), *(services.url(name) for name in targets))
    names = {str(uuid.uuid4()): f"image {number}" for number in range(count - 1)}
    for library in (source, *targets):
        with psycopg.connect(services.database(library)) as connection:
            _multiply(connection, names)


def _multiply(connection: psycopg.Connection, names: dict[str, str]) -> None:
    one = connection.execute("SELECT id FROM images").fetchone()
    found = connection.execute("SELECT value FROM image_properties WHERE name = 'meltemi_written'")
    mark = found.fetchone()
    assert one is not None
    connection.execute(_NEW)
    with connection.cursor().copy("COPY new FROM STDIN") as copy:
        for image, name in names.items():
            copy.write_row((image, name, _written(mark[0], image, name) if mark else None))
    connection.execute(_IMAGES, one)
    connection.execute(_PROPERTIES, one)


def _written(mark: str, image: str, name: str) -> str:
    """Give the mark of what was written for another image."""
    body = json.loads(mark)
    attributes = {**body["attributes"], "name": short(name)}
    return json.dumps({**body, "id": short(image), "attributes": attributes}, separators=(",", ":"))
