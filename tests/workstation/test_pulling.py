"""Pulling from a library in memory: whatever lies around, what comes of it is the image."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from meltemi.workstation.draft import Draft
from meltemi.workstation.files import LocalFile
from meltemi.workstation.pulling import Pull, way_to
from meltemi.workstation.steps import Tell
from tests.chunks.making import KIB, noise
from tests.support.memory_exchange import ExchangingLibrary

BLOCKS = [bytes(64 * KIB), *(noise(seed, 40 * KIB) for seed in range(1, 6)), noise(9, 200 * KIB)]

datas = st.lists(st.sampled_from(BLOCKS), max_size=12).map(b"".join)


@contextmanager
def untold(_: str, __: int | None) -> Iterator[Tell]:
    yield lambda *_: None


@settings(max_examples=60, deadline=None)
@given(data=datas, seeds=st.lists(datas, max_size=2), rest=st.none() | datas, target=datas)
def test_any_seeds_and_any_rest(
    data: bytes, seeds: list[bytes], rest: bytes | None, target: bytes
) -> None:
    library = ExchangingLibrary("athens")
    image = library.put(data, name="any")
    with TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        files = []
        for number, seed in enumerate(seeds):
            (folder / str(number)).write_bytes(seed)
            files.append(stack.enter_context(closing(LocalFile(folder / str(number)))))
        (folder / "target").write_bytes(target)
        if rest is not None:
            (folder / f".meltemi-{image.id}.part").write_bytes(rest)
        draft = stack.enter_context(closing(Draft(folder / "target", image.id, "part")))

        async def pull() -> int:
            way = await way_to(library, image)
            assert not isinstance(way, str)
            made = Pull(library, image, *way, draft)
            await made.run(files, untold)
            return made.wire

        wire = asyncio.run(pull())
        assert (folder / "target").read_bytes() == data
        assert not [path for path in folder.iterdir() if path.name[0] == "."]
        if data in seeds:
            assert wire < 20 * KIB
