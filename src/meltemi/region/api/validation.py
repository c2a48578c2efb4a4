"""The hashes that data is said to have: the validation data of locations, read."""

from collections.abc import Mapping, Sequence
from hashlib import new
from typing import Any

from meltemi.errors import ConflictError, RefusedError
from meltemi.model.image import Hashes, Image


def expected_hashes(data: Mapping[str, str]) -> Hashes:
    """Read the validation data of a location that is added by itself; may be empty."""
    if "os_hash_value" not in data:
        return Hashes()
    algorithm, value = data["os_hash_algo"], data["os_hash_value"]
    digest = _hexadecimal(value)
    if digest is None:
        raise RefusedError(f"os_hash_value ({value}) is not a valid hexadecimal value")
    size = _size(algorithm)
    if len(digest) != size:
        raise RefusedError(
            f"os_hash_value: ({value}) is not the correct size for ({algorithm}) (should be "
            f"({size}) bytes)"
        )
    return Hashes(digest.hex()) if algorithm == "md5" else Hashes(None, algorithm, digest.hex())


def validation_data(locations: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Join the validation data of locations in a patch, which must not contradict each other."""
    data: dict[str, str] = {}
    for location in locations:
        for key, value in location.get("validation_data", {}).items():
            if data.setdefault(key, value) != value:
                raise ConflictError(f"Conflicting values for {key}")
    return data


def validated_hashes(image: Image, data: Mapping[str, str], algorithm: str) -> Hashes:
    """Read what `validation_data` gives, for an image; hashes are of an algorithm alone."""
    current = {
        "checksum": image.hashes.checksum,
        "os_hash_algo": image.hashes.algorithm,
        "os_hash_value": image.hashes.value,
    }
    fresh = {key: value for key, value in data.items() if value != current[key]}
    for key in fresh:
        if current[key]:
            raise ConflictError(f"{key} is already set with a different value")
    if not fresh:
        return Hashes()
    if image.status != "queued":
        raise ConflictError(
            f"New value(s) for {', '.join(fresh)} may only be provided when image status is "
            "'queued'"
        )
    checksum = _checksum(fresh["checksum"]) if "checksum" in fresh else None
    if fresh["os_hash_algo"] != algorithm:
        raise ConflictError(f"os_hash_algo must be {algorithm}, not {fresh['os_hash_algo']}")
    value = fresh["os_hash_value"]
    digest = _hexadecimal(value)
    if digest is None:
        raise ConflictError(f"os_hash_value ({value}) is not a valid hexadecimal value")
    if len(digest) != _size(algorithm):
        raise ConflictError(
            f"os_hash_value ({value}) is not the correct size for {algorithm} (should be "
            f"{_size(algorithm)} bytes)"
        )
    return Hashes(checksum, algorithm, digest.hex())


def _checksum(value: str) -> str:
    digest = _hexadecimal(value)
    if digest is None:
        raise ConflictError(f"checksum ({value}) is not a valid hexadecimal value")
    if len(digest) != _size("md5"):
        raise ConflictError(
            f"checksum ({value}) is not the correct size for md5 (should be {_size('md5')} bytes)"
        )
    return digest.hex()


def _size(algorithm: str) -> int:
    return new(algorithm, usedforsecurity=False).digest_size


def _hexadecimal(text: str) -> bytes | None:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return None
