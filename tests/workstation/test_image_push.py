"""`meltemi image push`, against a real region: exact, cheap, and never false."""

import hashlib
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.builds import BUILD, GOLDEN, KIB, MIB
from tests.support.cli import meltemi
from tests.support.glance import Place
from tests.support.proxy import FILE, Fault
from tests.support.waiting import eventually
from tests.workstation.conftest import Workstation

PART = r"/parts/\d+$"
REGISTERING = "POST", "/v2/images$"
"""What is asked for once a file has been cut, and before anything of it is sent."""


def told(data: bytes) -> str:
    return f"sha512:{hashlib.sha512(data).hexdigest()}"


def test_a_file_becomes_an_image(station: Workstation) -> None:
    station.file("golden.raw", GOLDEN)
    words = ("--property", "os_distro=any", "--property", "note=a=b", "--tag", "t", "--tag", "u")
    row = station.push("golden.raw", "--name", "golden 1", "--visibility", "shared", *words)
    assert row["Bytes"] == len(GOLDEN)
    assert row["Hash"] == told(GOLDEN)
    assert row["Wire"] <= station.moved() < 9 * MIB
    image = station.place.show(row["ID"])
    assert (image["name"], image["visibility"]) == ("golden 1", "shared")
    assert (image["disk_format"], image["container_format"]) == ("raw", "bare")
    assert (image["os_distro"], image["note"], sorted(image["tags"])) == ("any", "a=b", ["t", "u"])
    assert "base_image_ref" not in image
    assert not station.proxy.of("PUT", FILE)[0].sent > 64 * KIB


def test_the_next_build_costs_what_is_new(station: Workstation) -> None:
    station.file("golden.raw", GOLDEN)
    station.file("build.raw", BUILD)
    station.push("golden.raw", "--name", "golden 1")
    station.fault()
    row = station.push("build.raw", "--name", "golden 2")
    assert row["Wire"] < 1200 * KIB
    assert station.moved() < row["Wire"] + 16 * KIB


def test_the_same_data_costs_next_to_nothing(station: Workstation) -> None:
    station.file("golden.raw", GOLDEN)
    first = station.push("golden.raw", "--name", "golden 1")
    station.fault()
    second = station.push("golden.raw", "--name", "another")
    assert second["ID"] != first["ID"]
    assert station.moved() < 16 * KIB


def test_bases_are_compared_with_and_the_first_is_the_parent(station: Workstation) -> None:
    place = station.place
    golden, other = place.put("one name", GOLDEN), place.put("unlike it", b"other")
    station.file("build.raw", BUILD)
    row = station.push("build.raw", "--name", "x", "--base", golden, "--base", other)
    assert row["Wire"] < 1200 * KIB
    assert place.show(row["ID"])["base_image_ref"] == golden


@pytest.mark.parametrize("data", [b"", b"x", bytes(3 * MIB)], ids=["empty", "tiny", "zeros"])
def test_data_of_any_kind(station: Workstation, data: bytes) -> None:
    station.file("data", data)
    assert station.push("data", "--name", "any")["Wire"] < 1024


def test_holes_are_not_sent(station: Workstation) -> None:
    with station.file("sparse", b"begin").open("r+b") as file:
        file.truncate(100 * MIB)
        file.seek(60 * MIB + 5)
        file.write(b"middle")
    assert station.push("sparse", "--name", "sparse")["Wire"] < 1024


def test_an_id_that_is_asked_for(station: Workstation) -> None:
    station.file("data", b"data")
    wanted = "0c6f0f08-7ed5-4e2d-9d59-6ee2ac6d8d5a"
    words = ("push", "data", "--name", "mine", "--id", wanted, "-f", "value", "-c", "id")
    if not station.place.has(wanted):
        assert station.image(*words).out == f"{wanted}\n"
    again = station.image(*words, code=3)
    assert wanted in again.about("409")


# Interrupted


def parts(place: Place, image: str) -> int:
    return len(place.call("GET", f"/v2/images/{image}/parts")["parts"])


def interrupted(station: Workstation, number: int, *words: object) -> str:
    """Begin a push, end it by a signal once two parts have come; give the image's id."""
    station.fault(Fault("PUT", PART, times=2), Fault("PUT", PART, cut_body=1000, hang=True))
    with station.running("push", "golden.raw", "--name", "golden 1", *words) as push:
        station.proxy.wait_for("PUT", PART, hanging=True)
        [image] = station.place.statuses()
        eventually(lambda: parts(station.place, image) == 2)
        push.send(number)
        done = push.wait()
    if number == signal.SIGINT:
        assert done.code == 130
        done.about("meltemi: interrupted", "the next run does the rest")
    assert station.place.show(image)["status"] != "active"
    return image


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=["killed", "ctrl-c"])
def test_the_same_command_goes_on(station: Workstation, number: int) -> None:
    station.file("golden.raw", GOLDEN)
    image = interrupted(station, number)
    station.fault()
    row = station.push("golden.raw", "--name", "golden 1", "--tag", "new")
    assert row["ID"] == image
    assert station.place.show(image)["tags"] == ["new"]
    sent = station.moved("PUT", PART)
    station.place.delete(image)
    station.fault()
    station.push("golden.raw", "--name", "golden 1")
    assert sent < station.moved("PUT", PART) * 9 // 10


def test_other_data_does_not_take_its_place(station: Workstation) -> None:
    station.file("golden.raw", GOLDEN)
    image = interrupted(station, signal.SIGKILL)
    station.file("golden.raw", BUILD)
    station.fault()
    assert station.push("golden.raw", "--name", "golden 1")["ID"] != image


