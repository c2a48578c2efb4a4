"""How much is measured of a region."""

from dataclasses import dataclass

from bench.figures import GIB, MIB


@dataclass(frozen=True)
class Scale:
    """Bytes, counts, seconds and runs."""

    disk: int | None = None
    """Bytes taken of the disk image; None for all."""
    random: int = GIB
    readers: int = 16
    streamed: int = 256 * MIB
    listed: int = 10_000
    seconds: int = 5
    chunks: int = 1_600_000
    clones: int = 30
    starts: int = 5
    runs: int = 3


QUICK = Scale(
    disk=128 * MIB,
    random=64 * MIB,
    streamed=16 * MIB,
    listed=200,
    seconds=1,
    chunks=20_000,
    clones=3,
    starts=1,
    runs=1,
)
