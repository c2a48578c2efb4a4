"""Which images at a target are ours: the one rule for what may be filled, changed and published.

Anybody may register an image under any id that is free, and write any properties on images of
their own. So an id says nothing, and a mark of origin only together with the owner.
"""

from meltemi.model.image import Image
from meltemi.model.provenance import Provenance, read_provenance


def own_mark(image: Image, *, owner: str | None, source_id: str) -> Provenance | None:
    """Read the mark that makes an image the replica of one source image.

    `owner` is the project that the route gives that replica to. None where another project owns
    the image, or where its mark is missing or names another source. Which library the mark names
    does not matter: one library may be reached by several addresses.
    """
    origin = read_provenance(image)
    if origin is None or image.owner != owner or origin.source_id != source_id:
        return None
    return origin
