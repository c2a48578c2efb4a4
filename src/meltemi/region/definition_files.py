"""Namespaces of metadata definitions in files, as Glance ships them: one a JSON file."""

import json
from collections import Counter
from pathlib import Path
from typing import Final

from meltemi.errors import RefusedError, UsageError
from meltemi.model.definitions import Described
from meltemi.region.api.metadefs.forms import described
from meltemi.region.api.metadefs.schemas import NAMESPACE
from meltemi.region.api.schemas import Checker

_CHECKER: Final = Checker(NAMESPACE)
_OWNER: Final = "admin"
"""Whose a namespace is where its file does not say, as in Glance."""


def read_definitions(path: Path) -> list[Described]:
    """Read a file, or every `*.json` of a folder; UsageError where one cannot be used."""
    files = sorted(path.glob("*.json")) if path.is_dir() else [path]
    if not files:
        raise UsageError(f"{path}: there is no *.json in this folder")
    return [_read(file) for file in files]


def _read(file: Path) -> Described:
    try:
        body = json.loads(file.read_bytes())
        if not isinstance(body, dict):
            raise UsageError(f"{file}: has to be a JSON object")
        found = described(_CHECKER.check(body), _OWNER)
    except OSError as error:
        raise UsageError(f"{file}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise UsageError(f"{file}: is not JSON: {error}") from error
    except RefusedError as error:
        raise UsageError(f"{file}: is no namespace of metadata definitions: {error}") from error
    counts = Counter((one.kind, one.name) for one in found.definitions)
    for (kind, name), count in counts.items():
        if count > 1:
            raise UsageError(f"{file}: defines the {kind.value} {name!r} {count} times")
    return found
