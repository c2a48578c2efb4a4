"""Objects in a folder: the contract of backends, and what can happen to disks and processes."""

import errno
import fcntl
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest

from lab.state import ROOT
from meltemi.chunks.backends.folder import FolderBackend
from meltemi.errors import MissingError, QuotaError, StoreError
from tests.chunks.backend_conformance import BackendConformance, Everything, named
from tests.chunks.making import KIB, MIB, noise
from tests.chunks.writing import killed_at_any_moment, seen_whole, writing


def files(folder: Path) -> set[str]:
    """Give the names of all files below a folder."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}


def prepared(folder: Path) -> FolderBackend:
    """Give a backend on a folder in which a store has been begun."""
    (folder / "tmp").mkdir(parents=True)
    return FolderBackend(folder)


class TestFolder(BackendConformance):
    """A folder in which a store has been begun."""

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        return tmp_path / "deep" / "store"

    @pytest.fixture
    def backend(self, folder: Path) -> FolderBackend:
        return prepared(folder)

    @pytest.fixture
    def everything(self, folder: Path) -> Everything:
        return lambda: files(folder)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give the folder of a backend."""
    return tmp_path / "store"


@pytest.fixture
def backend(folder: Path) -> FolderBackend:
    """Give an empty backend."""
    return prepared(folder)


def one_line(error: BaseException, *words: str) -> None:
    """See that an error is told in one line that has these words."""
    text = str(error)
    assert "\n" not in text
    assert all(word in text for word in words), text


# Full disks


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """Mount a file system of 4 MiB."""
    path = tmp_path / "small"
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "meltemi-test", str(path)]
    done = subprocess.run(mount, check=False, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"A FULL DISK IS NOT TESTED, for mounting needs root: {done.stderr.strip()}")
    yield path
    subprocess.run(["umount", str(path)], check=True)


def test_a_full_disk_is_told_and_keeps_what_it_has(small: Path) -> None:
    backend = prepared(small / "store")
    data = noise(1, MIB)
    backend.write(named(1), data)
    before = files(small)
    for _ in range(3):
        with pytest.raises(QuotaError) as failure:
            backend.write(named(2), noise(2, 8 * MIB))
        one_line(failure.value, str(small), named(2), "No space left")
        assert files(small) == before
        assert backend.size(named(2)) is None
    backend.write(named(3), data)
    for number in (1, 3):
        assert backend.read(named(number), 0, 2 * MIB) == data
    assert backend.tidy() == 0


def test_a_disk_without_room_for_another_file_is_told(small: Path) -> None:
    subprocess.run(["mount", "-o", "remount,nr_inodes=12", str(small)], check=True)
    backend = prepared(small / "store")
    written: list[str] = []

    def write_many() -> None:
        for number in range(20):
            backend.write(f"heads/{number}", b"x")
            written.append(f"store/heads/{number}")

    with pytest.raises(QuotaError) as failure:
        write_many()
    one_line(failure.value, f"heads/{len(written)}")
    assert len(written) > 2
    assert files(small) == set(written)


@pytest.fixture
def short_files() -> Iterator[None]:
    """Let no file grow beyond 1 MiB."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (MIB, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("short_files")
def test_a_file_that_may_not_grow_is_told(backend: FolderBackend, folder: Path) -> None:
    with pytest.raises(QuotaError, match="too large"):
        backend.write(named(1), noise(1, 2 * MIB))
    assert files(folder) == set()
    backend.write(named(1), noise(1, MIB))


@pytest.mark.parametrize("step", ["write", "fsync", "rename"])
@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EROFS])
def test_a_failing_disk_leaves_no_draft(
    backend: FolderBackend,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    number: int,
) -> None:
    backend.write(named(1), b"x")

    def fail(*_arguments: object) -> None:
        raise OSError(number, os.strerror(number))

    owner: object = Path if step == "rename" else os
    monkeypatch.setattr(owner, step, fail)
    kind = QuotaError if number in (errno.ENOSPC, errno.EDQUOT) else StoreError
    with pytest.raises(kind) as failure:
        backend.write(named(2), b"x" * MIB)
    monkeypatch.undo()
    one_line(failure.value, named(2), os.strerror(number))
    assert files(folder) == {named(1)}


def test_a_disk_that_takes_little_at_once_gets_all(
    backend: FolderBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, pread = os.write, os.pread
    monkeypatch.setattr(os, "write", lambda file, data: write(file, data[:1000]))
    monkeypatch.setattr(os, "pread", lambda file, size, at: pread(file, min(size, 777), at))
    data = noise(1, 50 * KIB)
    backend.write(named(1), data)
    assert backend.read(named(1), 10, len(data)) == data[10:]


def test_all_is_synced_before_it_is_said_to_be_written(
    backend: FolderBackend, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = []
    fsync, rename = os.fsync, Path.rename

    def syncing(file: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{file}").readlink()))
        fsync(file)

    def renaming(path: Path, target: Path) -> None:
        assert str(path) in synced
        rename(path, target)
        synced.append("renamed")

    monkeypatch.setattr(os, "fsync", syncing)
    monkeypatch.setattr(Path, "rename", renaming)
    backend.write(named(1), b"x")
    home = (folder / named(1)).parent
    assert synced[-2:] == ["renamed", str(home)]
    # The folders that were made for it are entries of folders, too.
    assert {str(folder), str(home.parent)} <= set(synced)


def test_what_is_deleted_stays_deleted(
    backend: FolderBackend, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend.write(named(1), b"x")
    done: list[str] = []
    fsync, unlink = os.fsync, Path.unlink

    def syncing(file: int) -> None:
        done.append(str(Path(f"/proc/self/fd/{file}").readlink()))
        fsync(file)

    def unlinking(path: Path, **options: bool) -> None:
        unlink(path, **options)
        done.append("deleted")

    monkeypatch.setattr(os, "fsync", syncing)
    monkeypatch.setattr(Path, "unlink", unlinking)
    backend.delete(named(1))
    assert done == ["deleted", str((folder / named(1)).parent)]


# Killed processes

STEPPING = """
import fcntl, os, signal, sys
from pathlib import Path
from meltemi.chunks.backends.folder import FolderBackend

