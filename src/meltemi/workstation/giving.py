"""A file as what gives an image by pieces."""

from collections.abc import Sequence
from typing import Final

from meltemi.chunks.blob import BlobId
from meltemi.chunks.exchange.batch import encode_batch
from meltemi.chunks.exchange.gathering import Span
from meltemi.chunks.exchange.remote import Holder, Sought, Spend, Top
from meltemi.chunks.exchange.terms import REGION, Terms, own_terms
from meltemi.errors import ImageError
from meltemi.libraries.base import Library
from meltemi.libraries.exchanging import Exchange, Exchanging
from meltemi.threads import in_thread
from meltemi.workstation.cutting import Manifest
from meltemi.workstation.files import LocalFile

_OURS: Final = own_terms(dedup_scope=REGION, algorithm=None)


async def exchange_of(library: Library) -> tuple[Exchange, Terms] | str:
    """Give how to exchange with a library, and by which terms; or say why it cannot be done."""
    terms = await library.exchange.terms() if isinstance(library, Exchanging) else None
    if terms is None or not isinstance(library, Exchanging):
        return f"{library.name} does not exchange pieces"
    return _OURS.mismatch(terms) or (library.exchange, terms.within(_OURS))


class FileGiver:
    """Gives a file that was cut; see `Giver` for what each method keeps.

    What it gives was the file's when it was read for it; `is_changed` tells whether that was cut.
    """

    def __init__(self, file: LocalFile, manifest: Manifest) -> None:
        self._file = file
        self._manifest = manifest

    async def root(self, _: Holder, unless: BlobId | None = None) -> Top | None:
        """Give the root of the manifest."""
        if self._manifest.name == unless:
            return None
        return Top(self._manifest.name, self._manifest.root)

    async def segments(self, _: Holder, sought: Sequence[Sought]) -> Sequence[bytes]:
        """Give segments."""
        return [self._manifest.segments[one.name] for one in sought]

    async def batch(self, _: str, spans: Sequence[Span], spend: Spend) -> bytes:
        """Read pieces; raise ImageError where the file was written to since it was opened."""
        batch = await in_thread(self._batch, spans)
        await spend(len(batch))
        return batch

    def _batch(self, spans: Sequence[Span]) -> bytes:
        pieces = [self._file.read(*span) for span in spans]
        if self._file.is_changed:
            raise ImageError(f"{self._file.label}: it was written to")
        return encode_batch(pieces)
