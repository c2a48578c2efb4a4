"""Which images at the target a copy is made of: the likeliest first, and only a few."""

from collections.abc import Sequence

from meltemi.model.image import Hashes, Image
from meltemi.model.provenance import Provenance
from meltemi.replication.exchange.bases import MOST, Bases, Kin, Seen

SOURCE = Image(
    "source",
    name="debian-13-20260301",
    size=5,
    hashes=Hashes(None, "sha512", "aa"),
    properties={
        "base_image_ref": "parent",
        "instance_uuid": "server",
        "os_distro": "debian",
        "os_version": "13",
    },
)


def there(image_id: str, at: str = "", status: str = "active", **facts: object) -> Image:
    """Make an image of the target; what is no attribute is a property."""
    name = facts.pop("name", None)
    hashes = facts.pop("hashes", Hashes())
    properties = {key: str(value) for key, value in facts.items()}
    return Image(
        image_id,
        name=None if name is None else str(name),
        hashes=hashes if isinstance(hashes, Hashes) else Hashes(),
        status=status,
        size=7,
        created_at=at,
        properties=properties,
    )


def chosen(*images: Image, of: Image = SOURCE, others: Sequence[Image] = ()) -> tuple[str, ...]:
    bases = Bases([of, *others])
    for image in images:
        bases.look(image)
    return bases.choose(of)


def test_the_likeliest_come_first() -> None:
    origin = Provenance("library", "parent", "hash").properties("replica")
    assert chosen(
        there("system", os_distro="debian", os_version="13"),
        there("replica", **origin),
        there("build", name="debian-13-20260201"),
        there("namesake", name="debian-13-20260301"),
        there("unlike", name="ubuntu", os_distro="ubuntu", os_version="13"),
    ) == ("namesake", "build", "replica", "system")
    assert chosen(there("parent"), there("night", instance_uuid="server"), there("source")) == (
        "source",
        "night",
        "parent",
    )


def test_one_with_the_same_data_is_enough() -> None:
    same = there("same", hashes=Hashes(None, "sha512", "aa"))
    assert chosen(there("build", name="debian-13-20260201"), same) == ("same",)
    other = there("other", hashes=Hashes(None, "sha256", "aa"))
    assert chosen(other) == ()


def test_the_newest_of_those_that_are_alike_count() -> None:
    builds = [there(f"{n}", f"2026-02-{n:02}", name=f"debian-13-{n}") for n in range(1, 20)]
    assert chosen(*builds) == ("19", "18", "17", "16")
    assert chosen(*reversed(builds)) == ("19", "18", "17", "16")
    assert len(chosen(*builds, there("system", os_distro="debian", os_version="13"))) == MOST


def test_what_has_no_data_to_give_is_no_base() -> None:
    name = "debian-13-20260301"
    for status in ("queued", "saving", "deactivated"):
        assert chosen(there("one", status=status, name=name)) == ()


def test_numbers_alone_make_no_name() -> None:
    assert chosen(there("one", name="7"), of=Image("source", name="8")) == ()


def test_images_that_say_nothing_of_themselves_have_no_base() -> None:
    assert chosen(there("one"), there("two", name="x"), of=Image("source")) == ()


def copied(image_id: str, at: str, status: str = "active", **facts: object) -> Image:
    return there(image_id, at, status, name=f"debian-{image_id}", **facts)


def test_what_was_listed_is_remembered_as_long_as_it_is_little() -> None:
    seen = Seen()
    for number in range(1000):
        seen.look(there(f"{number}"))
        seen.look(there(f"{number}"))
    assert seen.all is not None
    assert [image.id for image in seen.all] == [str(number) for number in range(1000)]
    seen.look(there("one more"))
    seen.look(there("and more"))
    assert seen.all is None


def test_of_images_that_are_copied_together_the_oldest_is_the_base_of_the_others() -> None:
    one, two, three = (copied(str(n), f"2026-01-0{n}") for n in (1, 2, 3))
    kin = Kin([three, one, two])
    assert [kin.find(image) for image in (one, two, three)] == [None, one, one]


def test_no_two_images_are_made_of_each_other() -> None:
    """Each is the parent of the other by its own word, and both are of the same age."""
    one = copied("1", "2026", base_image_ref="2")
    two = copied("2", "2026", base_image_ref="1")
    kin = Kin([two, one])
    assert [kin.find(image) for image in (one, two)] == [None, one]


def test_what_is_not_for_download_is_nobodys_base() -> None:
    one, two = copied("1", "2026", status="deactivated"), copied("2", "2027")
    assert Kin([one, two]).find(two) is None
