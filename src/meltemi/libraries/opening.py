"""Opening whatever an address names."""

import asyncio

from meltemi.errors import UsageError
from meltemi.libraries.base import Library
from meltemi.model.address import LibraryAddress
from meltemi.model.credential import Credential


async def open_library(
    address: LibraryAddress,
    *,
    name: str | None = None,
    token: str | None = None,
    silence: float = 120.0,
    writable: bool = False,
    may_be_absent: bool = False,
    dedup: bool = False,
    index: str | None = None,
    credential: Credential | None = None,
) -> Library:
    """Open a library; `silence` is how many seconds a service may be silent.

    Where there is no archive yet, one that shall be written is made by its first image. One that
    `may_be_absent` counts as empty then, as a dry run wants it. With `dedup`, the archive that is
    made stores every distinct piece of data once; `index` is the database of one in a bucket.

    A token goes with a URL only: a cloud has its own credentials, an archive needs none. With a
    `credential`, that is used in place of the cloud's own.
    """
    name = name or str(address)
    place = address.path or address.bucket
    if place is not None:
        from meltemi.libraries import archive  # noqa: PLC0415 - only where needed

        return await asyncio.to_thread(
            archive.open_any,
            place,
            name=name,
            writable=writable,
            may_be_absent=may_be_absent,
            dedup=dedup,
            index=index,
        )
    from meltemi.libraries.glance import GlanceLibrary  # noqa: PLC0415
    from meltemi.libraries.glance.auth import endpoint_of_cloud, endpoint_of_url  # noqa: PLC0415
    from meltemi.libraries.glance.project import project_of  # noqa: PLC0415

    if address.url is not None:
        endpoint = endpoint_of_url(address, token, name)
    elif token:
        raise UsageError(f"{name}: a token goes with a URL; a cloud has its own credentials")
    else:
        endpoint = await endpoint_of_cloud(address, name, silence, credential)
    library = await GlanceLibrary.open(endpoint, name, silence)
    try:
        if not endpoint.auth.knows_project:
            endpoint.auth.project = await project_of(endpoint, name, silence)
    except BaseException:
        await library.close()
        raise
    return library
