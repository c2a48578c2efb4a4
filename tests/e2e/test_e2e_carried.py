"""What is carried with an image, what never is, and the marks that say where it came from."""

import json
import uuid

import pytest

from lab import Cloud
from tests.e2e.words import livecopy_regions
from tests.support.accounts import Accounts
from tests.support.cli import User
from tests.support.glance import RefusedError, Service, some_data

pytestmark = pytest.mark.services

CARRIED = (
    *("name", "status", "visibility", "protected", "os_hidden", "min_disk", "min_ram"),
    *("disk_format", "container_format", "size", "virtual_size", "checksum", "os_hash_value"),
)


def test_every_property_and_attribute(user: User, one: Service, two: Service, name: str) -> None:
    odd = {
        "os_distro": "debian",
        "hw:cpu/policy~of the day": "dedicated, 'quoted' \"twice\"",
        "χρώμα": "μπλε ⛵",
        "empty": "",
        "spaces": "  kept  ",
        "long": "x" * 4000,
        "json": '{"a": [1, null]}',
        "is_public": "True",
        "number": "007",
    }
    image = one.put(
        f"{name}Μελτέμι / ~ ⛵",
        some_data(1),
        visibility="community",
        min_disk=7,
        min_ram=512,
        tags=["golden", "τέλος", "with space"],
        **odd,
    )
    images = [image]
    images += [
        one.put(f"{name}{v}", some_data(2), visibility=v, protected=v == "public")
        for v in ("public", "community", "shared", "private")
    ]
    images.append(one.put(f"{name}hidden", some_data(3), os_hidden=True))
    images.append(one.put(f"{name}deactivated", some_data(4)))
    one.act(images[-1], "deactivate")
    rows = user.rows(*livecopy_regions(name))
    assert {(row["ID"], row["Result"]) for row in rows} == {(i, "done") for i in images}
    for image_id in images:
        source, replica = one.show(image_id), two.show(image_id)
        assert {key: replica[key] for key in CARRIED} == {key: source[key] for key in CARRIED}
        assert sorted(replica["tags"]) == sorted(source["tags"])
    replica = two.show(image)
    assert {key: replica[key] for key in odd} == odd
    assert sum(key.startswith("meltemi_") for key in replica) <= 4
    assert user.rows(*livecopy_regions(name)) == []
    for image_id in images:
        one.change(image_id, protected=False)
        two.change(image_id, protected=False)


def test_formats_are_carried_and_refused_ones_told(
    user: User, others: tuple[Service, Service], name: str
) -> None:
    """Glance of today looks into data of most formats; the old one took what it was told."""
    target, source = others
    images, refused = {}, set()
    for form in ("raw", "ami", "aki", "ari", "iso", "vhd", "vdi", "ploop", "qcow2"):
        container = form if form in ("ami", "aki", "ari") else "bare"
        facts = {"disk_format": form, "container_format": container}
        images[form] = source.put(f"{name}{form}", some_data(5), **facts)
        try:
            target.put(f"probe.{name}{form}", some_data(5), **facts)
        except RefusedError:
            refused.add(form)
    assert "qcow2" in refused
    rows = user.rows("livecopy", source.address, target.address, "--match", f"name={name}*", code=3)
    found = {row["ID"]: row for row in rows}
    for form, image in images.items():
        if form in refused:
            assert "415" in found[image]["Detail"]
            assert target.show(image)["status"] == "queued"
        else:
            assert target.show(image)["disk_format"] == form
            assert target.data(image) == some_data(5)


def test_names_may_be_empty_absent_or_given_twice(
    user: User, others: tuple[Service, Service], name: str
) -> None:
    source, target = others
    tag = {"tags": [name]}
    images = [source.put(text, some_data(6), **tag) for text in ("", None, f"{name}x", f"{name}x")]
    words = ("livecopy", source.address, target.address, "--match", f"tag={name}")
    assert [row["Result"] for row in user.rows(*words)] == ["done"] * 4
    assert [target.show(image)["name"] for image in images] == ["", None, f"{name}x", f"{name}x"]
    assert user.rows(*words) == []


