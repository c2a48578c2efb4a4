"""Sources that misbehave: what cannot be verified never becomes usable, the rest arrives."""

import pytest

from lab import images
from tests.support.cli import Done, meltemi, succeed
from tests.support.glance import Service
from tests.support.proxy import FILE, Fault, Proxy

MIB = 2**20
GOOD = b"good" * 1000
LARGE = images.random_bytes(9 * MIB, 1)
IN_ONE_BLOCK = ("--chunksize", "16M")
"""All is taken as it comes. Between two blocks what came may be lost when a connection breaks."""


def see_failed(done: Done, place: Service, image_id: str, *texts: str) -> None:
    """See exit code 3, one line about the image, and nothing of it that could be used."""
    assert done.code == 3, done.err
    line = done.about(image_id, place.url, "failed")
    assert not [text for text in texts if text not in line], line
    if place.has(image_id):
        place.wait_for(image_id, "queued")
        image = place.show(image_id)
        assert image["visibility"] == "private", image


@pytest.mark.parametrize("place", [0, 5 * MIB, 9 * MIB - 1], ids=["first", "middle", "last"])
def test_other_bytes_than_their_hash_says(source: Service, target: Service, place: int) -> None:
    good = source.put("good", GOOD)
    rotten = source.put("rotten", LARGE, visibility="public")
    path = next(p for p in source.server.store.iterdir() if p.name == rotten)
    path.write_bytes(LARGE[:place] + bytes([LARGE[place] ^ 1]) + LARGE[place + 1 :])
    done = meltemi("livecopy", source, target)
    see_failed(done, target, rotten, "rotten", "not the one on record", source.url)
    assert target.data(good) == GOOD
    path.write_bytes(LARGE)
    succeed("livecopy", source, target)
    assert target.data(rotten) == LARGE
    assert target.show(rotten)["visibility"] == "public"


def test_bytes_altered_on_the_way(source: Service, target: Service) -> None:
    image = source.put("image", LARGE)
    with Proxy(source.url) as proxy:
        proxy.fault(Fault("GET", FILE, alter=3 * MIB))
        see_failed(meltemi("livecopy", proxy, target), target, image, "not the one on record")
        proxy.fault()
        succeed("livecopy", proxy, target)
    assert target.data(image) == LARGE


@pytest.mark.parametrize("size", [0, 5 * MIB])
def test_a_file_that_is_shorter_than_recorded(source: Service, target: Service, size: int) -> None:
    image = source.put("image", LARGE)
    (source.server.store / image).write_bytes(LARGE[:size])
    see_failed(meltemi("livecopy", source, target, "--timeout", "15s"), target, image, "image")
    (source.server.store / image).write_bytes(LARGE)
    succeed("livecopy", source, target)
    assert target.data(image) == LARGE


def test_a_file_that_is_longer_than_recorded(source: Service, target: Service) -> None:
    image = source.put("image", LARGE)
    (source.server.store / image).write_bytes(LARGE + b"more")
    succeed("livecopy", source, target)  # Glance itself stops at the size on record
    assert target.data(image) == LARGE
    assert target.show(image)["size"] == len(LARGE)


def test_a_file_that_is_gone(source: Service, target: Service) -> None:
    good = source.put("good", GOOD)
    lost = source.put("lost", LARGE)
    (source.server.store / lost).unlink()
    done = meltemi("livecopy", source, target)
    see_failed(done, target, lost, "lost", source.url)
    assert target.data(good) == GOOD


def test_an_image_that_vanishes_before_it_is_read(source: Service, target: Service) -> None:
    good = source.put("good", GOOD)
    gone = source.put("gone", LARGE)
    with Proxy(source.url) as proxy:
        proxy.fault(Fault("GET", gone, times=1, before=lambda: source.delete(gone)))
        done = meltemi("livecopy", proxy, target)
        see_failed(done, target, gone, "gone", proxy.url)
        assert target.data(good) == GOOD
        assert succeed("livecopy", proxy, target).idle


