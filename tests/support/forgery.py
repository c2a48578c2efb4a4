"""Marks of origin as good as anybody can write them who may not write to the right project."""

import json
from typing import Any

from meltemi.model.provenance import short
from tests.support.glance import Service


def marks(source: Service, image: str, forged: str, *, of: str = "") -> dict[str, Any]:
    """Give properties that make the image `forged` say it is the replica of `image`.

    With `of` it names that id, yet still the hash of `image`.
    """
    written = {"id": short(forged), "attributes": {}, "tags": []}
    return {
        "meltemi_source": f"{source.url}/{of or image}",
        "meltemi_source_hash": f"sha512:{source.show(image)['os_hash_value']}",
        "meltemi_replicated_at": "2024-01-01T00:00:00Z",
        "meltemi_written": json.dumps(written),
    }
