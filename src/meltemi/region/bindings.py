"""Bindings: what a region says, and signs, of data that it has hashed and inspected.

The name of a manifest's root stands for the bytes of the data. So where a region that is trusted
says which hashes belong to a root, and the same root was put together here, nothing has to be
read to know them (docs/exchange.md).
"""

import logging
from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

from pydantic import ValidationError

from meltemi.chunks.blob import ROOT, BlobId, parse_id
from meltemi.chunks.cut import Cut
from meltemi.documents.fields import Entry, Text
from meltemi.errors import UsageError
from meltemi.keys import SigningKey, verified
from meltemi.model.image import Hashes, Image
from meltemi.model.record import Content

_log: Final = logging.getLogger(__name__)

KIND: Final = "meltemi-binding"


class _Said(Entry):
    """What is signed, under the names that Glance has for it."""

    format: Literal[1] = 1
    manifest: Text
    cut: Text
    size: int
    checksum: Text
    os_hash_algo: Text
    os_hash_value: Text
    disk_format: Text
    container_format: Text
    virtual_size: int | None


class Vouched(NamedTuple):
    """What a region that is trusted says of data with a certain root; `text` is its signed word."""

    issuer: str
    root: BlobId
    hashes: Hashes
    virtual_size: int | None
    text: str


class Bindings:
    """Issues bindings, with a key, and says which ones count here.

    `trusted` gives the regions that are trusted, by their keys; `algorithm` is that by which this
    region hashes.
    """

    def __init__(self, key: SigningKey | None, trusted: Mapping[str, str], algorithm: str) -> None:
        self._key = key
        self._trusted = trusted
        self._algorithm = algorithm

    def issue(self, root: BlobId, image: Image, content: Content) -> str | None:
        """Give the binding of an image's data: this region's own, or the one that it rests on.

        None where there is none: what was neither computed nor inspected here is not vouched for.
        """
        hashes = content.hashes
        if content.binding is not None:
            return content.binding or None
        if self._key is None or None in (hashes.checksum, hashes.algorithm, hashes.value):
            return None
        said = _Said(
            manifest=root.hex(),
            cut=Cut.CONTENT.label,
            size=content.size,
            checksum=str(hashes.checksum),
            os_hash_algo=str(hashes.algorithm),
            os_hash_value=str(hashes.value),
            disk_format=str(image.disk_format),
            container_format=str(image.container_format),
            virtual_size=content.virtual_size,
        )
        return self._key.sign(KIND, said.model_dump_json().encode())

    def believed(self, text: str | None, image: Image, size: int) -> Vouched | None:
        """Read the binding that came along with an image's data, of `size` bytes.

        None where it does not count: where it is nobody's who is trusted, or of other data.
        """
        found = None if text is None else verified(text, KIND, self._trusted)
        if text is None or found is None:
            return None
        public, payload = found
        issuer = self._trusted[public]
        try:
            said = _Said.model_validate_json(payload)
            root = parse_id(said.manifest)
        except (ValidationError, UsageError) as error:
            _log.warning("a binding of %s is not understood: %s", issuer, error)
            return None
        told = (said.cut, said.size, said.disk_format, said.container_format, said.os_hash_algo)
        wanted = (size, image.disk_format, image.container_format, self._algorithm)
        if told != (Cut.CONTENT.label, *wanted) or root[0] != ROOT:
            return None
        hashes = Hashes(said.checksum, said.os_hash_algo, said.os_hash_value)
        return Vouched(issuer, root, hashes, said.virtual_size, text)
