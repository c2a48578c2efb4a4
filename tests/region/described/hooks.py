"""What schemathesis has to be told of the Image API, and what is there for its requests.

What is made up leads nowhere. So every second request about one thing is about one that is there,
in the state in which what is asked can be done.
"""

import itertools
from collections import Counter
from typing import Any, Final

import schemathesis

from meltemi.region.api.patch import MEDIA_TYPES
from tests.support.exchanging import BATCH, DELTA, Exchange
from tests.support.glance import Place

_STATES: Final = {
    **dict.fromkeys(("downloadData", "cloneImage", "deactivateImage", "listLocations"), "active"),
    **dict.fromkeys(("readManifest", "readSegments", "readBatch", "sizeBatch"), "active"),
    **dict.fromkeys(("cacheImage", "queueImage", "deleteFromStore"), "active"),
    "importImage": "uploading",
    "reactivateImage": "deactivated",
}
"""Of images, by what is done to them, where that is not `queued`."""

_OF_AN_IMAGE: Final = {"member_id": "member", "tag": "tag", "store": "chunks"}
_TASK: Final = {"type": "api_image_import", "input": {}}  # which fails at once
_numbers: Final = itertools.count()
_asked: Final = Counter[str]()

schemathesis.serializer.alias([*MEDIA_TYPES], "application/json")
schemathesis.serializer.alias([BATCH, DELTA], "application/octet-stream")


@schemathesis.deserializer("application/octet-stream", BATCH)
def text_of(_: schemathesis.DeserializationContext, response: schemathesis.Response) -> str:
    """Take data as a text, of which JSON Schema can say something."""
    return response.content.decode("latin-1")


@schemathesis.hook
def before_call(
    _: schemathesis.HookContext, case: schemathesis.Case[Any], __: dict[str, Any]
) -> None:
    """Put what is there in the place of every second thing that is made up."""
    made_up, name = case.path_parameters, case.operation.definition.raw.get("operationId", "")
    _asked[name] += 1
    if _asked[name] % 2 == 0:
        return
    place = Place(str(case.operation.base_url))
    there: dict[str, str] = {}
    if name == "addLocation":
        place.put("data", b"data")  # of which the example is
    if "image_id" in made_up:
        there = {**_OF_AN_IMAGE, "image_id": _image(place, _STATES.get(name, "queued"))}
        if "member_id" in made_up:
            place.share(there["image_id"], there["member_id"])
        if name in ("readPartManifest", "readPartSegments"):
            Exchange(place).put_part(there["image_id"], 0, [b"data"])
            there["number"] = "0"
    elif "task" in made_up:
        there = {"task": place.call("POST", "/v2/tasks", _TASK)["id"]}
    elif "namespace" in made_up:
        there = dict.fromkeys(made_up, _namespace(place))
    made_up.update({key: value for key, value in there.items() if key in made_up})


@schemathesis.check
def has_an_id(
    _: schemathesis.CheckContext, response: schemathesis.Response, case: schemathesis.Case[Any]
) -> None:
    """See that every answer has the id of its request."""
    if case.operation.path.startswith("/v2/"):
        assert "x-openstack-request-id" in response.headers


def _image(place: Place, state: str) -> str:
    """Make an image in a state."""
    data = b"data" if state in ("active", "deactivated") else None
    image = place.put(state, data, tags=["tag"], visibility="shared")
    if state == "deactivated":
        place.act(image, "deactivate")
    if state == "uploading":
        place.request("PUT", f"/v2/images/{image}/stage", b"data", "application/octet-stream")
    return image


def _namespace(place: Place) -> str:
    """Make a namespace that defines one thing of each kind, all of its own name."""
    name = f"namespace{next(_numbers)}"
    about = {"title": name, "type": "string"}
    one = {"name": name}
    place.call(
        "POST",
        "/v2/metadefs/namespaces",
        {
            "namespace": name,
            "objects": [one],
            "properties": {name: about},
            "tags": [one],
            "resource_type_associations": [one],
        },
    )
    return name
