"""Tasks as the API shows them, and those of the old kind, which make their images themselves."""

import http.client
import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from lab import Region
from tests.support.glance import Json, Place, RefusedError, some_data
from tests.support.waiting import eventually
from tests.support.websites import Website

DATA = some_data(5, 2**20 + 7)
NONE = "0c0b1d8a-1b1e-4d5e-8d0c-0e6f2a3b4c5d"
RAW = {"disk_format": "raw", "container_format": "bare"}


@pytest.fixture(scope="module")
def site() -> Iterator[Website]:
    with Website() as made:
        made.put("/data", DATA)
        yield made


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, site: Website) -> Iterator[Place]:
    rules = {"allowed_hosts": ["127.0.0.1"], "allowed_ports": [site.port]}
    settings = {"web_download": rules, "page": 2}
    with Region(tmp_path_factory.mktemp("region"), settings=settings) as server:
        yield Place(server.url)


def create(place: Place, given: object, kind: str = "import") -> Json:
    task: Json = place.call("POST", "/v2/tasks", {"type": kind, "input": given})
    return task


def end_of(place: Place, task: Json) -> Json:
    """Wait for the end of a task, and give it."""

    def now() -> Json:
        shown: Json = place.call("GET", task["self"])
        return shown

    eventually(lambda: now()["status"] in ("success", "failure"))
    return now()


def pages(place: Place, path: str) -> list[str]:
    """Give the ids of all tasks from a page on."""
    found = []
    while path:
        page = place.call("GET", path)
        assert all(not one.keys() & {"input", "result", "message"} for one in page["tasks"])
        found += [one["id"] for one in page["tasks"]]
        path = page.get("next", "")
    return found


def test_a_task_makes_an_image(place: Place, site: Website) -> None:
    properties = {"name": "made", **RAW, "os_type": "linux", "tags": ["t"], "min_ram": 3}
    given = {
        "import_from": f"{site.url}/data",
        "import_from_format": "raw",
        "image_properties": properties,
    }
    task = create(place, given)
    begun = {key: task[key] for key in ("type", "status", "input", "result", "message", "owner")}
    assert begun == {
        "type": "import",
        "status": "pending",
        "input": given,
        "result": None,
        "message": "",
        "owner": None,
    }
    assert "expires_at" not in task
    ended = end_of(place, task)
    assert (ended["status"], ended["message"]) == ("success", "Copied 1 MiB")
    image = ended["result"]["image_id"]
    assert ended["image_id"] == image
    shown = place.show(image)
    assert {key: shown[key] for key in properties} == properties
    assert place.data(image) == DATA
    [raw] = place.call("GET", f"/v2/images/{image}/tasks")["tasks"]
    assert (raw["id"], raw["input"], raw["deleted"]) == (task["id"], given, False)
    assert raw["expires_at"] == ended["expires_at"].replace("Z", ".000000")
    place.delete(image)
    assert place.call("GET", task["self"])["id"] == task["id"]
    with pytest.raises(RefusedError, match="404"):
        place.call("GET", f"/v2/images/{image}/tasks")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "Input does not contain 'import_from_format' field"),
        ({"import_from_format": "raw"}, "Input does not contain 'image_properties' field"),
        ({"image_properties": {"name": 7}}, "Input does not contain 'import_from_format' field"),
        (
            {"import_from_format": "raw", "image_properties": {"name": 7}},
            "does not match schema 'image'",
        ),
        ({"import_from_format": "raw", "image_properties": {"name": "x"}}, "must be set prior"),
        ({"import_from_format": "raw", "image_properties": {}}, "does not match stream data raw"),
    ],
)
def test_tasks_that_fail(place: Place, site: Website, given: dict[str, Any], message: str) -> None:
    task = end_of(place, create(place, {"import_from": f"{site.url}/data", **given}))
    assert (task["status"], task["result"]) == ("failure", None)
    assert message in task["message"]
    assert task["expires_at"] > task["created_at"]


