"""The folder of hot copies: what it holds, throws out, and never gives."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from meltemi.region.data.hot_files import HotFiles

DYING = """
import sys
from pathlib import Path
from meltemi.region.data.hot_files import HotFiles
with HotFiles(Path(sys.argv[1]), 1000).draft("image/a", 100) as draft:
    draft.write(bytes(50))
    print("begun", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "hot"


@pytest.fixture
def files(folder: Path) -> HotFiles:
    return HotFiles(folder, 1000)


@pytest.fixture
def dying(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Give another process that is in the middle of making a copy."""
    command = [sys.executable, "-c", DYING, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"begun\n"
        yield process
        process.kill()


def put(files: HotFiles, content: str, data: bytes) -> bool:
    with files.draft(content, len(data)) as draft:
        if draft is None:
            return False
        draft.write(data)
        files.publish(content, draft)
    return True


def read(files: HotFiles, content: str, size: int) -> bytes | None:
    file = files.open(content, size)
    if file is None:
        return None
    with file:
        return file.read()


def use(files: HotFiles, content: str, size: int) -> None:
    file = files.open(content, size)
    assert file
    with file:
        files.note_use(content, file)


def test_what_was_published_is_given(files: HotFiles) -> None:
    assert put(files, "image/a", b"data")
    assert read(files, "image/a", 4) == b"data"
    assert files.names() == ["image/a"]
    assert read(files, "image/b", 4) is None
    files.drop("image/a")
    assert read(files, "image/a", 4) is None


def test_a_draft_that_was_not_published_is_nothing(files: HotFiles, folder: Path) -> None:
    with files.draft("image/a", 4) as draft:
        assert draft
        draft.write(b"data")
    assert read(files, "image/a", 4) is None
    assert list((folder / "drafts").iterdir()) == []


def test_those_not_read_for_longest_make_room(files: HotFiles) -> None:
    for name in ("a", "b", "c"):
        assert put(files, name, bytes(300))
    use(files, "a", 300)
    assert put(files, "d", bytes(400))
    assert sorted(files.names()) == ["a", "c", "d"]
    assert put(files, "e", bytes(1000))
    assert files.names() == ["e"]


def test_one_that_is_too_large_throws_nothing_out(files: HotFiles) -> None:
    assert put(files, "a", bytes(300))
    assert not put(files, "large", bytes(1001))
    with files.draft("draft", 600) as draft:
        assert draft
        assert not put(files, "b", bytes(401))
        assert files.names() == ["a"]
        assert put(files, "b", bytes(400))
    assert files.names() == ["b"]


def test_only_one_makes_a_copy(files: HotFiles, folder: Path) -> None:
    another = HotFiles(folder, 1000)
    with files.draft("a", 4) as draft:
        assert draft
        assert not put(another, "a", b"data")
        another.sweep(60)
        draft.write(b"data")
        files.publish("a", draft)
        assert not put(another, "a", b"more")
    assert not put(another, "a", b"more")
    assert read(another, "a", 4) == b"data"


@pytest.mark.parametrize("damage", ["written to", "cut"])
def test_one_that_was_written_to_is_not_given(files: HotFiles, folder: Path, damage: str) -> None:
    put(files, "a", b"data")
    with (folder / "files" / "a").open("r+b") as file:
        if damage == "cut":
            file.truncate(3)
        else:
            file.write(b"D")
    assert read(files, "a", 4) is None
    assert files.names() == []


def test_a_draft_of_one_that_died_is_taken_over(
    files: HotFiles, dying: subprocess.Popen[bytes]
) -> None:
    assert not put(files, "image/a", b"x" * 100)
    dying.kill()
    dying.wait()
    assert put(files, "image/a", b"x" * 100)
    assert read(files, "image/a", 100) == b"x" * 100


def test_a_draft_of_one_that_died_is_swept(
    files: HotFiles, folder: Path, dying: subprocess.Popen[bytes]
) -> None:
    files.sweep(60)
    assert len(list((folder / "drafts").iterdir())) == 1
    dying.kill()
    dying.wait()
    files.sweep(60)
    assert list((folder / "drafts").iterdir()) == []


def test_a_smaller_bound_holds_from_the_next_start(files: HotFiles, folder: Path) -> None:
    for name in ("a", "b", "c"):
        put(files, name, bytes(300))
    HotFiles(folder, 300).sweep(60)
    assert files.names() == ["c"]
    HotFiles(folder, 0).sweep(60)
    assert files.names() == []


def test_what_is_told_of_copies(files: HotFiles, folder: Path) -> None:
    before = time.time()
    put(files, "image/a", b"data")
    [made] = files.copies()
    assert (made.content, made.size, made.hits) == ("image/a", 4, 0)
    assert before <= made.made <= time.time()
    another = HotFiles(folder, 1000)
    for place in (files, another, files):
        use(place, "image/a", 4)
    read(files, "image/a", 4)  # as those do who only check
    [used] = another.copies()
    assert (used.hits, used.made) == (3, made.made)
    assert before <= made.read <= used.read <= time.time()
    files.drop("image/a")
    assert files.copies() == []
    assert list((folder / "uses").iterdir()) == []
    put(files, "image/a", b"data")
    assert [copy.hits for copy in files.copies()] == [0]
    (folder / "uses" / "image%2Fa").unlink()  # as with a copy of an earlier release
    use(files, "image/a", 4)
    [old] = files.copies()
    assert (old.hits, old.made) == (0, old.read)


def test_a_queue_has_an_order(files: HotFiles, folder: Path) -> None:
    for number, name in enumerate(("image/b", "c", "a")):
        assert files.queue(name)
        path = folder / "queue" / name.replace("/", "%2F")
        os.utime(path, (number, number))
    assert files.queue("c")  # again, and it keeps its place
    assert files.queued() == ["image/b", "c", "a"]
    assert files.is_queued("c")
    assert (files.unqueue("c"), files.unqueue("c")) == (True, False)
    assert not files.is_queued("c")
    assert put(files, "a", b"data")
    assert files.queued() == ["image/b"]
    assert not files.queue("a")
    assert not put(files, "image/b", bytes(1001))
    assert files.queued() == []


def test_one_that_another_makes_stays_in_the_queue(
    files: HotFiles, dying: subprocess.Popen[bytes]
) -> None:
    assert files.queue("image/a")
    assert not put(files, "image/a", b"x" * 100)
    assert files.queued() == ["image/a"]
    dying.kill()
    dying.wait()
    assert put(files, "image/a", b"x" * 100)
    assert files.queued() == []


def test_one_that_is_discarded_while_it_is_made_is_not_published(
    files: HotFiles, folder: Path
) -> None:
    files.queue("a")
    with files.draft("a", 4) as draft:
        assert draft
        HotFiles(folder, 1000).discard("a")
        draft.write(b"data")
        files.publish("a", draft)
    assert (files.copies(), files.queued()) == ([], [])
    assert put(files, "a", b"data")
    files.discard("a")
    assert files.copies() == []


def test_too_much_is_pruned(files: HotFiles, folder: Path) -> None:
    for name, size in (("a", 100), ("b", 200), ("c", 300)):
        put(files, name, bytes(size))
    assert files.prune() == []
    smaller = HotFiles(folder, 350)
    assert smaller.prune() == [100, 200]
    assert [copy.content for copy in files.copies()] == ["c"]
    assert [path.name for path in (folder / "uses").iterdir()] == ["c"]


def test_notes_of_uses_go_with_the_copy(files: HotFiles, folder: Path) -> None:
    put(files, "a", b"data")
    (folder / "files" / "a").unlink()
    files.sweep(60)
    assert list((folder / "uses").iterdir()) == []


def test_notes_of_reading_are_forgotten(files: HotFiles, folder: Path) -> None:
    assert files.note_read("image/a") is None
    assert files.note_read("image/a") is not None
    (note,) = (folder / "reads").iterdir()
    os.utime(note, (0, 0))
    files.sweep(3600)
    assert files.note_read("image/a") is None


def test_what_is_done_at_intervals_is_done_by_one(files: HotFiles, folder: Path) -> None:
    another = HotFiles(folder, 1000)
    with files.turn(3600) as due, another.turn(3600) as as_well:
        assert (due, as_well) == (True, False)
    with another.turn(3600) as due:
        assert not due
    os.utime(folder / "checked", (0, 0))
    with another.turn(3600) as due:
        assert due
