"""Who knows every id and every hash gets nothing by exchanging that is not theirs."""

import hashlib
from collections.abc import Callable, Iterator

import pytest

from lab import Keystone, Region
from tests.support.exchanging import DELTA, Exchange, Line, delta, pieces, sha512
from tests.support.glance import Place, RefusedError, some_data
from tests.support.uploads import Upload

pytestmark = pytest.mark.services

DATA = some_data(71, 2 * 2**20 + 3)
HASH = {"x-meltemi-hash": sha512(DATA)}
NOBODYS = "00000000-0000-4000-8000-000000000000"
POLICY = """\
download_image: "rule:context_is_admin or (role:member and not 'secret':%(name)s and
  (project_id:%(project_id)s or project_id:%(member_id)s or 'public':%(visibility)s))"
publicize_image: "role:member"
"""
"""As by default, but for images called `secret`, which nobody but administrators downloads."""


class People:
    """A region behind a Keystone as each of its users sees it."""

    def __init__(self, keystone: Keystone, server: Region) -> None:
        self._url = server.url
        self._tokens = {"admin": keystone.token("admin", keystone.password, "admin")}
        for user, project, role in (
            ("alice", "red", "member"),
            ("amy", "red", "reader"),
            ("eve", "blue", "member"),
        ):
            keystone.user(user, keystone.password, project, [role])
            self._tokens[user] = keystone.token(user, keystone.password, project)
        self.blue = keystone.project("blue")

    def __call__(self, user: str) -> Exchange:
        return Exchange(Place(self._url, token=self._tokens[user]))


@pytest.fixture(scope="module")
def by(tmp_path_factory: pytest.TempPathFactory) -> Iterator[People]:
    folder = tmp_path_factory.mktemp("region")
    policy = folder / "policy.yaml"
    policy.write_text(POLICY)
    with Keystone(tmp_path_factory.mktemp("keystone")) as keystone:
        auth = keystone.login()
        settings = {"keystone": {"auth": auth}, "policy_file": str(policy)}
        with Region(folder, settings=settings) as server:
            yield People(keystone, server)


def refused(work: Callable[..., object], *given: object, **more: str) -> int:
    """Give the status of a refusal, which tells nothing of the data."""
    with pytest.raises(RefusedError) as caught:
        work(*given, **more)
    assert hashlib.sha512(DATA).hexdigest() not in str(caught.value)
    return caught.value.status


def reading(exchange: Exchange, image: str) -> set[int]:
    """Try everything that reads of an image's data; give how it is refused."""
    return {
        refused(exchange.root, image),
        refused(exchange.segments, image, [[0, 0]]),
        refused(exchange.batch, image, [[0, 1]]),
        refused(exchange.batch_size, image, [[0, 1]]),
    }


def taking(exchange: Exchange, base: str) -> set[int]:
    """Try to put an image together of another, all of it or in two; see that nothing comes of it.

    Give how it is refused.
    """
    size = len(DATA)
    statuses = set()
    every: list[list[Line]] = [[[size, "i", 0, 0]], [[1, "i", 0, 0], [size - 1, "i", 0, 1]]]
    for lines in every:
        image = exchange.place.put("taken", None)
        statuses.add(refused(exchange.put, image, delta(size, [base], lines), **HASH))
        shown = exchange.place.show(image)
        assert (shown["status"], shown["checksum"], shown["size"]) == ("queued", None, None)
    return statuses


def test_another_projects_image_is_not_there(by: People) -> None:
    image = by("alice").place.put("image", DATA)
    for one in (image, NOBODYS):
        assert reading(by("eve"), one) == taking(by("eve"), one) == {404}
    assert by("alice").batch(image, [[5, 9]]) == [DATA[5:14]]


def test_what_may_be_seen_and_not_be_downloaded(by: People) -> None:
    secret = by("alice").place.put("secret", DATA, visibility="public")
    off = by("alice").place.put("image", DATA, visibility="public")
    by("admin").place.act(off, "deactivate")
    for image in (secret, off):
        for user in ("eve", "alice"):
            assert reading(by(user), image) == taking(by(user), image) == {403}
        assert by("admin").batch(image, [[5, 9]]) == [DATA[5:14]]


def test_an_image_without_data(by: People) -> None:
    eve = by("eve")
    image = eve.place.put("image", None)
    assert reading(eve, image) == taking(eve, image) == {409}
    eve.put_part(image, 0, pieces(DATA))
    assert reading(eve, image) == taking(eve, image) == {409}, "a part is no data yet"


def test_a_base_that_is_withdrawn_before_the_delta(by: People) -> None:
    """It was compared with, and parts were sent; what it has is not given any more."""
    alice, eve = by("alice").place, by("eve")
    shared = alice.put("image", DATA, visibility="shared")
    public = alice.put("image", DATA, visibility="public")
    hidden = alice.put("image", DATA, visibility="public")
    alice.share(shared, by.blue)
    image = eve.place.put("image", None)
    eve.put_part(image, 0, [b"mine"])
    for base in (shared, public, hidden):
        assert eve.root(base).size == len(DATA)
    alice.unshare(shared, by.blue)
    alice.delete(public)
    alice.change(hidden, visibility="private")
    mine = eve.place.put("image", DATA[:1])
    for base in (shared, public, hidden):
        assert reading(eve, base) == taking(eve, base) == {404}
        lines: list[Line] = [[1, "i", 0, 0], [len(DATA) - 1, "i", 1, 1], [4, "p", 0, 0]]
        body = delta(len(DATA) + 4, [mine, base], lines)
        assert refused(eve.put, image, body) == 404
    assert eve.place.show(image)["status"] == "queued"
    assert eve.parts(image) == {0: 4}
    eve.put(image, delta(4, [], [[4, "p", 0, 0]]))
    assert eve.place.data(image) == b"mine"


def test_a_whole_base_that_is_withdrawn_during_the_delta(by: People) -> None:
    alice, eve = by("alice").place, by("eve").place
    base = alice.put("image", DATA, visibility="public")
    image = eve.put("image", None)
    body = delta(len(DATA), [base], [[len(DATA), "i", 0, 0]])
    with Upload(eve, image, len(body), media_type=DELTA) as upload:
        upload.send(body[:-1])
        alice.change(base, visibility="private")
        upload.send(body[-1:])
        assert upload.status() == 404
    assert eve.show(image)["status"] == "queued"


def test_parts_are_their_images_alone(by: People) -> None:
    alice, eve = by("alice"), by("eve")
    lines: list[Line] = [[len(DATA), "p", 3, 0]]
    private = alice.place.put("image", None, visibility="private")
    public = alice.place.put("image", None, visibility="public")
    for image in (private, public):
        alice.put_part(image, 3, pieces(DATA))
    for who, image, status in ((eve, private, 404), (eve, public, 403), (by("amy"), private, 403)):
        assert refused(who.parts, image) == status
        assert refused(who.root, image, 3) == status
        assert refused(who.segments, image, [[0, 0]], 3) == status
        assert refused(who.put_part, image, 4, [b"x"]) == status
        assert refused(who.put, image, delta(len(DATA), [], lines)) == status
    mine = eve.place.put("image", None)
    assert refused(eve.root, mine, 3) == 404
    assert refused(eve.put, mine, delta(len(DATA), [], lines)) == 400
    assert refused(eve.put, mine, delta(len(DATA), [private], lines)) == 404
    assert eve.place.show(mine)["status"] == "queued"
    for image in (private, public):
        assert alice.parts(image) == {3: len(DATA)}
        alice.put(image, delta(len(DATA), [], lines), **HASH)
        assert alice.place.data(image) == DATA
