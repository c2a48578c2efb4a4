"""A Glance service as a library.

The API: https://docs.openstack.org/api-ref/image/v2/.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Any, Final

from meltemi.errors import (
    AuthenticationError,
    ConflictError,
    ForbiddenError,
    ImageError,
    InterruptedTransfer,
    NotALibraryError,
    UnreachableError,
    VanishedError,
)
from meltemi.libraries.base import Changes
from meltemi.libraries.finding import Sought
from meltemi.libraries.glance.answers import start_of
from meltemi.libraries.glance.auth import Endpoint
from meltemi.libraries.glance.exchange import GlanceExchange
from meltemi.libraries.glance.http import GlanceHttp, image_path
from meltemi.libraries.glance.listing import find_images, list_images
from meltemi.libraries.glance.outgoing import Outgoing, watched
from meltemi.model.image import Image, Member, Value
from meltemi.model.wire import image_from_wire, members_from_wire

_PATCH_TYPE: Final = "application/openstack-images-v2.1-json-patch"
_BASE: Final = frozenset(
    {
        *("name", "visibility", "owner", "protected", "os_hidden", "min_disk", "min_ram", "tags"),
        *("disk_format", "container_format"),
    }
)
_STATUS_ACTIONS: Final = {"active": "reactivate", "deactivated": "deactivate"}


class GlanceLibrary:
    """One Image service, reached over HTTP; see `Library` for what each method keeps."""

    keeps_owners = False

    def __init__(self, http: GlanceHttp, name: str, identity: str, silence: float) -> None:
        self._http = http
        self._silence = silence
        self.exchange = GlanceExchange(http, silence)
        self.name = name
        self.identity = identity

    @classmethod
    async def open(cls, endpoint: Endpoint, name: str, silence: float) -> "GlanceLibrary":
        """Connect, and see that it is an Image service that speaks v2."""
        http = GlanceHttp(endpoint, name, silence)
        try:
            await _check_version(http, name, endpoint.url)
        except BaseException:
            await http.close()
            raise
        return cls(http, name, endpoint.url, silence)

    @property
    def project(self) -> str | None:
        """Give the project of the token; None without an identity service."""
        return self._http.auth_project

    async def close(self) -> None:
        """Close every connection."""
        await self._http.close()

    def list_images(self) -> AsyncIterator[list[Image]]:
        """Give every visible image once, in pages ascending by id."""
        return list_images(self._http)

    async def find(self, sought: Sought) -> list[Image]:
        """Give at least those visible images that fit."""
        return await find_images(self._http, sought)

    async def show(self, image_id: str) -> Image:
        """Give one image."""
        about = f"image {image_id}"
        return self._image(await self._http.request("GET", image_path(image_id), about), about)

    async def list_members(self, image_id: str) -> tuple[Member, ...]:
        """Give the projects that a shared image is offered to."""
        path, about = image_path(image_id, "members"), f"members of image {image_id}"
        body = await self._http.request("GET", path, about)
        with self._http.understanding(about):
            return members_from_wire(body["members"])

    async def read(self, image_id: str, offset: int = 0) -> AsyncIterator[bytes]:
        """Give the image's data from `offset` on, in pieces as they arrive."""
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        about = f"data of image {image_id}"
        async with self._http.stream(image_path(image_id, "file"), about, headers) as response:
            surplus = offset - start_of(response, offset)
            if surplus < 0:
                raise InterruptedTransfer(
                    f"{self.name}: {about}: it begins at byte {offset - surplus} "
                    f"where {offset} was asked for"
                )
            content = response.content
            # Its iterators join what has come, a copy of all data, or never end where nothing does.
            while not content.at_eof():
                piece, _ = await content.readchunk()
                if surplus >= len(piece):
                    surplus -= len(piece)
                    continue
                yield piece[surplus:] if surplus else piece
                surplus = 0

    async def create(self, image: Image) -> Image:
        """Register an image without data."""
        body: dict[str, Any] = {
            **image.properties,
            "name": image.name,
            "visibility": image.visibility,
            "min_disk": image.min_disk,
            "min_ram": image.min_ram,
            "protected": image.protected,
            "tags": sorted(image.tags),
        }
        optional = {
            "id": image.id,
            "owner": None if image.owner == self.project else image.owner,
            "disk_format": image.disk_format,
            "container_format": image.container_format,
            "os_hidden": image.os_hidden,  # unknown to services before Rocky
        }
        body |= {key: value for key, value in optional.items() if value}
        about = f"creating image {image.label}"
        answer = await self._http.request("POST", "/v2/images", about, repeatable=False, body=body)
        created = self._image(answer, about)
        if created.owner and image.owner is self.project is None:
            # Without its project, the next run would not find again what this one brings.
            raise AuthenticationError(
                f"{self.name}: it gives images to project {created.owner}, which these credentials "
                "do not tell; name an entry of clouds.yaml with a project",
                library=self.name,
            )
        return created

    async def upload(self, image_id: str, size: int, data: AsyncIterator[bytes]) -> None:
        """Send the image's data with its length, watching that the service keeps taking it."""
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
        about = f"sending image {image_id}"
        source = Outgoing(data, size, f"{self.name}: {about}")
        if not size:  # such a body is complete with its headers
            async for _ in source:
                pass
        sending = self._http.send(image_path(image_id, "file"), about, headers, source)
        about = f"{self.name}: {about}"
        await watched(sending, source, silence=self._silence, about=about, library=self.name)

    async def update(self, image_id: str, changes: Changes) -> Image:
        """Set and remove attributes by JSON patch, and (de)activate by their own calls.

        What is no longer to be used is deactivated first. What is to be used again is reactivated
        only once all else but its properties is as wanted: nobody may see it in between that is
        not meant to, and a mark of origin does not tell of more than has happened.
        """
        status = changes.set.get("status")
        others = {key: value for key, value in changes.set.items() if key != "status"}
        if status is None:
            return await self._patch(image_id, others, changes.remove)
        if status == "active":
            base = {key: value for key, value in others.items() if key in _BASE}
            others = {key: value for key, value in others.items() if key not in _BASE}
            if base:
                await self._patch(image_id, base)
        path = image_path(image_id, "actions", _STATUS_ACTIONS[str(status)])
        await self._http.request("POST", path, f"updating image {image_id}")
        return await self._patch(image_id, others, changes.remove)

    async def _patch(
        self, image_id: str, values: Mapping[str, Value], remove: frozenset[str] = frozenset()
    ) -> Image:
        about = f"updating image {image_id}"
        patch: list[dict[str, Value | list[str]]] = [
            {
                "op": "replace" if key in _BASE else "add",
                "path": _pointer(key),
                "value": sorted(value) if isinstance(value, frozenset) else value,
            }
            for key, value in values.items()
        ]
        patch += [{"op": "remove", "path": _pointer(key)} for key in sorted(remove)]
        if not patch:
            return await self.show(image_id)
        updated = await self._http.request(
            "PATCH",
            image_path(image_id),
            about,
            repeatable=not remove,
            body=patch,
            media_type=_PATCH_TYPE,
        )
        return self._image(updated, about)

    async def add_member(self, image_id: str, member: Member) -> None:
        """Offer the image to a project; a status other than pending needs an administrator."""
        about = f"sharing image {image_id} with {member.id}"
        with suppress(ConflictError):  # a member already
            await self._http.request(
                "POST", image_path(image_id, "members"), about, body={"member": member.id}
            )
        if member.status != "pending":
            path = image_path(image_id, "members", member.id)
            with suppress(ForbiddenError):  # the project itself may still accept
                await self._http.request("PUT", path, about, body={"status": member.status})

    async def remove_member(self, image_id: str, project: str) -> None:
        """Withdraw the offer."""
        about = f"no longer sharing image {image_id} with {project}"
        with suppress(VanishedError):
            await self._http.request("DELETE", image_path(image_id, "members", project), about)

    async def delete(self, image_id: str) -> None:
        """Delete the image for good."""
        about = f"deleting image {image_id}"
        await self._http.request("DELETE", image_path(image_id), about, repeatable=False)

    def _image(self, body: Any, about: str) -> Image:
        with self._http.understanding(about):
            return image_from_wire(body)


async def _check_version(http: GlanceHttp, name: str, url: str) -> None:
    try:
        document = await http.request("GET", "/", "versions", accept=(200, 300))
        versions = [str(version["id"]) for version in document["versions"]]
    except InterruptedTransfer as error:
        raise UnreachableError(str(error), library=name) from error
    except (KeyError, TypeError, ImageError) as error:
        raise NotALibraryError(
            f"{name}: {url} answers, but not as an OpenStack Image service does", library=name
        ) from error
    if not any(version.startswith("v2") for version in versions):
        raise NotALibraryError(
            f"{name}: {url} speaks no Image API v2, "
            f"only {', '.join(sorted(versions)) or 'nothing'}",
            library=name,
        )


def _pointer(key: str) -> str:
    """Write an attribute as a JSON pointer (RFC 6901)."""
    return "/" + key.replace("~", "~0").replace("/", "~1")
