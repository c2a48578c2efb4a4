"""Opening whatever an address names."""

from meltemi.errors import UsageError
from meltemi.libraries.base import Library
from meltemi.model.address import LibraryAddress


async def open_library(
    address: LibraryAddress,
    *,
    name: str | None = None,
    token: str | None = None,
    silence: float = 120.0,
    writable: bool = False,
    may_be_absent: bool = False,
) -> Library:
    """Open a library; `silence` is how many seconds a service may be silent.

    Where there is no archive yet, one that shall be written is made by its first image. One that
    `may_be_absent` counts as empty then, as a dry run wants it.

    A token goes with a URL only: a cloud has its own credentials, an archive needs none.
    """
    name = name or str(address)
    if address.path is not None:
        from meltemi.libraries import archive  # noqa: PLC0415 - only where needed

        if (writable or may_be_absent) and archive.is_absent(address.path):
            kind = archive.UnmadeArchive if writable else archive.AbsentArchive
            return kind(name, address.path)
        return archive.open_archive(address.path, name=name, writable=writable)
    from meltemi.libraries.glance import GlanceLibrary  # noqa: PLC0415
    from meltemi.libraries.glance.auth import endpoint_of_cloud, endpoint_of_url  # noqa: PLC0415
    from meltemi.libraries.glance.project import project_of  # noqa: PLC0415

    if address.url is not None:
        endpoint = endpoint_of_url(address, token, name)
    elif token:
        raise UsageError(f"{name}: a token goes with a URL; a cloud has its own credentials")
    else:
        endpoint = await endpoint_of_cloud(address, name, silence)
    library = await GlanceLibrary.open(endpoint, name, silence)
    try:
        if not endpoint.auth.knows_project:
            endpoint.auth.project = await project_of(endpoint, name, silence)
    except BaseException:
        await library.close()
        raise
    return library
