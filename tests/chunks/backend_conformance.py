"""What every backend must do: the contract of `meltemi.chunks.backends.base.Backend`, as tests.

Subclass `BackendConformance` in a test module and give it the fixtures `backend`, an empty one,
and `everything`, which gives the names of all that lies where the backend keeps its objects,
drafts and pieces included. A test that leaves something behind fails.
"""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from meltemi.chunks.backends.base import Backend
from meltemi.errors import MissingError
from tests.chunks.making import KIB, MIB, noise

Everything = Callable[[], set[str]]

DATA = noise(1, 300 * KIB)


def named(number: int) -> str:
    """Give a name as packs have them."""
    return f"packs/{number % 7:02x}/{number:032x}"


class BackendConformance:
    """Hold one implementation to the contract."""

    @pytest.fixture(autouse=True)
    def _nothing_stays(self, backend: Backend, everything: Everything) -> Iterator[None]:
        assert everything() == set()
        yield
        for name in [*(name for name, _ in backend.names("packs")), "store.json"]:
            backend.delete(name)
        assert everything() == set()
        backend.close()

    # Writing and reading

    @pytest.mark.parametrize("size", [0, 1, 64 * KIB, MIB - 1, MIB, 5 * MIB + 1, 33 * MIB])
    def test_what_is_written_is_read(self, backend: Backend, size: int) -> None:
        data = noise(size, size)
        backend.write(named(1), data)
        assert backend.size(named(1)) == size
        assert backend.read(named(1), 0, size) == data
        assert backend.read(named(1), 0, size + 1) == data

    @pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
    def test_any_buffer_is_written(
        self, backend: Backend, kind: type[bytes] | type[bytearray] | type[memoryview]
    ) -> None:
        backend.write(named(1), kind(DATA))
        backend.write(named(2), memoryview(DATA)[5:500])
        assert backend.read(named(1), 0, len(DATA)) == DATA
        assert backend.read(named(2), 0, 1000) == DATA[5:500]

    def test_a_range_is_cut_off_at_the_end_only(self, backend: Backend) -> None:
        backend.write(named(1), DATA)
        end = len(DATA)
        for begin, length in [
            *((0, 0), (0, 1), (7, 1000), (end - 1, 1), (end // 2, end)),
            *((end - 1, 2), (end, 1), (end, 0), (end + 1, 1), (end + 5, 2**31)),
        ]:
            assert backend.read(named(1), begin, length) == DATA[begin : begin + length]
        assert isinstance(backend.read(named(1), 3, 4), bytes)

    def test_an_empty_object_is_there(self, backend: Backend) -> None:
        backend.write(named(1), b"")
        assert backend.size(named(1)) == 0
        assert backend.read(named(1), 0, 10) == b""
        assert list(backend.names("packs")) == [(named(1), 0)]

    def test_names_may_lie_at_any_depth(self, backend: Backend) -> None:
        backend.write("store.json", b"{}\n")
        backend.write("packs/a.b-c/d", b"x")
        assert backend.read("store.json", 0, 10) == b"{}\n"
        assert backend.read("packs/a.b-c/d", 0, 10) == b"x"

    def test_an_object_is_seen_whole_or_not_at_all(self, backend: Backend) -> None:
        stop = threading.Event()
        wrong: list[object] = []
        data = noise(2, 2 * MIB)

        def look() -> None:
            while not stop.is_set():
                for number in range(8):
                    size = backend.size(named(number))
                    if size is not None and backend.read(named(number), 0, len(data)) != data:
                        wrong.append((number, size))
                wrong.extend(found for found in backend.names("packs") if found[1] != len(data))

        watcher = threading.Thread(target=look)
        watcher.start()
        for number in range(8):
            backend.write(named(number), data)
        stop.set()
        watcher.join()
        assert wrong == []

    # What is not there

    def test_what_is_not_there_is_missing(self, backend: Backend) -> None:
        backend.write(named(1), DATA)
        for name in (named(2), "store.json", "nothing/at/all"):
            with pytest.raises(MissingError, match=name) as failure:
                backend.read(name, 0, 1)
            assert backend.label in str(failure.value)
            assert backend.size(name) is None
            backend.delete(name)
        assert backend.size(named(1)) == len(DATA)

    def test_what_was_deleted_is_gone(self, backend: Backend) -> None:
        backend.write(named(1), DATA)
        backend.write(named(8), DATA)
        backend.delete(named(1))
        backend.delete(named(1))
        assert backend.size(named(1)) is None
        with pytest.raises(MissingError):
            backend.read(named(1), 0, 1)
        assert backend.read(named(8), 0, len(DATA)) == DATA

    # Listing

    def test_a_list_has_the_objects_below_a_folder(self, backend: Backend) -> None:
        assert list(backend.names("packs")) == []
        sizes = {named(number): number for number in range(20)}
        for name, size in sizes.items():
            backend.write(name, bytes(size))
        backend.write("packs-not", b"x")
        backend.write("store.json", b"x")
        backend.write("packsx/y", b"x")
        assert sorted(backend.names("packs")) == sorted(sizes.items())
        assert sorted(backend.names("packs/03")) == sorted(
            (name, size) for name, size in sizes.items() if name.startswith("packs/03/")
        )
        assert list(backend.names("pack")) == []
        for name in ("packs-not", "packsx/y"):
            backend.delete(name)

    def test_a_list_may_be_long(self, backend: Backend) -> None:
        """Longer than the 1,000 names that object stores give at once."""
        every = [named(number) for number in range(1203)]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda name: backend.write(name, b"x"), every))
        assert sorted(name for name, _ in backend.names("packs")) == sorted(every)

    def test_what_is_listed_may_be_deleted_meanwhile(self, backend: Backend) -> None:
        for number in range(30):
            backend.write(named(number), b"x")
        seen = set()
        for name, _ in backend.names("packs"):
            seen.add(name)
            backend.delete(name)
        assert seen == {named(number) for number in range(30)}
        assert list(backend.names("packs")) == []

    # Threads, and itself

    def test_threads_may_share_it(self, backend: Backend) -> None:
        def work(number: int) -> None:
            data = noise(number, 200 * KIB)
            for turn in range(4):
                name = named(number * 100 + turn)
                backend.write(name, data)
                assert backend.read(name, 1000, 5000) == data[1000:6000]
                assert backend.size(name) == len(data)
                if turn % 2:
                    backend.delete(name)

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(work, range(8)))
        assert len(list(backend.names("packs"))) == 16

    def test_tidying_up_leaves_what_is_stored(self, backend: Backend) -> None:
        backend.write(named(1), DATA)
        assert backend.tidy() == 0
        assert backend.read(named(1), 0, len(DATA)) == DATA

    def test_it_says_who_it_is(self, backend: Backend) -> None:
        assert backend.label
        assert backend.label.isprintable()