def test_an_image_that_vanishes_while_it_is_read(source: Service, target: Service) -> None:
    good = source.put("good", GOOD)
    gone = source.put("gone", LARGE)
    with Proxy(source.url) as proxy:
        proxy.fault(
            Fault("GET", gone + FILE, times=1, cut_answer=4 * MIB),
            Fault("GET", gone + FILE, times=1, before=lambda: source.delete(gone)),
        )
        done = meltemi("livecopy", proxy, target)
        see_failed(done, target, gone, "gone", proxy.url)
    assert target.data(good) == GOOD


def test_a_connection_that_is_cut_many_times(source: Service, target: Service) -> None:
    image = source.put("image", LARGE)
    with Proxy(source.url) as proxy:
        proxy.fault(Fault("GET", FILE, cut_answer=MIB + 12_345))
        succeed("livecopy", proxy, target, *IN_ONE_BLOCK)
        reads = proxy.of("GET", FILE)
    assert target.data(image) == LARGE
    assert sum(read.answered for read in reads) == len(LARGE)
    assert [read.offset for read in reads] == [n * (MIB + 12_345) for n in range(len(reads))]


def test_a_connection_that_never_gives_anything(source: Service, target: Service) -> None:
    image = source.put("image", LARGE)
    good = source.put("good", GOOD)
    with Proxy(source.url) as proxy:
        proxy.fault(Fault("GET", image + FILE, cut_answer=0))
        done = meltemi("livecopy", proxy, target)
        see_failed(done, target, image, "image", proxy.url)
        assert target.data(good) == GOOD


def test_a_source_that_falls_silent(source: Service, target: Service) -> None:
    image = source.put("image", LARGE)
    good = source.put("good", GOOD)
    with Proxy(source.url) as proxy:
        proxy.fault(Fault("GET", image + FILE, cut_answer=2 * MIB, hang=True, times=1))
        succeed("livecopy", proxy, target, "--timeout", "10s", *IN_ONE_BLOCK)
        assert [read.offset for read in proxy.of("GET", image + FILE)] == [0, 2 * MIB]
    assert target.data(image) == LARGE
    assert target.data(good) == GOOD


def test_a_source_that_is_killed_and_comes_back(source: Service, target: Service) -> None:
    image = source.put("image", LARGE)

    def restart() -> None:
        source.server.kill()
        source.server.start()

    with Proxy(source.url) as proxy:
        proxy.fault(
            Fault("GET", FILE, times=1, cut_answer=3 * MIB),
            Fault("GET", FILE, times=1, before=restart),
        )
        succeed("livecopy", proxy, target, *IN_ONE_BLOCK)
        assert [read.offset for read in proxy.of("GET", FILE)][:2] == [0, 3 * MIB]
    assert target.data(image) == LARGE


def test_a_range_that_is_ignored(source: Service, target: Service) -> None:
    """An answer that starts anew is read over, not joined to what is there."""
    image = source.put("image", LARGE)
    with Proxy(source.url) as proxy:
        proxy.deaf_to_ranges = True
        proxy.fault(Fault("GET", FILE, times=1, cut_answer=3 * MIB))
        succeed("livecopy", proxy, target, *IN_ONE_BLOCK)
        assert sum(read.answered for read in proxy.of("GET", FILE)) == len(LARGE) + 3 * MIB
    assert target.data(image) == LARGE


def test_zero_byte_and_queued_images(source: Service, target: Service) -> None:
    empty = source.put("empty", b"", visibility="public")
    source.put("queued", None)
    good = source.put("good", GOOD)
    succeed("livecopy", source, target)
    assert target.statuses() == {empty: "active", good: "active"}
    assert target.data(empty) == b""
    assert target.show(empty)["visibility"] == "public"
    done = succeed("livecopy", source, target, "-f", "json")
    assert done.err == ""
    assert [row["Name"] for row in done.rows] == ["queued"]
    assert succeed("compare", source, target).code == 0