def test_members_when_asked_for_and_as_accepted_as_they_were(
    user: User, accounts: Accounts, one: Service, two: Service, name: str
) -> None:
    projects = [accounts.add(f"guest-{number}") for number in range(3)]
    image = one.put(f"{name}a", some_data(7), visibility="shared")
    one.share(image, projects[0], "accepted")
    one.share(image, projects[1], "rejected")
    one.share(image, projects[2])
    user.meltemi(*livecopy_regions(name))
    assert two.members(image) == {}
    rows = user.rows("compare", *livecopy_regions(name)[1:], "--members", code=1)
    assert rows[0]["Action"] == "share"
    user.meltemi(*livecopy_regions(name, "--members"))
    members = {projects[0]: "accepted", projects[1]: "rejected", projects[2]: "pending"}
    assert two.members(image) == members
    assert two.seen_by(accounts.token("guest-0")).data(image) == some_data(7)
    one.unshare(image, projects[1])
    one.share(image, two_project := accounts.add("guest-3"), "accepted")
    two.share(image, theirs := accounts.add("guest-4"), "accepted")
    user.meltemi(*livecopy_regions(name, "--members"))
    members = {projects[0]: "accepted", projects[2]: "pending"}
    assert two.members(image) == {**members, two_project: "accepted", theirs: "accepted"}
    assert user.rows(*livecopy_regions(name, "--members")) == []


def test_signatures_are_carried_and_certificates_only_when_mapped(
    user: User, others: tuple[Service, Service], name: str
) -> None:
    source, target = others
    certificates = {side: str(uuid.uuid4()) for side in ("source", "target")}
    signature = {
        "img_signature": "c2lnbmF0dXJl",
        "img_signature_hash_method": "SHA-256",
        "img_signature_key_type": "RSA-PSS",
    }
    key = "img_signature_certificate_uuid"
    # Glance would check the signature of data that comes in with a certificate.
    image = source.put(f"{name}a", some_data(8), **signature)
    source.change(image, img_signature_certificate_uuid=certificates["source"])
    words = ("livecopy", source.address, target.address, "--match", f"name={name}*")
    user.meltemi(*words)
    replica = target.show(image)
    assert {name: replica[name] for name in signature} == signature
    assert key not in replica
    mapping = f"{key}:{certificates['source']}={certificates['target']}"
    user.meltemi(*words, "--map-value", mapping)
    assert target.show(image)[key] == certificates["target"]
    assert user.rows(*words, "--map-value", mapping) == []


def test_what_is_never_carried(user: User, others: tuple[Service, Service], name: str) -> None:
    source, target = others
    never = {
        "cinder_encryption_key_id": str(uuid.uuid4()),
        "cinder_encryption_key_deletion_policy": "on_image_deletion",
        "meltemi_source": "http://elsewhere/1",
        "meltemi_colour": "red",
    }
    image = source.put(f"{name}a", some_data(9), colour="red", **never)
    # Glance lets nobody set its own ones over the API.
    source.sql(
        "INSERT INTO image_properties (image_id, name, value, created_at, updated_at, deleted) "
        f"VALUES ('{image}', 'os_glance_importing_to_stores', 'ceph', now(), now(), false)"
    )
    assert source.show(image)["os_glance_importing_to_stores"] == "ceph"
    words = ("livecopy", source.address, target.address, "--match", f"name={name}*")
    user.meltemi(*words)
    replica = target.show(image)
    assert replica["colour"] == "red"
    for key in (*never, "os_glance_importing_to_stores"):
        assert replica.get(key) != source.show(image)[key], key
    marks = {key for key in replica if key.startswith("meltemi_")}
    assert "meltemi_colour" not in marks
    assert user.rows(*words) == []