folder, name, number, left, *steps = sys.argv[1:]
left = int(left)

def stepping(owner, step):
    do = getattr(owner, step)
    def one(*arguments, **options):
        global left
        if not left:
            os.kill(os.getpid(), getattr(signal, number))
        left -= 1
        return do(*arguments, **options)
    setattr(owner, step, one)

write = os.write
os.write = lambda file, data: write(file, data[:1000])
backend = FolderBackend(Path(folder))
for step in steps:
    owner, _, function = step.partition(".")
    stepping({"os": os, "fcntl": fcntl, "Path": Path}[owner], function)
backend.write(name, b"x" * 3000)
"""
EVERY_STEP = (
    *("os.open", "os.write", "os.fsync", "os.close"),
    *("Path.mkdir", "Path.rename", "fcntl.flock"),
)


@contextmanager
def stepping(
    folder: Path, name: str, number: signal.Signals, left: int, *steps: str
) -> Iterator[subprocess.Popen[bytes]]:
    """Write an object in a process that gives itself a signal before a step on the way."""
    arguments = [str(folder), name, number.name, str(left), *steps]
    with subprocess.Popen([sys.executable, "-c", STEPPING, *arguments], cwd=ROOT) as process:
        try:
            yield process
        finally:
            process.kill()


def test_a_process_that_is_killed_before_any_step_leaves_all_or_a_draft(
    backend: FolderBackend, folder: Path
) -> None:
    backend.write("packs/00/first", b"x")
    drafts = 0
    for left in count():
        name = f"packs/00/{left}"
        with stepping(folder, name, signal.SIGKILL, left, *EVERY_STEP) as process:
            process.wait()
        there = backend.size(name) is not None
        if there:
            assert backend.read(name, 0, 9999) == b"x" * 3000
        found = {path for path in files(folder) if path.startswith("tmp/")}
        assert not (there and found)
        drafts += len(found)
        assert backend.tidy() == len(found)
        assert {path for path in files(folder) if path.startswith("tmp/")} == set()
        if not process.returncode:
            break
        assert process.returncode == -signal.SIGKILL
    assert there
    # Killed before it is locked, before each of three writes, before it is synced and renamed.
    assert drafts == 6


def test_what_a_killed_process_wrote_is_whole_or_absent(
    backend: FolderBackend, folder: Path
) -> None:
    told = killed_at_any_moment(str(folder), 12)
    seen_whole(backend, told)
    drafts = {name for name in files(folder) if not name.startswith("packs/")}
    assert backend.tidy() == len(drafts)
    assert backend.tidy() == 0
    assert all(name.startswith("packs/") for name in files(folder))
    seen_whole(backend, told)


def test_a_draft_that_is_being_written_is_not_tidied_away(
    backend: FolderBackend, folder: Path
) -> None:
    for left in range(3):
        with stepping(folder, named(left), signal.SIGSTOP, left, "os.write") as process:
            os.waitid(os.P_PID, process.pid, os.WSTOPPED)
            [draft] = (folder / "tmp").iterdir()
            assert draft.stat().st_size == 1000 * left
            assert backend.tidy() == 0
            assert draft.exists()
            process.send_signal(signal.SIGCONT)
            assert process.wait() == 0
        assert backend.read(named(left), 0, 9999) == b"x" * 3000


def test_tidying_up_all_the_time_disturbs_nobody(backend: FolderBackend, folder: Path) -> None:
    done = threading.Event()

    def tidy() -> int:
        count = 0
        while not done.is_set():
            count += backend.tidy()
        return count

    with ThreadPoolExecutor(2) as pool:
        tidying = pool.submit(tidy)
        try:
            for number in range(300):
                backend.write(named(number), b"x")
        finally:
            done.set()
        tidying.result()
    assert files(folder) == {named(number) for number in range(300)}


def test_a_draft_that_is_tidied_away_before_it_is_locked_is_begun_again(
    backend: FolderBackend, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flock = fcntl.flock
    tidied: list[int] = []

    def late(file: int, operation: int) -> None:
        if operation == fcntl.LOCK_EX and not tidied:
            tidied.append(0)
            tidied.append(FolderBackend(folder).tidy())
        flock(file, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    backend.write(named(1), b"data")
    assert tidied == [0, 1]
    assert backend.read(named(1), 0, 9) == b"data"
    assert files(folder) == {named(1)}


def test_two_processes_write_at_once(backend: FolderBackend, folder: Path) -> None:
    with writing(str(folder), 1, 30) as one, writing(str(folder), 2, 30) as two:
        told = set(one.communicate()[0].split()) | set(two.communicate()[0].split())
    assert one.returncode == two.returncode == 0
    assert len(told) == 60
    seen_whole(backend, told)
    assert files(folder) == told


# Folders that cannot be used

SHUT = """
import os, sys
from pathlib import Path
from meltemi.chunks.backends.folder import FolderBackend
from meltemi.errors import StoreError
os.setuid(65534)
backend = FolderBackend(Path(sys.argv[1]))
for doing in (
    lambda: backend.write("heads/1", b"x"),
    lambda: backend.read("packs/01/a", 0, 1),
    lambda: backend.size("packs/01/a"),
    lambda: list(backend.names("packs")),
    lambda: backend.delete("packs/02/b"),
    lambda: backend.tidy(),
):
    try:
        print("no error:", doing())
    except StoreError as error:
        print(type(error).__name__, error)
