"""Archives that were damaged: nothing is created from what cannot be verified."""

from pathlib import Path

import pytest

from lab import images
from tests.support.cli import meltemi, succeed
from tests.support.glance import Service

DATA = images.random_bytes(300_000, 8)


@pytest.fixture
def archive(source: Service, tmp_path: Path) -> tuple[Path, str]:
    """Give an archive of two images, and the id of the larger one."""
    source.put("small", b"small")
    image = source.put("large", DATA)
    succeed("dump", source, tmp_path / "archive")
    return tmp_path / "archive", image


def data_file(folder: Path, image: str) -> Path:
    """Find the file that holds an image's data."""
    return max(
        (p for p in folder.rglob(f"*{image}*") if p.is_file()), key=lambda p: p.stat().st_size
    )


@pytest.mark.parametrize("damage", ["missing", "altered", "shorter"])
def test_a_data_file_that_is_damaged(
    target: Service, archive: tuple[Path, str], damage: str
) -> None:
    folder, image = archive
    path = data_file(folder, image)
    assert path.read_bytes() == DATA
    match damage:
        case "missing":
            path.unlink()
        case "altered":
            path.write_bytes(DATA[:-1] + b"?")
        case "shorter":
            path.write_bytes(DATA[:-1])
    done = meltemi("load", target, folder)
    assert done.code == 8, done.err
    assert image in done.err
    assert not target.has(image)
    path.write_bytes(DATA)
    succeed("load", target, folder)
    assert target.data(image) == DATA


def test_a_manifest_that_is_damaged(target: Service, archive: tuple[Path, str]) -> None:
    folder, image = archive
    manifest = folder / "manifest.jsonl"
    whole = manifest.read_text()
    manifest.write_text(whole.replace(image, "../../etc/passwd"))
    done = meltemi("load", target, folder)
    assert done.code == 8, done.err
    assert str(folder) in done.complaint
    assert target.images() == []
    manifest.write_text(whole)
    succeed("load", target, folder)
    assert target.data(image) == DATA


def test_no_archive_at_all(target: Service, tmp_path: Path) -> None:
    done = meltemi("load", target, tmp_path / "nowhere")
    assert done.code == 2, done.err
    assert "nowhere" in done.complaint
    assert not (tmp_path / "nowhere").exists()
