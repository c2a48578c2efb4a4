"""`meltemi image pull`, against a real region: exact, cheap, resumed, and never false."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.builds import BUILD, GOLDEN, KIB, MIB
from tests.support.cli import meltemi
from tests.support.proxy import FILE, Fault
from tests.support.waiting import eventually
from tests.workstation.conftest import Workstation

BATCH = "/batch$"


def test_a_file_is_made_of_an_image(station: Workstation) -> None:
    image = station.place.put("golden 1", GOLDEN)
    row = station.pull(image, "golden.raw")
    assert (row["Name"], row["File"], row["Bytes"]) == ("golden 1", "golden.raw", len(GOLDEN))
    assert row["Wire"] <= station.moved() < 9 * MIB
    assert not station.proxy.of("GET", FILE)


def test_zeros_take_no_room(station: Workstation) -> None:
    image = station.place.put("sparse", b"begin" + bytes(60 * MIB) + b"end")
    station.pull(image, "sparse")
    assert (station.folder / "sparse").stat().st_blocks * 512 < MIB


@pytest.mark.parametrize("data", [b"", b"x", bytes(3 * MIB)], ids=["empty", "tiny", "zeros"])
def test_data_of_any_kind(station: Workstation, data: bytes) -> None:
    assert station.pull(station.place.put("any", data), "any")["Wire"] < 1024


def test_seeds_save_what_they_have(station: Workstation) -> None:
    build = station.place.put("golden 2", BUILD)
    station.file("golden.raw", GOLDEN)
    station.file("other", b"other")
    row = station.pull(build, "build.raw", "--seed", "other", "--seed", "golden.raw")
    assert row["Wire"] < 1200 * KIB
    assert station.moved() < row["Wire"] + 16 * KIB
    assert (station.folder / "golden.raw").read_bytes() == GOLDEN


def test_the_pull_before_is_a_seed(station: Workstation) -> None:
    golden, build = station.place.put("golden 1", GOLDEN), station.place.put("golden 2", BUILD)
    station.pull(golden, "current.raw")
    (station.folder / "link.raw").symlink_to("current.raw")
    assert station.pull(build, "link.raw")["Wire"] < 1200 * KIB
    assert (station.folder / "link.raw").is_symlink()
    assert (station.folder / "current.raw").read_bytes() == BUILD
    assert station.pull(build, "current.raw")["Wire"] < 32 * KIB


def test_a_seed_that_is_written_to_meanwhile(station: Workstation) -> None:
    build = station.place.put("golden 2", BUILD)
    seed = station.file("golden.raw", GOLDEN)
    change = Fault("GET", "/manifest$", before=lambda: seed.write_bytes(bytes(len(GOLDEN))))
    # Once the seed has been read, the manifest is asked for a second time.
    station.fault(Fault("GET", "/manifest$", times=1), change)
    station.pull(build, "build.raw", "--seed", "golden.raw")
    assert station.moved("POST", BATCH) > MIB


# Interrupted


def draft(station: Workstation) -> Path:
    [found] = [path for path in station.folder.iterdir() if path.name.startswith(".meltemi-")]
    return found


def interrupted(station: Workstation, image: str, number: int) -> None:
    """Begin to pull, end that by a signal once something has come."""
    station.fault(Fault("POST", BATCH, times=4), Fault("POST", BATCH, cut_answer=1000, hang=True))
    with station.running("pull", image, "golden.raw") as pull:
        station.proxy.wait_for("POST", BATCH, hanging=True)
        eventually(lambda: draft(station).stat().st_blocks * 512 > 3 * MIB)
        pull.send(number)
        done = pull.wait()
    if number == signal.SIGINT:
        assert done.code == 130
        done.about("meltemi: interrupted", "the next run does the rest")
    assert not (station.folder / "golden.raw").exists()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=["killed", "ctrl-c"])
def test_the_same_command_goes_on(station: Workstation, number: int) -> None:
    image = station.place.put("golden 1", GOLDEN)
    interrupted(station, image, number)
    station.fault()
    station.pull(image, "golden.raw")
    fetched = station.moved("POST", BATCH)
    (station.folder / "golden.raw").unlink()
    station.fault()
    station.pull(image, "golden.raw")
    assert fetched < station.moved("POST", BATCH) * 9 // 10


def test_what_is_wrong_in_what_came_is_fetched_anew(station: Workstation) -> None:
    image = station.place.put("golden 1", GOLDEN)
    interrupted(station, image, signal.SIGKILL)
    with draft(station).open("r+b") as file:
        for place in range(0, len(GOLDEN), 2 * MIB):  # among them zeros
            file.seek(place)
            file.write(b"wrong")
    station.fault()
    station.pull(image, "golden.raw")


def test_the_rest_of_another_image_is_left_alone(station: Workstation) -> None:
    golden, build = station.place.put("golden 1", GOLDEN), station.place.put("golden 2", BUILD)
    interrupted(station, golden, signal.SIGKILL)
    rest = draft(station)
    station.fault()
    station.image("pull", build, "golden.raw")
    assert (station.folder / "golden.raw").read_bytes() == BUILD
    assert draft(station) == rest


def test_two_at_once(station: Workstation) -> None:
    image = station.place.put("golden 1", GOLDEN)
    station.fault(Fault("POST", BATCH, hang=True))
    with station.running("pull", image, "golden.raw"):
        station.proxy.wait_for("POST", BATCH, hanging=True)
        station.fault()
        done = station.image("pull", image, "golden.raw", code=3)
        assert "another process pulls that image here" in done.complaint
    station.pull(image, "golden.raw")


def test_a_network_that_cuts_every_connection(station: Workstation) -> None:
    image = station.place.put("golden 1", GOLDEN)
    station.fault(Fault("POST", BATCH, cut_answer=300 * KIB))
    station.pull(image, "golden.raw")


# Nothing false


@pytest.mark.parametrize(
    "fault",
    [Fault("POST", BATCH, times=2, alter=50_000), Fault("GET", "/manifest$", times=1, alter=40)],
    ids=["batch", "manifest"],
)
def test_bytes_that_are_altered_on_their_way(station: Workstation, fault: Fault) -> None:
    image = station.place.put("golden 1", GOLDEN)
    station.fault(fault)
    done = station.image("pull", image, "golden.raw", code=None)
    assert fault.times == 0
    if done.code:
        assert done.about("meltemi: ", "altered on its way")
        assert not (station.folder / "golden.raw").exists()
        station.image("pull", image, "golden.raw")
    assert (station.folder / "golden.raw").read_bytes() == GOLDEN


def test_bytes_that_are_always_altered(station: Workstation) -> None:
    image = station.place.put("golden 1", GOLDEN)
    station.file("golden.raw", b"before")
    station.fault(Fault("POST", BATCH, alter=50_000))
    done = station.image("pull", image, "golden.raw", code=3)
    done.about("meltemi: ")
    assert (station.folder / "golden.raw").read_bytes() == b"before"


def test_a_hash_that_is_not_that_of_the_data(station: Workstation) -> None:
    """A library that says one thing and gives another gets no file made."""
    image = station.place.put("golden 1", GOLDEN)
    shown = station.place.request("GET", f"/v2/images/{image}").decode()
    lie = shown.replace(station.place.show(image)["os_hash_value"][:8], "0" * 8)
    station.fault(Fault("GET", f"{image}$", answer=200, body=lie))
    done = station.image("pull", image, "golden.raw", code=3)
    done.about("does not have the hash on record; no file was made")
    assert not list(station.folder.iterdir())


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Give a small file system."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(place)]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("A FULL DISK IS NOT TESTED: nothing can be mounted here")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_a_disk_that_is_full(station: Workstation, disk: Path) -> None:
    image = station.place.put("golden 1", GOLDEN)
    done = station.image("pull", image, disk / "golden.raw", code=3)
    line = done.about("meltemi: ", "No space left on device", "goes on from there")
    [rest] = disk.iterdir()
    assert rest.name in line
    station.fault()
    subprocess.run(["mount", "-o", "remount,size=40m", str(disk)], check=True)
    station.image("pull", image, disk / "golden.raw")
    assert (disk / "golden.raw").read_bytes() == GOLDEN
    assert station.moved("POST", BATCH) < 4 * MIB


# Misuse


@pytest.mark.parametrize(
    ("words", "code", "complaint"),
    [
        (("nonsense", "file"), 3, "image nonsense: 404"),
        (("IMAGE", "folder"), 2, "'folder' is a directory"),
        (("IMAGE", "nowhere/file"), 2, "nowhere: there is no such folder"),
        (("IMAGE", "/dev/null"), 2, "/dev/null: it is no file"),
        (("IMAGE", "file", "--seed", "nothing"), 2, "nothing: there is no such file"),
        (("IMAGE", "file", "--library", "/archive"), 2, "an archive"),
        (("QUEUED", "file"), 3, "is queued: its data cannot be read"),
        (("IMAGE",), 2, "Missing argument 'FILE'"),
    ],
)
def test_misuse_is_told_in_a_line(
    station: Workstation, words: tuple[str, ...], code: int, complaint: str
) -> None:
    images = {"IMAGE": station.place.put("x", b"x"), "QUEUED": station.place.put("y", None)}
    (station.folder / "folder").mkdir()
    line = ("image", "pull", "--library", station.proxy, *(images.get(w, w) for w in words))
    done = meltemi(*line, code=code, cwd=station.folder)
    assert complaint in done.complaint
    assert [path.name for path in station.folder.iterdir()] == ["folder"]


def test_an_image_that_vanishes_meanwhile(station: Workstation) -> None:
    image = station.place.put("golden 1", GOLDEN)
    delete = Fault("POST", BATCH, times=1, before=lambda: station.place.delete(image))
    station.fault(delete)
    done = station.image("pull", image, "golden.raw", code=3)
    done.about("meltemi: ", image, "404")
    assert not (station.folder / "golden.raw").exists()


def test_the_environment_can_say_it(station: Workstation) -> None:
    image = station.place.put("golden 2", BUILD)
    station.file("golden.raw", GOLDEN)
    env = {"MELTEMI_LIBRARY": station.proxy.url, "MELTEMI_SEED": "golden.raw"}
    meltemi("image", "pull", image, "build.raw", code=0, env=env, cwd=station.folder)
    assert station.moved() < 1200 * KIB