"""


def test_a_folder_that_may_not_be_read_is_told_of() -> None:
    """Above all, a list is never shorter for it: what is not listed may be taken for lost."""
    if os.geteuid():
        pytest.skip("A FOLDER THAT MAY NOT BE READ IS NOT TESTED: becoming nobody needs root")
    with tempfile.TemporaryDirectory(prefix="meltemi-shut-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        backend = prepared(folder)
        backend.write("packs/01/a", b"x")
        backend.write("packs/02/b", b"x")
        (folder / "tmp" / "draft").touch()
        (folder / "packs" / "01").chmod(0o700)
        done = subprocess.run(
            [sys.executable, "-c", SHUT, name], capture_output=True, text=True, cwd=ROOT, check=True
        )
        lines = done.stdout.splitlines()
        assert len(lines) == 6, done.stdout
        for line in lines:
            assert line.startswith(f"StoreError {name}: ")
            assert line.endswith("Permission denied")
        assert files(folder) == {"packs/01/a", "packs/02/b", "tmp/draft"}


def test_a_file_in_place_of_a_folder_is_told(backend: FolderBackend, folder: Path) -> None:
    (folder / "packs").write_text("in the way")
    with pytest.raises(StoreError) as failure:
        backend.write(named(1), b"x")
    one_line(failure.value, str(folder), named(1))
    with pytest.raises(StoreError):
        backend.read(named(1), 0, 1)
    assert files(folder) == {"packs"}


DOINGS: tuple[Callable[[FolderBackend], object], ...] = (
    lambda backend: backend.write(named(2), b"x"),
    lambda backend: backend.read(named(1), 0, 1),
    lambda backend: backend.size(named(1)),
    lambda backend: list(backend.names("packs")),
    lambda backend: backend.delete(named(1)),
    lambda backend: backend.tidy(),
)


def test_a_folder_that_went_away_is_told_and_not_made_anew(
    backend: FolderBackend, folder: Path
) -> None:
    """What is not there for a moment, as a disk that is not mounted, is not taken for empty."""
    backend.write(named(1), b"x")
    folder.rename(folder.with_name("elsewhere"))
    for doing in DOINGS:
        with pytest.raises(StoreError, match="the store is not there") as failure:
            doing(backend)
        assert not isinstance(failure.value, MissingError)
        one_line(failure.value, str(folder))
    assert not folder.exists()
    folder.with_name("elsewhere").rename(folder)
    assert backend.read(named(1), 0, 9) == b"x"
    backend.write(named(2), b"x")
    assert files(folder) == {named(1), named(2)}


def test_nothing_is_written_where_the_disk_of_a_store_was_mounted(tmp_path: Path) -> None:
    backend = FolderBackend(tmp_path)
    with pytest.raises(StoreError, match="is its disk mounted"):
        backend.write(named(1), b"x")
    assert list(tmp_path.iterdir()) == []
    backend.write("store.json", b"x")
    backend.write(named(1), b"x")
    assert files(tmp_path) == {"store.json", named(1)}