def test_duplicate_names(source: Service, target: Service) -> None:
    twins = {source.put("twin", bytes([n]) * 1000): bytes([n]) * 1000 for n in range(3)}
    succeed("livecopy", source, target)
    assert {key: target.data(key) for key in twins} == twins
    assert succeed("livecopy", source, target).idle


def test_a_name_that_another_image_of_the_target_has(source: Service, target: Service) -> None:
    other = target.put("taken", b"theirs")
    image = source.put("taken", GOOD)
    good = source.put("good", GOOD)
    done = meltemi("livecopy", source, target, "-f", "json")
    assert done.code == 1, done.err
    assert [row["Result"] for row in done.rows if row["ID"] == image] == ["conflict"]
    assert target.data(good) == GOOD
    assert target.statuses() == {other: "active", good: "active"}
    succeed("livecopy", source, target, "--on-conflict", "rename")
    assert target.data(image) == GOOD
    assert target.data(other) == b"theirs"


def test_an_id_that_another_image_of_the_target_has(source: Service, target: Service) -> None:
    image = source.put("ours", GOOD)
    target.put("theirs", b"theirs", id=image)
    done = meltemi("livecopy", source, target)
    assert done.code == 1, done.err
    assert target.data(image) == b"theirs"
    succeed("livecopy", source, target, "--on-conflict", "replace")
    assert target.show(image)["os_hidden"]
    assert target.data(image) == b"theirs"
    copy = target.named("ours")
    assert copy["id"] != image
    assert target.data(copy["id"]) == GOOD
    assert succeed("livecopy", source, target, "--on-conflict", "replace").idle


def test_names_that_are_hard_to_print(source: Service, target: Service) -> None:
    bad = source.put("a\nb\x1b[31m: done\u202e", LARGE)
    (source.server.store / bad).write_bytes(LARGE[:-1] + b"?")
    done = meltemi("livecopy", source, target)
    assert done.code == 3
    assert "\x1b" not in done.err
    done.about(bad)


def test_no_name_at_all(source: Service, target: Service) -> None:
    image = source.put(None, GOOD)
    succeed("livecopy", source, target)
    assert target.data(image) == GOOD
    assert succeed("livecopy", source, target).idle


def test_more_deletions_than_allowed(source: Service, target: Service) -> None:
    kept = source.put("kept", GOOD)
    gone = [source.put(f"gone {n}", GOOD) for n in range(3)]
    words = ("livecopy", source, target, "--on-source-deletion", "delete")
    succeed(*words)
    own = target.put("their own", b"own")
    for image in gone:
        source.delete(image)
    done = meltemi(*words, "--max-delete", "2")
    assert done.code == 7, done.err
    assert "--max-delete" in done.err
    assert {kept, own, *gone} == set(target.statuses())
    succeed(*words, "--max-delete", "3")
    assert {kept, own} == set(target.statuses())


def test_nothing_is_deleted_after_a_run_with_errors(source: Service, target: Service) -> None:
    gone = source.put("gone", GOOD)
    words = ("livecopy", source, target, "--on-source-deletion", "delete")
    succeed(*words)
    source.delete(gone)
    rotten = source.put("rotten", GOOD)
    (source.server.store / rotten).write_bytes(GOOD[::-1])
    see_failed(meltemi(*words), target, rotten)
    assert target.has(gone)


def test_nothing_is_deleted_where_the_source_lists_nothing_for_a_fault(
    source: Service, target: Service
) -> None:
    """A half-read list is an error, not a library without images."""
    images_made = [source.put(f"image {n}", GOOD) for n in range(3)]
    words = ("--on-source-deletion", "delete")
    with Proxy(source.url) as proxy:
        succeed("livecopy", proxy, target, *words)
        proxy.fault(Fault("GET", "images$", answer=502))
        assert meltemi("livecopy", proxy, target, *words).code == 6
    assert set(images_made) == set(target.statuses())