@pytest.mark.parametrize("kind", ["api_image_import", "location_import"])
def test_tasks_that_nobody_begins_by_hand(place: Place, kind: str) -> None:
    task = create(place, {"image_id": NONE}, kind)
    assert (end_of(place, task)["status"], task["image_id"]) == ("failure", NONE)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ([], "Task 'type' is required"),
        ({"input": {}}, "Task 'type' is required"),
        ({"type": "import"}, "Task 'input' is required"),
        ({"type": "x", "input": {}}, "does not match schema 'task'"),
        ({"type": "import", "input": 7}, "does not match schema 'task'"),
        ({"type": "import", "input": None}, "Invalid location: None"),
        ({"type": "import", "input": {"import_from": 7}}, "Invalid location: 7"),
        ({"type": "import", "input": {"import_from": "file:///x"}}, "File based imports"),
        ({"type": "import", "input": {"import_from": "ftp://x"}}, "The given uri is not valid"),
        ({"type": "import", "input": {"import_from": "http://[::1]/"}}, "not pass filtering"),
    ],
)
def test_tasks_that_are_refused(place: Place, body: object, words: str) -> None:
    before = pages(place, "/v2/tasks")
    with pytest.raises(RefusedError) as caught:
        place.call("POST", "/v2/tasks", body)
    assert caught.value.status == 400
    assert words in str(caught.value)
    assert pages(place, "/v2/tasks") == before


def test_pages_of_tasks(place: Place) -> None:
    made = [create(place, {"image_id": str(number)}, "location_import")["id"] for number in "1221"]
    assert pages(place, "/v2/tasks?limit=99")[:4] == made[::-1]
    assert pages(place, "/v2/tasks")[:4] == made[::-1]
    assert len(place.call("GET", "/v2/tasks")["tasks"]) == 2
    assert pages(place, "/v2/tasks?sort_dir=asc&limit=1")[-4:] == made
    assert pages(place, "/v2/tasks?image_id=2") == [made[2], made[1]]
    by_image = pages(place, "/v2/tasks?sort_key=image_id&sort_dir=asc&status=failure")
    kept = [one for one in by_image if one in made]
    assert kept == [made[0], made[3], made[1], made[2]]
    assert pages(place, "/v2/tasks?limit=0") == []
    assert place.call("GET", "/v2/tasks?limit=1&status=failure")["first"] == (
        "/v2/tasks?limit=1&status=failure"
    )


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("sort_key=input", "Sort key supplied was not valid."),
        ("sort_dir=up", "Invalid sort direction: up"),
        ("status=x", "Invalid status value: x"),
        ("type=location_import", "Invalid type value: location_import"),
        ("limit=x", "limit param must be an integer"),
        ("limit=-1", "limit param must be positive"),
        ("marker=x", "Invalid marker format"),
        (f"marker={NONE}", f"Task with the given id {NONE} was not found"),
    ],
)
def test_pages_that_are_refused(place: Place, query: str, words: str) -> None:
    with pytest.raises(RefusedError) as caught:
        place.call("GET", f"/v2/tasks?{query}")
    assert caught.value.status == 400
    assert words in str(caught.value)


def test_a_task_cannot_be_deleted(place: Place) -> None:
    task = create(place, {}, "location_import")
    with closing(http.client.HTTPConnection("127.0.0.1", place.port, timeout=60)) as line:
        line.request("DELETE", task["self"], headers={"Accept": "application/json"})
        answer = line.getresponse()
        assert (answer.status, answer.getheader("Allow")) == (405, "GET")
        assert json.loads(answer.read())["message"].endswith("based on their expires_at property.")
    assert place.call("GET", task["self"]) == task
    with pytest.raises(RefusedError, match=f"404(?s:.*)Could not find task {NONE}"):
        place.call("GET", f"/v2/tasks/{NONE}")