def test_other_data_does_under_the_same_id(station: Workstation) -> None:
    station.file("golden.raw", GOLDEN)
    words = ("--id", "9d8e9f7a-54f5-4ab3-9a2e-8a8bb4c81c00")
    image = interrupted(station, signal.SIGKILL, *words)
    assert image == words[1]
    station.file("golden.raw", BUILD)
    station.fault()
    assert station.push("golden.raw", "--name", "golden 1", *words)["ID"] == image


def test_what_is_active_but_for_its_mark_is_finished(station: Workstation) -> None:
    station.file("golden.raw", GOLDEN)
    image = station.place.put("golden 1", GOLDEN, meltemi_push=told(GOLDEN))
    assert station.push("golden.raw", "--name", "golden 1")["ID"] == image
    assert not station.proxy.of("PUT", "")


def test_a_network_that_cuts_every_connection(station: Workstation) -> None:
    station.file("golden.raw", GOLDEN)
    station.fault(Fault("PUT", PART, cut_body=300 * KIB))
    station.push("golden.raw", "--name", "golden 1")


def test_a_base_that_is_deleted_meanwhile(station: Workstation) -> None:
    golden = station.place.put("golden 1", GOLDEN)
    station.file("build.raw", BUILD)
    delete = Fault("PUT", FILE, times=1, before=lambda: station.place.delete(golden))
    station.fault(delete)
    station.push("build.raw", "--name", "golden 2")


# Nothing false


def write_to(path: Path) -> None:
    """Change the last files of a disk."""
    data = path.read_bytes()
    last = len(data.rstrip(b"\0"))
    with path.open("r+b") as file:
        file.seek(last - 200 * KIB)
        file.write(bytes(byte ^ 255 for byte in data[last - 200 * KIB : last]))


def unseen(path: Path) -> None:
    """Do the same, and let it look as if it had not been done."""
    before = path.stat()
    write_to(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize(("change", "words"), [(write_to, "written to"), (unseen, "not the one")])
def test_a_file_that_changes_meanwhile(
    station: Workstation, change: Callable[[Path], None], words: str
) -> None:
    path = station.file("golden.raw", GOLDEN)
    station.fault(Fault(*REGISTERING, before=lambda: change(path)))
    done = station.image("push", "golden.raw", "--name", "golden 1", code=3)
    assert words in done.about("meltemi: ")
    assert "active" not in station.place.statuses().values()
    station.fault()
    station.push("golden.raw", "--name", "golden 1")


def test_a_file_that_changes_leaves_nothing(station: Workstation) -> None:
    path = station.file("golden.raw", GOLDEN)
    station.fault(Fault(*REGISTERING, before=lambda: write_to(path)))
    station.image("push", "golden.raw", "--name", "golden 1", code=3)
    assert not station.place.images()


# Misuse


@pytest.mark.parametrize(
    ("words", "code", "complaint"),
    [
        (("nothing",), 2, "nothing: there is no such file"),
        (("folder",), 2, "folder: it is neither a file nor a disk"),
        (("fifo",), 2, "fifo: it is neither a file nor a disk"),
        (("data", "--base", "nonsense"), 3, "image nonsense: 404"),
        (("disk",), 2, "disk: it looks like qcow2; say what it is: --disk-format qcow2, or raw"),
        (("data", "--property", "x"), 2, "'x' is not KEY=VALUE"),
        (("data", "--visibility", "all"), 2, "'all' is not one of"),
        (("data", "--library", "./archive"), 2, "an archive"),
        (("data", "--library", "s3://bucket/archive"), 2, "an archive"),
        (("data", "--library", "127.0.0.1:1"), 6, "Connect call failed"),
        (("data", "--library", "no such"), 2, "is not the address of a library"),
        (("data", "--disk-format", "none"), 3, "creating image x: 400"),
        (("data", "-c", "Nothing"), 2, "no column 'Nothing'"),
    ],
)
def test_misuse_is_told_in_a_line(
    station: Workstation, words: tuple[str, ...], code: int, complaint: str
) -> None:
    station.file("data", b"data")
    station.file("disk", b"QFI\xfb\0\0\0\3" + bytes(504))
    (station.folder / "folder").mkdir()
    os.mkfifo(station.folder / "fifo")
    line = ("image", "push", "--library", station.proxy, "--name", "x", *words)
    done = meltemi(*line, code=code, cwd=station.folder)
    assert complaint in done.lines[-1]
    assert "--exclude" not in done.err
    assert not station.place.images()


def test_a_base_without_data(station: Workstation) -> None:
    station.file("data", b"data")
    queued = station.place.put("queued", None)
    done = station.image("push", "data", "--name", "x", "--base", queued, code=3)
    assert "is queued; only one that is active can be a base" in done.complaint


def test_the_environment_can_say_it(station: Workstation) -> None:
    station.file("data", b"data")
    env = {"MELTEMI_LIBRARY": station.proxy.url, "MELTEMI_NAME": "x", "MELTEMI_TAG": "a b"}
    done = meltemi("image", "push", "data", code=0, env=env, cwd=station.folder)
    assert re.search(r"Name +│ x", done.out)
    assert sorted(station.place.named("x")["tags"]) == ["a", "b"]


def test_a_typo_is_told(station: Workstation) -> None:
    assert "did you mean push?" in station.image("pusch", code=2).complaint


def test_a_format_that_was_wrong_is_put_right(station: Workstation) -> None:
    station.file("golden.raw", GOLDEN)
    done = station.image("push", "golden.raw", "--name", "x", "--disk-format", "qcow2", code=3)
    assert done.lines[-1].startswith(f"meltemi: {station.proxy}: putting image")
    assert "--exclude" not in done.err
    [image] = station.place.statuses()
    assert station.push("golden.raw", "--name", "x")["ID"] == image
