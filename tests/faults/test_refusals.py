"""Targets that refuse an image: the line says so, the others arrive, nothing half-made is seen."""

import json
import subprocess
from collections.abc import Iterator

import pytest

from lab import Glance, Postgres
from tests.support.cli import Done, meltemi, succeed
from tests.support.glance import Service
from tests.support.proxy import FILE, Proxy
from tests.support.services import Fresh

GOOD = b"good" * 1000
MIB = 2**20
PROPERTIES = 12
"""How many the strict target allows, Meltemi's four included."""

PROTECTED = """
[^locked_.*]
create = operator
read = operator
update = operator
delete = operator

[.*]
create = @
read = @
update = @
delete = @
"""
SCHEMA = {"motto": {"type": "string", "maxLength": 10}}
NO_DATA = ("queued", "saving")


@pytest.fixture(scope="module")
def strict_place(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("strict")
    protected = folder / "protected.conf"
    protected.write_text(PROTECTED)
    settings = {
        "image_size_cap": 2 * MIB,
        "image_property_quota": PROPERTIES,
        "image_tag_quota": 3,
        "property_protection_file": protected,
    }
    glance = Glance(folder, name="strict", postgres=postgres, config={"DEFAULT": settings})
    (folder / "schema-image.json").write_text(json.dumps(SCHEMA))
    with glance:
        yield Service(glance, postgres)


@pytest.fixture
def strict(strict_place: Service) -> Service:
    strict_place.wipe()
    return strict_place


def see_refused(done: Done, place: Service, image_id: str, *texts: str) -> None:
    """See one line that names the image, the place and the reason; nothing of it is usable."""
    line = done.about(image_id, place.url)
    assert not [text for text in texts if text not in line], line
    assert done.code == 3, done.err
    for image in place.images():
        if image["id"] == image_id or image.get("meltemi_source", "").endswith(image_id):
            assert image["status"] in NO_DATA, image
            assert image["visibility"] == "private", image


def see_complete(source: Service, place: Service) -> None:
    """See that every image of the source is active at the place, byte for byte."""
    wanted = {image["name"]: source.hash(image["id"]) for image in source.images()}
    arrived = [image for image in place.images() if image["status"] == "active"]
    assert {image["name"]: place.hash(image["id"]) for image in arrived} == wanted
    assert len(arrived) == len(wanted)


def test_an_image_above_the_size_cap(source: Service, strict: Service) -> None:
    good = source.put("good", GOOD, visibility="public")
    large = source.put("large", bytes(8 * MIB), visibility="public")
    done = meltemi("livecopy", source, strict)
    see_refused(done, strict, large, "large", "413")
    assert strict.data(good) == GOOD
    assert strict.show(good)["visibility"] == "public"


def test_a_project_over_its_quota_goes_on_once_it_is_raised(source: Service, fresh: Fresh) -> None:
    place = fresh("small", config={"DEFAULT": {"user_storage_quota": "6MB"}})
    images = [source.put(f"part {n}", bytes([n]) * 2 * MIB) for n in range(2)]
    large = source.put("large", bytes(3 * MIB))
    done = meltemi("livecopy", source, place, "--transfers", "1")
    see_refused(done, place, large, "large", "413", "quota")
    assert [place.statuses()[image] for image in images] == ["active", "active"]
    settings = place.server.folder / "glance-api.conf"
    settings.write_text(settings.read_text().replace("6MB", "60MB"))
    place.server.stop()
    place.server.start()
    succeed("livecopy", source, place)
    see_complete(source, place)
    assert succeed("livecopy", source, place).idle


def test_a_store_that_is_full(source: Service, fresh: Fresh) -> None:
    place = fresh("full")
    mount = ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(place.server.store)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mount: not allowed to mount a small file system here")
    try:
        first = source.put("first", bytes(4 * MIB - 10))
        second = source.put("second", bytes(5 * MIB))
        done = meltemi("livecopy", source, place, "--transfers", "1")
        see_refused(done, place, second, "second", "413", "make room")
        assert place.show(first)["status"] == "active"
        subprocess.run([*mount[:4], "remount,size=20m", *mount[5:]], check=True)
        succeed("livecopy", source, place)
        see_complete(source, place)
    finally:
        place.server.stop()
        subprocess.run(["umount", str(place.server.store)], check=True)


def test_an_id_that_the_target_deleted_before(source: Service, target: Service) -> None:
    image = source.put("phoenix", GOOD)
    target.put("old", b"old", id=image)
    target.delete(image)
    done = succeed("livecopy", source, target)
    copy = target.named("phoenix")
    assert copy["id"] in done.about("phoenix", image)
    assert target.data(copy["id"]) == GOOD
    assert succeed("livecopy", source, target).idle
    source.change(image, colour="red")
    succeed("livecopy", source, target)
    assert target.show(copy["id"])["colour"] == "red"
    assert len(target.images()) == 1


def test_a_boot_sector_declared_raw(source: Service, target: Service) -> None:
    good = source.put("good", GOOD)
    data = bytearray(MIB)
    data[510:512] = b"\x55\xaa"
    unsafe = source.put("unsafe", bytes(data), disk_format="ami", container_format="ami")
    source.sql("UPDATE images SET disk_format = 'raw', container_format = 'bare'")
    done = meltemi("livecopy", source, target)
    see_refused(done, target, unsafe, "unsafe", "415")
    assert target.data(good) == GOOD
    # The real file store keeps the refused data, and answers 500 to whoever sends it again.
    see_refused(meltemi("livecopy", source, target), target, unsafe, "unsafe", "500", "log")
    target.delete(unsafe)
    source.sql(
        f"UPDATE images SET disk_format = 'ami', container_format = 'ami' WHERE id = '{unsafe}'"
    )
    succeed("livecopy", source, target)
    copy = target.named("unsafe")
    assert copy["id"] != unsafe
    assert target.data(copy["id"]) == data


def test_data_of_another_format_than_declared(source: Service, target: Service) -> None:
    good = source.put("good", GOOD)
    unsafe = source.put("unsafe", GOOD, disk_format="raw")
    source.sql(f"UPDATE images SET disk_format = 'qcow2' WHERE id = '{unsafe}'")
    done = meltemi("livecopy", source, target)
    see_refused(done, target, unsafe, "unsafe", "415", "--exclude")
    assert target.data(good) == GOOD


def test_a_property_longer_than_the_target_allows(source: Service, strict: Service) -> None:
    good = source.put("good", GOOD, motto="short")
    wordy = source.put("wordy", GOOD, motto="much longer than ten")
    done = meltemi("livecopy", source, strict)
    see_refused(done, strict, wordy, "wordy", "400", "motto")
    assert strict.data(good) == GOOD
    succeed("livecopy", source, strict, "--dontreplicate", "motto")
    see_complete(source, strict)


def test_one_property_too_many(source: Service, strict: Service) -> None:
    fits = {f"p{n}": "x" for n in range(PROPERTIES - 4)}
    good = source.put("good", GOOD, **fits)
    rich = source.put("rich", GOOD, **fits, one_more="x")
    done = meltemi("livecopy", source, strict)
    see_refused(done, strict, rich, "rich", "413", "propert")
    assert strict.data(good) == GOOD
    succeed("livecopy", source, strict, "--dontreplicate", "one_more")
    see_complete(source, strict)


def test_one_tag_too_many(source: Service, strict: Service) -> None:
    good = source.put("good", GOOD, tags=["a", "b", "c"])
    rich = source.put("rich", GOOD, tags=["a", "b", "c", "d"])
    done = meltemi("livecopy", source, strict)
    see_refused(done, strict, rich, "rich", "413", "tag")
    assert strict.data(good) == GOOD
    source.change(rich, tags=["a"])
    succeed("livecopy", source, strict)
    see_complete(source, strict)


def test_one_property_too_many_for_an_update_is_written_whole_or_not(
    source: Service, strict: Service
) -> None:
    fits = {f"p{n}": "x" for n in range(PROPERTIES - 4)}
    image = source.put("good", GOOD, **fits)
    succeed("livecopy", source, strict)
    before = strict.show(image)
    source.change(image, p0="changed", one_more="x")
    done = meltemi("livecopy", source, strict)
    assert done.code == 3
    assert "413" in done.about("good", image, strict.url)
    after = strict.show(image)
    changed = {key for key in after if after[key] != before.get(key)} - {"updated_at"}
    assert changed == set()
    source.change(image, remove=("p1",))
    succeed("livecopy", source, strict)
    assert strict.show(image)["p0"] == "changed"
    assert "p1" not in strict.show(image)


def test_a_property_that_policy_protects(source: Service, strict: Service) -> None:
    good = source.put("good", GOOD)
    locked = source.put("locked", GOOD, locked_by="operator")
    done = meltemi("livecopy", source, strict)
    see_refused(done, strict, locked, "locked", "403")
    assert strict.data(good) == GOOD
    succeed("livecopy", source, strict, "--dontreplicate", "locked_by")
    see_complete(source, strict)


def test_a_protected_property_in_an_update(source: Service, strict: Service) -> None:
    image = source.put("good", GOOD)
    succeed("livecopy", source, strict)
    source.change(image, locked_by="operator", os_distro="debian")
    done = meltemi("livecopy", source, strict)
    assert done.code == 3
    assert "403" in done.about("good", image, strict.url)
    assert "os_distro" not in strict.show(image)
    succeed("livecopy", source, strict, "--dontreplicate", "locked_by")
    assert strict.show(image)["os_distro"] == "debian"


def test_a_policy_that_forbids_publicity(source: Service, fresh: Fresh) -> None:
    place = fresh("shy", policy={"publicize_image": "role:nobody"})
    plain = source.put("plain", GOOD)
    public = source.put("public", GOOD, visibility="public")
    done = meltemi("livecopy", source, place)
    assert done.code == 3
    assert "403" in done.about(public, place.url)
    assert place.data(plain) == GOOD
    assert place.show(public)["visibility"] == "private"
    again = meltemi("livecopy", source, place)
    assert again.code == 3
    assert "403" in again.about(public, place.url)
    succeed("livecopy", source, place, "--visibility", "private")


def test_refusals_are_not_repeated_at_length(source: Service, strict: Service) -> None:
    """The data is sent once where no repetition can help."""
    image = source.put("large", bytes(3 * MIB))
    with Proxy(strict.url) as proxy:
        done = meltemi("livecopy", source, proxy)
        assert "413" in done.about("large", image, proxy.url)
        assert [sent.path for sent in proxy.of("PUT", FILE)] == [f"/v2/images/{image}/file"]