def test_volume_backed_images_are_left_out_with_their_reason(
    user: User, others: tuple[Service, Service], name: str
) -> None:
    source, target = others
    volume = json.dumps([{"snapshot_id": str(uuid.uuid4()), "source_type": "snapshot"}])
    image = source.put(f"{name}a", b"", block_device_mapping=volume, bdm_v2="True")
    words = ("livecopy", source.address, target.address, "--match", f"name={name}*")
    [row] = user.rows(*words)
    assert (row["Result"], row["ID"]) == ("left out", image)
    assert "volume" in row["Detail"]
    assert not target.has(image)


def test_images_without_data_are_left_out_and_empty_ones_are_carried(
    user: User, others: tuple[Service, Service], name: str
) -> None:
    source, target = others
    queued, empty = source.put(f"{name}queued", None), source.put(f"{name}empty", b"")
    words = ("livecopy", source.address, target.address, "--match", f"name={name}*")
    results = {row["ID"]: row["Result"] for row in user.rows(*words)}
    assert results == {queued: "left out", empty: "done"}
    assert target.show(empty)["status"] == "active"
    assert target.show(empty)["size"] == 0
    assert [row["ID"] for row in user.rows(*words)] == [queued]


def test_an_image_without_a_recorded_hash_is_hashed_on_the_way(
    user: User, cloud: Cloud, one: Service, two: Service, name: str
) -> None:
    del cloud
    images = [one.put(f"{name}{number}", some_data(10 + number)) for number in range(2)]
    for image in images:
        one.sql(
            "UPDATE images SET os_hash_value = NULL, os_hash_algo = NULL, checksum = NULL "
            f"WHERE id = '{image}'"
        )
    assert [row["Result"] for row in user.rows(*livecopy_regions(name))] == ["done", "done"]
    for number, image in enumerate(images):
        assert two.data(image) == some_data(10 + number)
        replica = two.show(image)
        assert replica["meltemi_source_hash"] == f"computed:sha512:{replica['os_hash_value']}"
    assert user.rows(*livecopy_regions(name)) == []
    one.change(images[0], colour="red")
    assert [row["Action"] for row in user.rows(*livecopy_regions(name))] == ["update"]
    assert two.show(images[0])["meltemi_source_hash"].startswith("computed:")


def test_an_image_of_before_the_multihash_has_its_md5_checked(
    user: User, others: tuple[Service, Service], name: str
) -> None:
    source, target = others
    image = source.put(f"{name}a", some_data(15))
    wrong = source.put(f"{name}wrong", some_data(16))
    source.sql(
        "UPDATE images SET os_hash_value = NULL, os_hash_algo = NULL "
        f"WHERE id IN ('{image}', '{wrong}')"
    )
    source.sql(f"UPDATE images SET checksum = repeat('0', 32) WHERE id = '{wrong}'")
    words = ("livecopy", source.address, target.address, "--match", f"name={name}*")
    rows = {row["ID"]: row["Result"] for row in user.rows(*words, code=3)}
    assert rows == {image: "done", wrong: "failed"}
    replica = target.show(image)
    assert replica["meltemi_source_hash"] == f"md5:{replica['checksum']}"
    target.wait_for(wrong, "queued")
    assert user.rows(*words, "--exclude", f"id={wrong}") == []


def test_the_marks_are_four_properties_that_the_client_shows(
    user: User, one: Service, two: Service, name: str
) -> None:
    image = one.put(f"{name}a", some_data(12), visibility="public", os_distro="debian")
    user.meltemi(*livecopy_regions(name))
    shown = json.loads(user.openstack("image", "show", image, "-f", "json", region="RegionTwo"))
    properties = shown["properties"]
    marks = {key: value for key, value in properties.items() if key.startswith("meltemi_")}
    assert set(marks) == {
        "meltemi_source",
        "meltemi_source_hash",
        "meltemi_replicated_at",
        "meltemi_written",
    }
    assert marks["meltemi_source"] == f"{one.url}/{image}"
    assert marks["meltemi_source_hash"] == f"sha512:{one.show(image)['os_hash_value']}"
    assert marks["meltemi_replicated_at"].endswith("Z")
    assert all(len(value) < 65535 for value in marks.values())
    assert two.show(image)["visibility"] == "public"
